"""A batch of rows as the network reads it: tensors on its device."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from glinermt.encoding import PaddedRows


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

    @staticmethod
    def from_rows(rows: PaddedRows) -> "Batch":
        """Return the rows as tensors that share their memory."""
        tensors: dict[str, Any] = {
            field.name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            for field in fields(rows)
            for value in [getattr(rows, field.name)]
        }
        return Batch(**tensors)

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
            field.name: value.to(device) if isinstance(value, Tensor) else value
            for field in fields(self)
            for value in [getattr(self, field.name)]
        }
        return Batch(**moved)
