"""Examples: queries with their gold, the one training format, a line of JSON each."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from glinermt import fields
from glinermt.config import TASKS
from glinermt.errors import UsageError, unknown_choice
from glinermt.queries import Query, Relation, Span, inside, place_of, span_of

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


@dataclass(frozen=True, slots=True)
class Example:
    """A Query with its gold: the one training format (a line of JSON each).

    Labels of the query without a span are negatives: looked for, not there. So are its relation
    and class labels without a gold relation or class. A gold span's score is what the model is to
    score it: 1, or how sure a teacher was (see ``training.adapt.distill``).
    """

    query: Query
    spans: tuple[Span, ...]
    task: str = "entities"
    """The task it teaches, of ``config.TASKS``."""
    relations: tuple[Relation, ...] = ()
    classes: tuple[str, ...] = ()
    silent: tuple[tuple[int, int], ...] = ()
    """Character ranges where nobody has said which labels hold; no loss is taken there."""
    judged: tuple[tuple[int, int], ...] | None = None
    """Which ordered pairs the data speaks of: (head, tail), as indices of ``query.entities``; None
    = of all pairs. A pair in a gold relation is always one of them."""
    multi_label: bool = False
    """Whether several classes may hold at once; else they shut each other out."""

    def to_dict(self) -> dict[str, Any]:
        data = {
            **self.query.to_dict(),
            "spans": [
                place_of(span) | ({"score": span.score} if span.score != 1 else {})
                for span in self.spans
            ],
            "task": self.task,
        }
        if self.relations:
            data["relations"] = [
                {"head": place_of(r.head), "label": r.label, "tail": place_of(r.tail)}
                for r in self.relations
            ]
        if self.classes:
            data["classes"] = list(self.classes)
        if self.silent:
            data["silent"] = [list(places) for places in self.silent]
        if self.judged is not None:
            data["judged"] = [list(pair) for pair in self.judged]
        if self.multi_label:
            data["multi_label"] = True
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Example":
        """Read what ``to_dict`` wrote; the task of an older row is guessed, with a warning.

        Raises:
            ValueError: a field is missing or of another type, a place lies outside the text, is
                empty, says another text than stands there, or has a label not asked for.
        """
        query = Query.from_dict(data)
        text, spans = query.text, []
        for raw in fields.items("spans", fields.get(data, "spans")):
            span = span_of(text, raw)
            if raw.get("score") is not None:
                span = replace(span, score=fields.share(raw, "score"))
            _asked("span label", span.label, query.labels)
            spans.append(span)
        related = fields.items("relations", data.get("relations") or ())
        relations = tuple(_gold_relation(query, raw) for raw in related)
        classes = fields.names("classes", data.get("classes") or ())
        for name in classes:
            _asked("class", name, query.classes)
        unknown = fields.items("silent", data.get("silent") or ())
        silent = tuple(_range(text, raw) for raw in unknown)
        if data.get("task") is None:
            task = _guessed_task(query.prompt, query.labels)
        else:
            task = _named_task(data["task"])
        multi_label = data.get("multi_label", False)
        if type(multi_label) is not bool:
            raise UsageError(f"multi_label should be true or false, got {multi_label!r:.80}")
        return cls(
            query,
            tuple(spans),
            task,
            relations,
            classes,
            silent,
            _judged(query, data.get("judged")),
            multi_label,
        )


def checked_examples(given: Any, name: str) -> list[Example]:
    """Return the Examples as a list, if they are some and fit their own texts and labels.

    Raises:
        TypeError: what is given is a file's name, one Example alone, or holds something else.
        ValueError: a span is not at its place in the text, or has a label that is not asked.
    """
    if isinstance(given, Example):
        raise TypeError(f"{name} must be a list of Examples, got one; write [example]")
    if isinstance(given, str | PathLike):
        raise TypeError(
            f"{name} must be a list of Examples, got {given!r:.80}; read a file of them with "
            "glinermt.formats.read_examples(path)"
        )
    examples = list(given)
    for number, example in enumerate(examples):
        if not isinstance(example, Example):
            hint = "; Example.from_dict reads it" if isinstance(example, Mapping) else ""
            kind = type(example).__name__
            raise TypeError(f"{name} {number} must be an Example, got {kind}{hint}")
        text, labels = example.query.text, example.query.labels
        if isinstance(labels, str):
            raise TypeError(f"{name} {number}: labels must be several strings, got {labels!r:.80}")
        for span in example.spans:
            if not isinstance(span, Span):
                raise TypeError(f"{name} {number}: spans must be Spans, got {span!r:.80}")
            if text[span.start : span.end] != span.text:
                raise UsageError(
                    f"{name} {number}: span {span.text!r:.80} is not at {span.start}:{span.end}, "
                    f"where the text has {text[span.start : span.end]!r:.80}"
                )
            if span.label not in labels:
                raise UsageError(
                    f"{name} {number}: span {span.text!r:.80} has the label {span.label!r}, which "
                    f"is not among those asked: {', '.join(map(repr, labels))}"
                )
    return examples


def _range(text: str, raw: object) -> tuple[int, int]:
    start, end = _two_numbers("silent", raw)
    inside(text, start, end)
    return start, end


def _gold_relation(query: Query, raw: object) -> Relation:
    head, label, tail = (fields.get(raw, name) for name in ("head", "label", "tail"))
    _asked("relation", label, query.relations)
    relation = Relation(span_of(query.text, head), label, span_of(query.text, tail))
    if (relation.head.start, relation.head.end) == (relation.tail.start, relation.tail.end):
        raise UsageError(f"relation {label!r}: {relation.head.text!r:.80} is both head and tail")
    return relation


def _judged(query: Query, raw: object) -> tuple[tuple[int, int], ...] | None:
    if raw is None:
        return None
    number = len(query.entities or ())
    pairs = []
    for pair in fields.items("judged", raw):
        head, tail = _two_numbers("judged", pair)
        if head == tail or not (0 <= head < number and 0 <= tail < number):
            raise UsageError(
                f"judged pair {head}:{tail} should be two different entities of the query, which "
                f"has {number}"
            )
        pairs.append((head, tail))
    return tuple(pairs)


def _two_numbers(name: str, raw: object) -> tuple[int, int]:
    if not isinstance(raw, list | tuple) or [type(i) for i in raw] != [int, int]:
        raise UsageError(f"{name} should be pairs of whole numbers, got {raw!r:.80}")
    first, second = raw
    return first, second


def _asked(what: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise UsageError(f"{what} {name!r} is not among the labels {names}")


def _named_task(name: object) -> str:
    """Return the task that a row's field ``task`` names, in today's words.

    Raises:
        ValueError: there is no such task.
    """
    task = OLD_NAMES.get(name, name) if isinstance(name, str) else name
    if task not in TASKS:
        raise UsageError(unknown_choice("task", name, TASKS))
    return str(task)


def _guessed_task(prompt: str, labels: Sequence[str]) -> str:
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
