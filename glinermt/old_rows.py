"""The task of rows that were written before ``Example.task``, guessed from their words."""

import warnings
from collections import Counter
from collections.abc import Sequence

from glinermt.config import TASKS
from glinermt.errors import UsageError, unknown_choice

OLD_NAMES = {
    "ner": "entities",
    "ner_types": "entities",
    "ner_definitions": "entities",
    "open_ner": "open_entities",
    "open_ie": "matches",
    "qa": "answer",
    "summarization": "summarize",
}
"""Names that earlier versions wrote, and today's."""

_RELATION_PROMPTS = (
    "Identify the relation in the given text, highlighting the relevant entity:",
    "Extract relationships between entities from the text:",
)
_BY_LABEL = {"answer": "answer", "summary": "summarize", "match": "open_entities"}

_guessed: Counter[str] = Counter()


def named_task(name: object) -> str:
    """Return the task that a row's field ``task`` names, in today's words.

    Raises:
        ValueError: there is no such task.
    """
    task = OLD_NAMES.get(name, name) if isinstance(name, str) else name
    if task not in TASKS:
        raise UsageError(unknown_choice("task", name, TASKS))
    return str(task)


def guess_task(prompt: str, labels: Sequence[str]) -> str:
    """Return the task whose wording a row without the field ``task`` has; warn, with a count.

    The warning comes with the first such row of the process, the tenth, the hundredth and so on.
    """
    if prompt in _RELATION_PROMPTS:
        task = "relations"
    elif prompt and len(labels) == 1:
        task = _BY_LABEL.get(labels[0], "entities")
    else:
        task = "entities"
    _guessed[task] += 1
    count = _guessed.total()
    if count == 10 ** (len(str(count)) - 1):
        shares = ", ".join(f"{name} {number}" for name, number in _guessed.most_common())
        rows = "1 row has" if count == 1 else f"{count} rows have"
        warnings.warn(
            f"{rows} no 'task' so far; guessed from their words: {shares}. Read them with "
            "Example.from_dict and write them with to_dict once, so that they say it",
            stacklevel=3,
        )
    return task
