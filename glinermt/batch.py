"""A batch of rows as the network reads it: tensors on its device."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from glinermt.encoding import ApartRows, PaddedRows


@dataclass(frozen=True, slots=True)
class Apart:
    """The tensors of ``encoding.ApartRows``, which says what they are."""

    text_ids: Int[Tensor, "text token"]
    text_mask: Bool[Tensor, "text token"]
    label_ids: Int[Tensor, "label label_token"]
    label_mask: Bool[Tensor, "label label_token"]
    text: Int[Tensor, " batch"]
    label: Int[Tensor, "batch class"]
    mask: Bool[Tensor, "batch class"]

    @property
    def rows(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Ids and mask of the texts, then of the labels."""
        return (self.text_ids, self.text_mask), (self.label_ids, self.label_mask)

    def to(self, device: torch.device | str) -> "Apart":
        return Apart(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Batch:
    """The tensors of ``encoding.PaddedRows``, which says what they are."""

    input_ids: Int[Tensor, "batch token"]
    attention_mask: Bool[Tensor, "batch token"]
    word_position: Int[Tensor, "batch word"]
    word_mask: Bool[Tensor, "batch word"]
    label_position: Int[Tensor, "batch label"]
    label_length: Int[Tensor, "batch label"]
    label_mask: Bool[Tensor, "batch label"]
    num_labels: tuple[int, int, int]
    num_prompt_words: tuple[int, ...]
    apart: Apart | None = None

    @staticmethod
    def from_rows(rows: PaddedRows) -> "Batch":
        """Return the rows as tensors that share their memory."""
        return Batch(**_tensors(rows))

    @property
    def class_mask(self) -> Bool[Tensor, "batch class"]:
        """The classes that each row asks for; the rest is padding."""
        return self.by_kind(self.label_mask)[2] if self.apart is None else self.apart.mask

    @property
    def text_mask(self) -> Bool[Tensor, "batch word"]:
        """The words of the text: neither padding nor prompt."""
        prompt = torch.tensor(self.num_prompt_words, device=self.word_mask.device)[:, None]
        place = torch.arange(self.word_mask.shape[1], device=self.word_mask.device)
        return self.word_mask & (place >= prompt)

    def by_kind(self, labels: Shaped[Tensor, "batch label ..."]) -> tuple[Tensor, Tensor, Tensor]:
        """Split what has a label axis into its parts for spans, relations and classes."""
        spans, relations, classes = torch.split(labels, list(self.num_labels), dim=1)
        return spans, relations, classes

    def to(self, device: torch.device | str) -> "Batch":
        moved: dict[str, Any] = {
            field.name: value.to(device) if isinstance(value, Tensor | Apart) else value
            for field in fields(self)
            for value in [getattr(self, field.name)]
        }
        return Batch(**moved)


def _tensors(rows: PaddedRows | ApartRows) -> dict[str, Any]:
    """Return the fields, arrays as tensors that share their memory."""
    found: dict[str, Any] = {field.name: getattr(rows, field.name) for field in fields(rows)}
    for name, value in found.items():
        if isinstance(value, np.ndarray):
            found[name] = torch.from_numpy(value)
        elif isinstance(value, ApartRows):
            found[name] = Apart(**_tensors(value))
    return found
