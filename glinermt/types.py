"""The data all parts speak: a ``Query`` goes in, ``Span``s come out, tasks turn them into results.

All offsets count characters of the caller's text, ``end`` exclusive, so that
``query.text[span.start:span.end] == span.text``. Importing this module costs no torch.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from glinermt.config import SPAN_SCORES, TaskSettings, check_share
from glinermt.config import SpanScore as SpanScore
from glinermt.errors import UsageError, unknown_choice
from glinermt.old_rows import guess_task, named_task
from glinermt.structures import Structure

T = TypeVar("T")
Overlap = Literal["flat", "nested"]
Threshold = float | Mapping[str, float]
Kind = Literal["spans", "relations", "classes", "records"]
OVERLAPS = ("flat", "nested")


@dataclass(frozen=True, slots=True)
class Query:
    """One text, what to look for in it, and the instruction read before it.

    The prompt is context only: no returned span ever touches it. In JSON ``relations`` and
    ``classes`` are called ``relation_labels`` and ``class_labels``, since an ``Example`` beside
    them has gold relations and classes.
    """

    text: str
    labels: tuple[str, ...] = ()
    prompt: str = ""
    relations: tuple[str, ...] = ()
    """Labels of relations between spans, for a model with a relation head."""
    classes: tuple[str, ...] = ()
    """Labels of the whole text, for a model with a class head."""
    entities: "tuple[Span, ...] | None" = None
    """The spans between which relations are sought; None = those found in the same pass."""
    across_lines: bool = False
    """Whether a span may run on behind a line's end. Sentences do, names rarely: there the next
    line is another entry of a list or table."""
    structures: tuple[Structure, ...] = ()
    """Records that are looked for as a whole, for a model with the kind ``records``."""
    class_groups: tuple[tuple[str, int], ...] = ()
    """Where ``classes`` answer several questions: the name of each and its number of classes, in
    their order, for families whose models read these; () = all answer one question."""

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "text": self.text,
            "labels": list(self.labels),
            "prompt": self.prompt,
        }
        if self.relations:
            data["relation_labels"] = list(self.relations)
        if self.classes:
            data["class_labels"] = list(self.classes)
        if self.across_lines:
            data["across_lines"] = True
        if self.structures:
            data["structures"] = [asdict(structure) for structure in self.structures]
        if self.class_groups:
            data["class_groups"] = [list(group) for group in self.class_groups]
        if self.entities is not None:
            data["entities"] = [_place(span) for span in self.entities]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Query":
        """Read what ``to_dict`` wrote; a prompt may be missing or None.

        Raises:
            ValueError: a field is missing or of another type, a label is empty, or a given span
                lies outside the text.
        """
        text, labels = _field(data, "text"), _field(data, "labels")
        prompt = data.get("prompt")
        prompt = "" if prompt is None else prompt
        for name, value in (("text", text), ("prompt", prompt)):
            if not isinstance(value, str):
                raise UsageError(f"{name} should be a string, got {value!r:.80}")
        given = data.get("entities")
        return cls(
            text,
            _names("labels", labels),
            prompt,
            _names("relation_labels", data.get("relation_labels") or ()),
            _names("class_labels", data.get("class_labels") or ()),
            None if given is None else tuple(span_of(text, s) for s in _list("entities", given)),
            _flag(data, "across_lines"),
            tuple(map(Structure.from_dict, _list("structures", data.get("structures") or ()))),
            tuple((str(n), int(k)) for n, k in _list("groups", data.get("class_groups") or ())),
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """How to decode what a model scores.

    Raises:
        TypeError: a threshold is not a number, or ``multi_label`` is neither True nor False.
        ValueError: a threshold outside [0, 1], or an unknown rule.
    """

    threshold: Threshold = 0.5
    """Least score of a span, one number or one for each label."""
    overlap: Overlap = "flat"
    """``flat`` or ``nested`` (spans inside one another)."""
    multi_label: bool = False
    """Allow one span to have several labels."""
    span_score: SpanScore = "mean"
    """How a span's score comes from its words' scores; see ``heads.token``."""
    relation_threshold: float | Mapping[str, float] = 0.5
    """Least score of a relation."""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("overlap", self.overlap, OVERLAPS),
            ("span_score", self.span_score, SPAN_SCORES),
        ):
            if value not in allowed:
                raise UsageError(unknown_choice(name, value, allowed))
        if type(self.multi_label) is not bool:
            raise TypeError(f"multi_label must be True or False, got {self.multi_label!r:.80}")
        for name in ("threshold", "relation_threshold"):
            given = getattr(self, name)
            if isinstance(given, Mapping):
                for label, value in given.items():
                    check_share(f"label {label!r}: {name}", value)
            else:
                check_share(name, given)


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled piece of a text. ``score`` is in [0, 1]; gold spans have score 1."""

    start: int
    end: int
    text: str
    label: str
    score: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "start": self.start,
            "end": self.end,
            "text": self.text,
            "label": self.label,
            "score": self.score,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Span":
        """Read what ``to_dict`` wrote.

        Raises:
            ValueError: a field is missing or of another type, the span is empty, or its text has
                another length.
        """
        start, end = _places(data)
        text, label = _field(data, "text"), _field(data, "label")
        for name, value in (("text", text), ("label", label)):
            if not isinstance(value, str):
                raise UsageError(f"{name} of span {start}:{end} should be a string, got {value!r}")
        if not 0 <= start < end or end - start != len(text):
            raise UsageError(f"span {start}:{end} cannot be the place of {text!r:.80}")
        return cls(start, end, text, label, _share(data, "score") if "score" in data else 1.0)

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share at least one character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Relation:
    """``head`` stands in the relation ``label`` to ``tail``; both are places in the text.

    The label of a head or tail is empty where its type was not asked for.
    """

    head: Span
    label: str
    tail: Span
    score: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "head": self.head.to_dict(),
            "label": self.label,
            "tail": self.tail.to_dict(),
            "score": self.score,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Relation":
        """Read what ``to_dict`` wrote.

        Raises:
            ValueError: a field is missing or of another type.
        """
        head, label, tail = (_field(data, name) for name in ("head", "label", "tail"))
        if not isinstance(label, str):
            raise UsageError(f"label of a relation should be a string, got {label!r:.80}")
        return cls(
            Span.from_dict(head),
            label,
            Span.from_dict(tail),
            _share(data, "score") if "score" in data else 1.0,
        )


@dataclass(frozen=True, slots=True)
class Instance:
    """One record that a text holds, as a model with the kind ``records`` finds it."""

    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    """Spans by field name, best score first; a span's label is the field's name."""
    choices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Score in [0, 1] of every choice, by field name."""

    def __bool__(self) -> bool:
        return any(self.spans.values()) or any(self.choices.values())


@dataclass(frozen=True, slots=True)
class Found:
    """What one pass over a query found."""

    spans: tuple[Span, ...] = ()
    relations: tuple[Relation, ...] = ()
    classes: Mapping[str, float] = field(default_factory=dict)
    """The logit of each class label: of a long text the mean over its windows, weighted by their
    words; empty for a text without words. Probabilities are made of them by the task."""
    records: Mapping[str, tuple[Instance, ...]] = field(default_factory=dict)
    """The instances of each structure, by its name, in the order in which the model counts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``span`` is None where the text does not answer.

    ``score`` belongs to the span (0 without one). ``no_answer_score`` in [0, 1] says how likely
    the text is not to answer, and is comparable across texts.
    """

    span: Span | None
    score: float
    no_answer_score: float

    @property
    def text(self) -> str:
        """The answer's text, empty without one."""
        return self.span.text if self.span else ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "span": self.span.to_dict() if self.span else None,
            "score": self.score,
            "no_answer_score": self.no_answer_score,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Answer":
        """Read what ``to_dict`` wrote.

        Raises:
            ValueError: a field is missing or of another type.
        """
        span = _field(data, "span")
        return cls(
            None if span is None else Span.from_dict(span),
            _share(data, "score"),
            _share(data, "no_answer_score"),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """The chosen pieces of the text, in the order of the text."""

    spans: tuple[Span, ...]

    @property
    def text(self) -> str:
        return " ".join(span.text.strip() for span in self.spans)

    def to_dict(self) -> dict[str, Any]:
        return {"spans": [span.to_dict() for span in self.spans], "text": self.text}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Summary":
        """Read what ``to_dict`` wrote.

        Raises:
            ValueError: a field is missing or of another type.
        """
        return cls(tuple(map(Span.from_dict, _list("spans", _field(data, "spans")))))


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """An instance of a schema that a text fills, and what in the text says so."""

    value: T
    """The validated instance; a dict of what was found where ``error`` says why there is none."""
    spans: Mapping[str, tuple[Span, ...]]
    """Evidence for each filled field by its name; names of nested fields are joined with dots. A
    choice that the class head made has none."""
    score: float
    """Mean of the scores of what was chosen."""
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        from pydantic_core import to_jsonable_python

        spans = {name: [span.to_dict() for span in its] for name, its in self.spans.items()}
        data = {"value": to_jsonable_python(self.value), "spans": spans, "score": self.score}
        return {**data, "error": self.error} if self.error else data


@dataclass(frozen=True, slots=True)
class Reading:
    """What ``read`` found in a text: things of all kinds, each as its own task gives them."""

    entities: tuple[Span, ...] = ()
    relations: tuple[Relation, ...] = ()
    classes: "Mapping[str, Classification]" = field(default_factory=dict)
    """By the name of the question."""
    records: Mapping[str, tuple[Record[Any], ...]] = field(default_factory=dict)
    """By the name of the schema."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return {
            "entities": [span.to_dict() for span in self.entities],
            "relations": [relation.to_dict() for relation in self.relations],
            "classes": {name: found.to_dict() for name, found in self.classes.items()},
            "records": {name: [r.to_dict() for r in own] for name, own in self.records.items()},
        }


@dataclass(frozen=True, slots=True)
class Redaction:
    """A text whose private spans are replaced, and the way back."""

    text: str
    """The text with the replacements in it."""
    spans: tuple[Span, ...]
    """What was replaced, at its place in the original text."""
    replacements: tuple[str, ...]
    """What stands there now, one for each span."""

    def to_original(self, offset: int) -> int:
        """Return the place in the original text of a place in ``text``.

        Inside a replacement that is where the span began.

        Raises:
            ValueError: the offset lies outside ``text``.
        """
        if not 0 <= offset <= len(self.text):
            raise UsageError(
                f"offset {offset} lies outside the redacted text, which has {len(self.text)} "
                "characters"
            )
        moved = 0  # by how much places behind the last span lie further on in ``text``
        for span, replacement in zip(self.spans, self.replacements, strict=True):
            begin = span.start + moved
            if offset < begin:
                break
            if offset < begin + len(replacement):
                return span.start
            moved += len(replacement) - (span.end - span.start)
        return offset - moved

    def restore(self, text: str) -> str:
        """Put the originals back into ``text``: the redacted text, or another that quotes it.

        In another text, such as an answer about the redacted one, every replacement is put back
        wherever it stands.

        Raises:
            ValueError: another text, and a replacement that stands for two different originals.
        """
        if text == self.text:
            parts, end, moved = [], 0, 0
            for span, replacement in zip(self.spans, self.replacements, strict=True):
                begin = span.start + moved
                parts += [text[end:begin], span.text]
                end = begin + len(replacement)
                moved += len(replacement) - len(span.text)
            return "".join([*parts, text[end:]])
        originals: dict[str, str] = {}
        for span, replacement in zip(self.spans, self.replacements, strict=True):
            first = originals.setdefault(replacement, span.text)
            if first.casefold().split() != span.text.casefold().split():
                raise UsageError(
                    f"{replacement!r} stands for {first!r} and {span.text!r}; "
                    "redact with placeholder='[{label} {number}]' or 'pseudonym' to restore other "
                    "texts"
                )
        if not originals:
            return text
        longest_first = sorted(originals, key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first))
        return re.sub(pattern, lambda found: originals[found[0]], text)

    def to_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "spans": [span.to_dict() for span in self.spans],
            "replacements": list(self.replacements),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Redaction":
        return cls(
            data["text"],
            tuple(Span.from_dict(span) for span in data["spans"]),
            tuple(data["replacements"]),
        )


@dataclass(frozen=True, slots=True)
class Classification:
    """Which labels a text as a whole has."""

    label: str | None
    """The best one; None where not one reaches its threshold."""
    labels: tuple[str, ...]
    """All that do, the best first; at most one where the labels exclude one another."""
    scores: Mapping[str, float]
    """Score of every label that was asked, 0 to 1."""

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "labels": list(self.labels), "scores": dict(self.scores)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Classification":
        """Read what ``to_dict`` wrote.

        Raises:
            ValueError: a field is missing or of another type.
        """
        label, scores = _field(data, "label"), _field(data, "scores")
        if label is not None and not isinstance(label, str):
            raise UsageError(f"label should be a string or null, got {label!r:.80}")
        if not isinstance(scores, Mapping):
            raise UsageError(f"scores should be a mapping, got {scores!r:.80}")
        return cls(
            label,
            _names("labels", _field(data, "labels")),
            {name: _share(scores, name) for name in scores},
        )


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
                _place(span) | ({"score": span.score} if span.score != 1 else {})
                for span in self.spans
            ],
            "task": self.task,
        }
        if self.relations:
            data["relations"] = [
                {"head": _place(r.head), "label": r.label, "tail": _place(r.tail)}
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
        for raw in _list("spans", _field(data, "spans")):
            span = span_of(text, raw)
            if raw.get("score") is not None:
                span = replace(span, score=_share(raw, "score"))
            _asked("span label", span.label, query.labels)
            spans.append(span)
        relations = tuple(
            _gold_relation(query, raw) for raw in _list("relations", data.get("relations") or ())
        )
        classes = _names("classes", data.get("classes") or ())
        for name in classes:
            _asked("class", name, query.classes)
        silent = tuple(_range(text, raw) for raw in _list("silent", data.get("silent") or ()))
        if data.get("task") is None:
            task = guess_task(query.prompt, query.labels)
        else:
            task = named_task(data["task"])
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


def span_of(text: str, data: Mapping[str, Any]) -> Span:
    """Read a gold span of a text from its ``start``, ``end`` and ``label``.

    Raises:
        ValueError: a field is missing or of another type, start and end lie outside the text, or
            ``data`` has a ``text`` that does not stand there.
    """
    (start, end), label = _places(data), _field(data, "label")
    if not isinstance(label, str):
        raise UsageError(f"label of span {start}:{end} should be a string, got {label!r:.80}")
    _inside(text, start, end)
    given = data.get("text")
    if given is not None and given != text[start:end]:
        raise UsageError(
            f"span {given!r:.80} is not at {start}:{end}, where the text has "
            f"{text[start:end]!r:.80}"
        )
    return Span(start, end, text[start:end], label)


def _place(span: Span) -> dict[str, Any]:
    return {"start": span.start, "end": span.end, "label": span.label}


def _places(data: object) -> tuple[int, int]:
    start, end = _field(data, "start"), _field(data, "end")
    if type(start) is not int or type(end) is not int:
        raise UsageError(f"span {start!r}:{end!r} should be two whole numbers")
    return start, end


def _inside(text: str, start: int, end: int) -> None:
    if not 0 <= start < end <= len(text):
        raise UsageError(
            f"span {start}:{end} lies outside the text, which has {len(text)} characters"
        )


def _range(text: str, raw: object) -> tuple[int, int]:
    start, end = _two_numbers("silent", raw)
    _inside(text, start, end)
    return start, end


def _gold_relation(query: Query, raw: object) -> Relation:
    head, label, tail = (_field(raw, name) for name in ("head", "label", "tail"))
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
    for pair in _list("judged", raw):
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


def _share(data: Mapping[str, Any], name: str) -> float:
    try:
        return check_share(name, _field(data, name))
    except TypeError as error:
        raise UsageError(str(error)) from error


def _field(data: object, name: str) -> Any:
    if not isinstance(data, Mapping):
        raise UsageError(f"expected an object with the field {name!r}, got {data!r:.80}")
    if name not in data:
        raise UsageError(f"no {name!r} field; there are {', '.join(map(repr, data)) or 'none'}")
    return data[name]


def _flag(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name) or False
    if type(value) is not bool:
        raise UsageError(f"{name} should be true or false, got {value!r:.80}")
    return value


def _list(name: str, value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{name} should be a list, got {value!r:.80}")
    return value


def _names(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(map(_is_name, value)):
        raise UsageError(f"{name} should be a list of non-empty strings, got {value!r:.80}")
    return tuple(value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def to_json(value: object) -> Any:
    """Return a result as what JSON can hold: ``json.dumps(spans, default=glinermt.to_json)``.

    Raises:
        TypeError: it is not one of our results or data.
    """
    to_dict = getattr(value, "to_dict", None)
    if to_dict is None or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} is not JSON serializable: {value!r:.80}")
    return to_dict()


@runtime_checkable
class Extractor(Protocol):
    """All that the tasks know of a model.

    A model may also have ``kinds: frozenset[Kind]``, what it finds (without it: spans), and
    ``read(queries, ask: Ask) -> list[Found]``, which finds all kinds in one pass.
    """

    @property
    def settings(self) -> TaskSettings:
        """Thresholds and prompt wordings saved with the model."""
        ...

    def extract(
        self,
        queries: Sequence[Query],
        *,
        threshold: Threshold = 0.5,
        overlap: Overlap = "flat",
        multi_label: bool = False,
        span_score: SpanScore = "mean",
    ) -> list[list[Span]]:
        """Find each query's spans, in the order of the text; one list a query."""
        ...
