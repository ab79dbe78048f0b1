"""What the benchmarks ask: one frozen dataclass an example, gold included."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glinermt.types import Relation, Span


@dataclass(frozen=True, slots=True)
class NerCase:
    """A text, the labels asked of it (the same for its whole set), and its gold spans."""

    id: str
    group: str
    text: str
    labels: tuple[str, ...]
    spans: tuple[Span, ...]
    nested: bool = False
    """Whether spans of the set overlap, so that nested ones are asked for."""


@dataclass(frozen=True, slots=True)
class QaCase:
    """A question about a text. No ``answers`` = the text does not answer."""

    id: str
    group: str
    question: str
    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RelationCase:
    """A pair of a text and the relation it stands in; ``relations`` are all the set has.

    ``group`` names the protocol the case is for.
    """

    id: str
    group: str
    text: str
    head: Span
    tail: Span
    relation: str
    relations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DocumentCase:
    """A text with its entities and the relations between them, to be found both.

    ``labels`` are the entity types of the whole set, empty where the set does not type its
    entities; ``names`` are its relations. ``group`` names the set and what is given.
    """

    id: str
    group: str
    text: str
    labels: tuple[str, ...]
    names: tuple[str, ...]
    spans: tuple[Span, ...]
    relations: tuple[Relation, ...]


@dataclass(frozen=True, slots=True)
class ClassCase:
    """A text and the classes that hold of it, of all that the set has; perhaps not one."""

    id: str
    group: str
    text: str
    labels: tuple[str, ...]
    classes: frozenset[str]
    several: bool = False
    """Whether texts of the set have several classes, or none."""


@dataclass(frozen=True, slots=True)
class SummaryCase:
    """A document and its gold summary; ``group`` names the mode the case is for."""

    id: str
    group: str
    text: str
    summary: str


@dataclass(frozen=True, slots=True)
class RecordCase:
    """A text with the records that a schema finds in it, each value with its place."""

    id: str
    group: str
    text: str
    schema: Mapping[str, Any]
    """A JSON schema of an object without nested ones."""
    anchor: str | None
    """The field that each of several records has one of; None = there is one record."""
    records: tuple[Mapping[str, Any], ...]
    """Values as JSON has them."""
    spans: tuple[Mapping[str, tuple[Span, ...]], ...]
    """For each record, what in the text says each field."""
