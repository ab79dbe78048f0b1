"""What a model with the kind ``records`` is asked for and finds: structures and their instances.

Importing this module costs no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from glinermt.types import Ask, Span


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a structure: spans of the text, or a choice among given values."""

    name: str
    description: str = ""
    choices: tuple[str, ...] = ()
    """The values the field may have; empty = its values are spans."""
    threshold: float | None = None
    """Least score; None = ``Ask.threshold``."""


@dataclass(frozen=True, slots=True)
class Structure:
    """A record's name and its fields."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """One record that a text holds."""

    spans: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    """Spans by field name, best score first; a span's label is the field's name."""
    choices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Score in [0, 1] of every choice, by field name."""

    def __bool__(self) -> bool:
        return any(self.spans.values()) or any(self.choices.values())


@runtime_checkable
class RecordReader(Protocol):
    """A model that reads structures in one pass."""

    def read_records(
        self, texts: Sequence[str], structure: Structure, ask: Ask
    ) -> list[list[Instance]]:
        """Return the instances of the structure in each text, in the order the model counts."""
        ...
