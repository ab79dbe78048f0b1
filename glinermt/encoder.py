"""Reads a batch with any encoder: rows of tokens in, word vectors and label vectors out."""

from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from glinermt.layers import resized
from glinermt.rows import NO_TOKEN, ApartRows, PaddedRows


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


class WordEncoder(nn.Module):
    """The encoder, an optional projection to ``hidden_size``, and the pooling.

    A word's vector is the one of its first token (zero where it has none). A label's vector is
    the one of the ``<<ENT>>`` before it (``marker``) or the mean of the label's own tokens.
    """

    def __init__(
        self,
        encoder: nn.Module,
        hidden_size: int,
        *,
        label_pooling: Literal["marker", "mean"] = "marker",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = resized(encoder, hidden_size)
        self.label_pooling = label_pooling

    def forward(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "batch word hidden"], Float[Tensor, "batch label hidden"]]:
        tokens = self.projection(token_vectors(self.encoder, batch.input_ids, batch.attention_mask))
        words = _gather(tokens, batch.word_position.clamp(min=0))
        words = words * (batch.word_position != NO_TOKEN)[:, :, None]
        if self.label_pooling == "marker":
            return words, _gather(tokens, batch.label_position)
        return words, _label_means(tokens, batch)

    def sentence_vectors(
        self, input_ids: Int[Tensor, "row token"], attention_mask: Bool[Tensor, "row token"]
    ) -> Float[Tensor, "row width"]:
        """Return the mean over the tokens of each row, in the encoder's own width."""
        return sentence_vectors(self.encoder, input_ids, attention_mask)


def sentence_vectors(
    encoder: nn.Module,
    input_ids: Int[Tensor, "row token"],
    attention_mask: Bool[Tensor, "row token"],
) -> Float[Tensor, "row width"]:
    """Return the mean of an encoder's vectors over the tokens of each row, as in Sentence-BERT."""
    tokens = token_vectors(encoder, input_ids, attention_mask)
    weight = attention_mask.to(tokens.dtype)[:, None]  # row 1 token
    mean: Tensor = (weight @ tokens).squeeze(1) / weight.sum(-1)
    return mean


def token_vectors(
    encoder: nn.Module,
    input_ids: Int[Tensor, "row token"],
    attention_mask: Bool[Tensor, "row token"],
) -> Float[Tensor, "row token width"]:
    """Return an encoder's vectors of all tokens.

    On CUDA without cuDNN's attention: it makes a plan for each new shape, 5 ms a layer, and texts
    come in ever new shapes.
    """
    others = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(others) if input_ids.is_cuda else nullcontext():
        found = encoder(input_ids=input_ids, attention_mask=attention_mask.long())
    tokens: Tensor = found.last_hidden_state
    return tokens


def _gather(
    tokens: Float[Tensor, "batch token hidden"], position: Tensor
) -> Float[Tensor, "batch position hidden"]:
    return tokens.gather(1, position[:, :, None].expand(-1, -1, tokens.shape[2]))


def _label_means(
    tokens: Float[Tensor, "batch token hidden"], batch: Batch
) -> Float[Tensor, "batch label hidden"]:
    """Average each label's own tokens; its ``<<ENT>>`` stands in where it has none."""
    position = torch.arange(tokens.shape[1], device=tokens.device)[None, None, :]
    marker = batch.label_position[:, :, None]
    length = batch.label_length[:, :, None]
    first = marker + (length > 0)
    inside = (position >= first) & (position <= marker + length)  # batch label token
    weights = inside.to(tokens.dtype)
    return (weights @ tokens) / weights.sum(-1, keepdim=True)
