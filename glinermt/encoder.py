"""Reads a batch with any encoder: tokens in, word vectors and label vectors out."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glinermt.batch import Batch
from glinermt.encoding import NO_TOKEN


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
        width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.projection = nn.Linear(width, hidden_size) if width != hidden_size else nn.Identity()
        self.label_pooling = label_pooling

    def forward(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "batch word hidden"], Float[Tensor, "batch label hidden"]]:
        mask = batch.attention_mask.long()
        tokens = self.encoder(input_ids=batch.input_ids, attention_mask=mask).last_hidden_state
        tokens = self.projection(tokens)
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
    mask = attention_mask.long()
    tokens = encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
    weight = attention_mask.to(tokens.dtype)[:, None]  # row 1 token
    mean: Tensor = (weight @ tokens).squeeze(1) / weight.sum(-1)
    return mean


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
