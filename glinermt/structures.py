"""What a model with the kind ``records`` is asked for: structures, whose instances a text holds.

Importing this module costs no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


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
    overlap: Literal["flat", "nested"] | None = None
    """How spans of one field may overlap; None = ``Ask.overlap``."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Structure":
        """Read what ``dataclasses.asdict`` makes of one."""
        fields = (
            Field(**{**field, "choices": tuple(field.get("choices", ()))})
            for field in data["fields"]
        )
        return cls(data["name"], tuple(fields), data.get("overlap"))
