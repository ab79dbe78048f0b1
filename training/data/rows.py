"""Gold rows as they are read from files: what a dataset says, before anything is sampled from it.

Spans count characters of ``text``; they are sorted and no two of one label overlap.
"""

from dataclasses import dataclass

from glinermt.types import Example, Span


@dataclass(frozen=True, slots=True)
class EntityRow:
    """A text with its labelled entities."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class RelationRow:
    """A text with its ``(head, relation, tail)`` triples."""

    text: str
    triples: tuple[tuple[Span, str, Span], ...]
    unrelated: tuple[tuple[Span, Span], ...] = ()
    """Pairs of which the data set says that none of its relations holds."""


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A paragraph, a question and the places that answer it (none: it is not answered here)."""

    text: str
    question: str
    answers: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """A text and the sentences that sum it up."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A text and the classes it belongs to: several, or none of the data set's."""

    text: str
    classes: tuple[str, ...]


Row = EntityRow | RelationRow | QuestionRow | SummaryRow | ClassRow | Example
