"""What is asked of a text and what was found in it: queries, spans, relations, and who answers.

All offsets count characters of the caller's text, ``end`` exclusive, so that
``query.text[span.start:span.end] == span.text``. Importing this module costs no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from glinermt import fields
from glinermt.config import SPAN_SCORES, SpanScore, TaskSettings, check_share, tempered
from glinermt.errors import UsageError, unknown_choice
from glinermt.structures import Attributes, Structure

Overlap = Literal["flat", "nested"]
Threshold = float | Mapping[str, float]
Kind = Literal["spans", "relations", "classes", "records"]
OVERLAPS = ("flat", "nested")


@dataclass(frozen=True, slots=True)
class Best:
    """Only the best spans are wanted, and what may be chosen in their place.

    That is what overlaps them or a longer span around them, as far as it is needed.
    """

    count: int = 1
    """How many that do not overlap."""
    near: float = 0.0
    """How much less a longer span around a best one may score, to be chosen instead."""
    temperature: float = 1.0
    """By which scores are compared for that; see ``config.tempered``."""

    def least(self, score: float) -> float:
        """Return the score from which on spans may matter beside one that has ``score``."""
        limit = tempered(score, self.temperature) - self.near - 1e-6
        return tempered(limit, 1 / self.temperature) if limit > 0 else 0.0


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
    attributes: tuple[Attributes, ...] = ()
    """What else is asked of each span that is found, for GLiNER2 models."""
    structures: tuple[Structure, ...] = ()
    """Records that are looked for as a whole, for a model with the kind ``records``."""
    class_groups: tuple[tuple[str, int], ...] = ()
    """Where ``classes`` answer several questions: the name of each and its number of classes, in
    their order, for families whose models read these; () = all answer one question."""
    best: Best | None = field(default=None, compare=False)
    """Which of all spans are wanted; None = all. It is no part of the question."""
    casing: float = field(default=0.0, compare=False)
    """How spans that part capitalised words are doubted; see ``TaskSettings``. As above."""

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
        if self.attributes:
            data["attributes"] = [asdict(group) for group in self.attributes]
        if self.structures:
            data["structures"] = [asdict(structure) for structure in self.structures]
        if self.class_groups:
            data["class_groups"] = [list(group) for group in self.class_groups]
        if self.entities is not None:
            data["entities"] = [place_of(span) for span in self.entities]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Query":
        """Read what ``to_dict`` wrote; a prompt may be missing or None.

        Raises:
            ValueError: a field is missing or of another type, a label is empty, or a given span
                lies outside the text.
        """
        text, labels = fields.get(data, "text"), fields.get(data, "labels")
        prompt = data.get("prompt")
        prompt = "" if prompt is None else prompt
        for name, value in (("text", text), ("prompt", prompt)):
            if not isinstance(value, str):
                raise UsageError(f"{name} should be a string, got {value!r:.80}")
        given = data.get("entities")
        entities = None if given is None else fields.items("entities", given)
        given_attributes = fields.items("attributes", data.get("attributes") or ())
        structures = fields.items("structures", data.get("structures") or ())
        groups = fields.items("groups", data.get("class_groups") or ())
        return cls(
            text,
            fields.names("labels", labels),
            prompt,
            fields.names("relation_labels", data.get("relation_labels") or ()),
            fields.names("class_labels", data.get("class_labels") or ()),
            None if entities is None else tuple(span_of(text, span) for span in entities),
            fields.flag(data, "across_lines"),
            tuple(map(Attributes.from_dict, given_attributes)),
            tuple(map(Structure.from_dict, structures)),
            tuple((str(name), int(number)) for name, number in groups),
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
    adjacency_threshold: float | None = None
    """Least probability that two spans are related at all, for models that ask this first: relex,
    where None = ``threshold``, and GLiFormer, where None = 0.5, as in their packages."""

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
        if self.adjacency_threshold is not None:
            check_share("adjacency_threshold", self.adjacency_threshold)


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
        text, label = fields.get(data, "text"), fields.get(data, "label")
        for name, value in (("text", text), ("label", label)):
            if not isinstance(value, str):
                raise UsageError(f"{name} of span {start}:{end} should be a string, got {value!r}")
        if not 0 <= start < end or end - start != len(text):
            raise UsageError(f"span {start}:{end} cannot be the place of {text!r:.80}")
        return cls(start, end, text, label, fields.share(data, "score") if "score" in data else 1.0)

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
        head, label, tail = (fields.get(data, name) for name in ("head", "label", "tail"))
        if not isinstance(label, str):
            raise UsageError(f"label of a relation should be a string, got {label!r:.80}")
        return cls(
            Span.from_dict(head),
            label,
            Span.from_dict(tail),
            fields.share(data, "score") if "score" in data else 1.0,
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
    attributes: tuple[Mapping[str, Mapping[str, float]], ...] = ()
    """For each of ``spans`` the probability of each label of the attributes that apply to it, by
    their name; empty where none are asked."""


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


def span_of(text: str, data: Mapping[str, Any]) -> Span:
    """Read a gold span of a text from its ``start``, ``end`` and ``label``.

    Raises:
        ValueError: a field is missing or of another type, start and end lie outside the text, or
            ``data`` has a ``text`` that does not stand there.
    """
    (start, end), label = _places(data), fields.get(data, "label")
    if not isinstance(label, str):
        raise UsageError(f"label of span {start}:{end} should be a string, got {label!r:.80}")
    inside(text, start, end)
    given = data.get("text")
    if given is not None and given != text[start:end]:
        raise UsageError(
            f"span {given!r:.80} is not at {start}:{end}, where the text has "
            f"{text[start:end]!r:.80}"
        )
    return Span(start, end, text[start:end], label)


def place_of(span: Span) -> dict[str, Any]:
    """Return a span as a row holds it: its text stands in the row's."""
    return {"start": span.start, "end": span.end, "label": span.label}


def _places(data: object) -> tuple[int, int]:
    start, end = fields.get(data, "start"), fields.get(data, "end")
    if type(start) is not int or type(end) is not int:
        raise UsageError(f"span {start!r}:{end!r} should be two whole numbers")
    return start, end


def inside(text: str, start: int, end: int) -> None:
    """Raise UsageError where a place lies outside the text or is empty."""
    if not 0 <= start < end <= len(text):
        raise UsageError(
            f"span {start}:{end} lies outside the text, which has {len(text)} characters"
        )
