"""Examples put into a model's words, so that it is trained on the prompts it is asked with."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from glinermt.config import TaskSettings
from glinermt.tasks import TASKS
from glinermt.tasks.task import Task, wording
from glinermt.types import Example

_FIELD = re.compile(r"\\\{(\w+)\\\}")


def reworded(examples: Iterable[Example], settings: TaskSettings) -> list[Example]:
    """Return the Examples with prompts and labels as ``settings`` words them.

    Only what is worded as the package does it is changed: an instruction or a label that somebody
    chose stays.
    """
    return [_reworded(example, TASKS.get(example.task), settings) for example in examples]


def _reworded(example: Example, task: Task[Any, Any] | None, settings: TaskSettings) -> Example:
    if task is None:
        return example
    query = example.query
    prompt = _in_words(query.prompt, task.prompt, settings.prompts.get(task.name))
    names = {
        label: _in_words(label, task.label, settings.labels.get(task.name) if task.label else None)
        for label in query.labels
    }
    labels = tuple(names[label] for label in query.labels)
    spans = tuple(replace(span, label=names[span.label]) for span in example.spans)
    return replace(example, query=replace(query, labels=labels, prompt=prompt), spans=spans)


def _in_words(text: str, own: str, other: str | None) -> str:
    """Return ``text`` in another wording, if it is in our own."""
    if other is None or other == own:
        return text
    pattern = _FIELD.sub(r"(?P<\1>.*)", re.escape(own))
    found = re.fullmatch(pattern, text, re.DOTALL)
    if not found or set(re.findall(r"\{(\w+)\}", other)) - set(found.groupdict()):
        return text
    return wording(other, **found.groupdict())
