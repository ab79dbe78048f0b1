"""Labels whose vectors a bi-encoder has computed once, to be asked of any number of texts."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, overload, runtime_checkable

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from glinermt.errors import CheckpointError, UsageError

_FORMAT = "glinermt label index 1"


class IndexedLabel(str):
    """A label that brings its vector along, whatever function it is given to."""

    __slots__ = ("owner", "row")
    owner: "LabelIndex"
    row: int

    @property
    def vector(self) -> Float[Tensor, " hidden"]:
        return self.owner.vectors[self.row]

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class LabelIndex(Sequence[str]):
    """A list of labels and their vectors; give it wherever a list of labels is asked for.

    Make one with ``GlinerMT.encode_labels``. It belongs to the model that made it.

    Example:
        >>> index = model.encode_labels(["person", "city"])  # doctest: +SKIP
        >>> index.save("labels.safetensors")  # doctest: +SKIP
        >>> extract_entities(text, index, model=model)  # doctest: +SKIP
    """

    def __init__(
        self, labels: Sequence[str], vectors: Float[Tensor, "label hidden"], model: str
    ) -> None:
        if len(labels) != len(vectors):
            raise UsageError(f"{len(labels)} labels do not go with {len(vectors)} vectors")
        self.vectors = vectors
        self.model = model
        self._labels = [self._label(name, row) for row, name in enumerate(labels)]

    def _label(self, name: str, row: int) -> IndexedLabel:
        label = IndexedLabel(name)
        label.owner, label.row = self, row
        return label

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        found: str | list[str] = self._labels[index]  # type: ignore[assignment]
        return found

    def __repr__(self) -> str:
        return f"LabelIndex({len(self)} labels, {self.vectors.shape[1]} wide)"

    def save(self, path: str | Path) -> None:
        """Write labels and vectors to a safetensors file."""
        names = json.dumps([str(label) for label in self])
        metadata = {"format": _FORMAT, "model": self.model, "labels": names}
        save_file({"vectors": self.vectors.contiguous()}, path, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path) -> "LabelIndex":
        """Read what ``save`` wrote.

        Raises:
            CheckpointError: no such file, or another kind of file.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                vectors = file.get_tensor("vectors") if "vectors" in file.keys() else None  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: no label index can be read: {error}") from error
        if metadata.get("format") != _FORMAT or vectors is None or vectors.ndim != 2:
            raise CheckpointError(f"{path}: not a label index; LabelIndex.save writes them")
        labels = json.loads(metadata["labels"])
        if len(labels) != len(vectors):
            raise CheckpointError(f"{path}: {len(labels)} labels, but {len(vectors)} vectors")
        return cls(labels, vectors, metadata.get("model", ""))


@runtime_checkable
class LabelEncoder(Protocol):
    """What reads labels apart from texts."""

    def encode_labels(self, labels: Sequence[str]) -> LabelIndex: ...


def vectors_of(labels: Sequence[str], model: str) -> dict[str, Tensor]:
    """Return the vectors that labels bring along.

    Raises:
        ValueError: they were computed by another model.
    """
    found: dict[str, Tensor] = {}
    for label in labels:
        if isinstance(label, IndexedLabel):
            if label.owner.model != model:
                raise UsageError(
                    f"label {str(label)!r} was encoded by another model; encode the labels again "
                    "with this model's encode_labels"
                )
            found[label] = label.vector
    return found
