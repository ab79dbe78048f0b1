"""What the tasks give: answers, summaries, records, redactions, classes; ready for JSON."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from glinermt import fields
from glinermt.errors import UsageError
from glinermt.queries import Relation, Span

T = TypeVar("T")


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
        span = fields.get(data, "span")
        return cls(
            None if span is None else Span.from_dict(span),
            fields.share(data, "score"),
            fields.share(data, "no_answer_score"),
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
        return cls(tuple(map(Span.from_dict, fields.items("spans", fields.get(data, "spans")))))


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
            ValueError: another text, and a replacement that is blank or stands for two different
                originals.
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
            if not replacement.strip():
                raise UsageError(
                    f"{span.text!r} was replaced by {replacement!r}, which another text may have "
                    "anywhere; redact with a placeholder that can be told from text"
                )
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
        """Read what ``to_dict`` wrote.

        Raises:
            ValueError: a field is missing or of another type, or there are not as many
                replacements as spans.
        """
        spans = tuple(map(Span.from_dict, fields.items("spans", fields.get(data, "spans"))))
        replacements = fields.items("replacements", fields.get(data, "replacements"))
        text = fields.get(data, "text")
        for name, value in (("text", text), *(("a replacement", one) for one in replacements)):
            if not isinstance(value, str):
                raise UsageError(f"{name} should be a string, got {value!r:.80}")
        if len(spans) != len(replacements):
            raise UsageError(f"{len(spans)} spans have {len(replacements)} replacements")
        return cls(text, spans, tuple(replacements))


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
        label, scores = fields.get(data, "label"), fields.get(data, "scores")
        if label is not None and not isinstance(label, str):
            raise UsageError(f"label should be a string or null, got {label!r:.80}")
        if not isinstance(scores, Mapping):
            raise UsageError(f"scores should be a mapping, got {scores!r:.80}")
        return cls(
            label,
            fields.names("labels", fields.get(data, "labels")),
            {name: fields.share(scores, name) for name in scores},
        )


def to_json(value: object) -> Any:
    """Return a result as what JSON can hold: ``json.dumps(spans, default=glinermt.to_json)``.

    Raises:
        TypeError: it is not one of our results or data.
    """
    to_dict = getattr(value, "to_dict", None)
    if to_dict is None or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} is not JSON serializable: {value!r:.80}")
    return to_dict()
