"""The data all parts speak: a ``Query`` goes in, ``Span``s come out, tasks turn them into results.

All offsets count characters of the caller's text, ``end`` exclusive, so that
``query.text[span.start:span.end] == span.text``. Importing this module costs no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from glinermt.config import TaskSettings

Overlap = Literal["flat", "nested"]
SpanScore = Literal["mean", "min"]
Threshold = float | Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Query:
    """One text, the labels to look for in it, and the instruction read before it.

    The prompt is context only: no returned span ever touches it.
    """

    text: str
    labels: tuple[str, ...]
    prompt: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"text": self.text, "labels": list(self.labels), "prompt": self.prompt}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Query":
        """Read what ``to_dict`` wrote; a prompt may be missing or None.

        Raises:
            ValueError: text, labels or prompt are of another type, or a label is empty.
        """
        text, labels, prompt = data["text"], data["labels"], data.get("prompt")
        prompt = "" if prompt is None else prompt
        for name, value in (("text", text), ("prompt", prompt)):
            if not isinstance(value, str):
                raise ValueError(f"{name} should be a string, got {value!r:.80}")
        if not isinstance(labels, list | tuple) or not all(map(_is_name, labels)):
            raise ValueError(f"labels should be a list of non-empty strings, got {labels!r:.80}")
        return cls(text, tuple(labels), prompt)


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
        return cls(data["start"], data["end"], data["text"], data["label"], data.get("score", 1.0))

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share at least one character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Relation:
    """``head`` stands in the relation ``label`` to ``tail``; both are places in the text."""

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
        return cls(
            Span.from_dict(data["head"]),
            data["label"],
            Span.from_dict(data["tail"]),
            data.get("score", 1.0),
        )


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
        span = Span.from_dict(data["span"]) if data["span"] else None
        return cls(span, data["score"], data["no_answer_score"])


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
        return cls(tuple(Span.from_dict(span) for span in data["spans"]))


@dataclass(frozen=True, slots=True)
class Example:
    """A Query with its gold Spans: the one training format (a line of JSON each).

    Labels of the query without a span are negatives: looked for, not there.
    """

    query: Query
    spans: tuple[Span, ...]

    def to_dict(self) -> dict[str, Any]:
        spans = [{"start": s.start, "end": s.end, "label": s.label} for s in self.spans]
        return {**self.query.to_dict(), "spans": spans}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Example":
        """Read what ``to_dict`` wrote.

        Raises:
            ValueError: a field is of another type, or a span lies outside the text, is empty,
                says another text than stands there, or has a label not asked for.
        """
        query = Query.from_dict(data)
        text, spans = query.text, []
        for raw in data["spans"]:
            label, span = raw["label"], span_of(text, raw)
            if label not in query.labels:
                raise ValueError(f"span label {label!r} is not among the labels {query.labels}")
            spans.append(span)
        return cls(query, tuple(spans))


def span_of(text: str, data: Mapping[str, Any]) -> Span:
    """Read a gold span of a text from its ``start``, ``end`` and ``label``.

    Raises:
        ValueError: start or end are no whole numbers or lie outside the text, or ``data`` has a
            ``text`` that does not stand there.
    """
    start, end, given = data["start"], data["end"], data.get("text")
    if type(start) is not int or type(end) is not int:
        raise ValueError(f"span {start!r}:{end!r} should be two whole numbers")
    if not 0 <= start < end <= len(text):
        raise ValueError(
            f"span {start}:{end} lies outside the text, which has {len(text)} characters"
        )
    if given is not None and given != text[start:end]:
        raise ValueError(
            f"span {given!r:.80} is not at {start}:{end}, where the text has "
            f"{text[start:end]!r:.80}"
        )
    return Span(start, end, text[start:end], data["label"])


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


@runtime_checkable
class Extractor(Protocol):
    """All that the tasks know of a model."""

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
