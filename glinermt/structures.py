"""What some families are asked beside labels: records, and attributes of the spans they find.

Importing this module costs no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from glinermt.errors import UsageError, unknown_choice

RecordMode = Literal["natural", "latent", "anchorless"]
RECORD_MODES = ("natural", "latent", "anchorless")
Cardinality = Literal["optional_one", "required_one", "zero_or_more", "one_or_more"]
CARDINALITIES = ("optional_one", "required_one", "zero_or_more", "one_or_more")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a structure: spans of the text, or a choice among given values."""

    name: str
    description: str = ""
    choices: tuple[str, ...] = ()
    """The values the field may have; empty = its values are spans."""
    threshold: float | None = None
    """Least score; None = ``Ask.threshold``."""
    cardinality: Cardinality | None = None
    """How many values one record has, for models that form records; None = any number, of an
    anchor one."""
    exclusive: bool = False
    """Whether a span may be the value of one record only."""

    @property
    def cardinality_or_default(self) -> Cardinality:
        return self.cardinality or "zero_or_more"


@dataclass(frozen=True, slots=True)
class Structure:
    """A record's name and its fields."""

    name: str
    fields: tuple[Field, ...]
    overlap: Literal["flat", "nested"] | None = None
    """How spans of one field may overlap; None = ``Ask.overlap``."""
    mode: RecordMode | None = None
    """How instances are told apart, for models that can choose (GLiNER2.5): ``natural``, one for
    each span of the anchor; ``latent``, from any span; ``anchorless``, from nothing but the text;
    None = all values are one instance's."""
    anchor: str = ""
    """The field that ``natural`` takes; empty = the first."""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("mode", self.mode, RECORD_MODES),
            *(("cardinality", one.cardinality, CARDINALITIES) for one in self.fields),
        ):
            if value is not None and value not in allowed:
                raise UsageError(unknown_choice(name, value, allowed))
        names = [one.name for one in self.fields]
        if self.anchor and self.mode != "natural":
            raise UsageError(f"structure {self.name!r}: only mode='natural' has an anchor")
        if self.anchor and self.anchor not in names:
            raise UsageError(
                f"structure {self.name!r}: {unknown_choice('anchor', self.anchor, names)}"
            )

    @property
    def anchor_index(self) -> int:
        return [one.name for one in self.fields].index(self.anchor) if self.anchor else 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Structure":
        """Read what ``dataclasses.asdict`` makes of one."""
        fields = (
            Field(**{**field, "choices": tuple(field.get("choices", ()))})
            for field in data["fields"]
        )
        return cls(
            data["name"],
            tuple(fields),
            data.get("overlap"),
            data.get("mode"),
            data.get("anchor", ""),
        )


@dataclass(frozen=True, slots=True)
class Attributes:
    """A group of labels that describe a span: its mood, say, or its kind."""

    name: str
    labels: tuple[str, ...]
    multi_label: bool = False
    """Whether a span may have several of the labels; else they share a probability of 1."""
    applies_to: tuple[str, ...] = ()
    """Labels of the spans that are described; empty = all."""
    qualified: bool = False
    """Whether the model reads ``name: label`` for a label, which tells equal ones apart."""

    def __post_init__(self) -> None:
        if not self.name.strip() or not all(label.strip() for label in self.labels):
            raise UsageError(f"attributes {self.name!r}: a name or label is empty")
        if not self.labels:
            raise UsageError(f"attributes {self.name!r} have no labels")

    @property
    def asked(self) -> tuple[str, ...]:
        """What the model reads for each label."""
        return tuple(f"{self.name}: {x}" if self.qualified else x for x in self.labels)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Attributes":
        """Read what ``dataclasses.asdict`` makes of one."""
        lists = {key: tuple(data.get(key, ())) for key in ("labels", "applies_to")}
        return cls(**{**data, **lists})
