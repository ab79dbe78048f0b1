"""The network: a batch of numbers in, logits and losses out. It keeps no configuration."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glinermt.encoder import WordEncoder
from glinermt.encoding import Batch
from glinermt.heads.base import Head
from glinermt.layers import BiLSTM
from glinermt.loss import bce_loss


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Rows for the network with their gold values; a long example has several rows."""

    batch: Batch
    targets: Float[Tensor, "row word label axis"]
    valid: Bool[Tensor, "row word label axis"]
    """The places that count in the loss: no padding, no prompt, nothing silent."""
    example: Int[Tensor, " row"]
    """Index of the example each row belongs to."""
    num_examples: int

    @property
    def num_tokens(self) -> int:
        """Tokens, without padding."""
        return int(self.batch.attention_mask.sum())

    def to(self, device: torch.device | str) -> "TrainingBatch":
        return TrainingBatch(
            self.batch.to(device),
            self.targets.to(device),
            self.valid.to(device),
            self.example.to(device),
            self.num_examples,
        )


class Network(nn.Module):
    """Encoder, BiLSTM over words, head. The attributes' names are those of the saved weights."""

    def __init__(self, *, encoder: WordEncoder, rnn: BiLSTM | None, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.rnn = rnn
        self.head = head

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def forward(self, batch: Batch) -> Float[Tensor, "batch word label axis"]:
        """Return the logits; see ``heads.base.Head`` for their last axis."""
        words, labels = self.encoder(batch)
        if self.rnn is not None:
            words = self.rnn(words, batch.word_mask)
        logits: Tensor = self.head(words, labels)
        return logits

    def loss(
        self,
        batch: TrainingBatch,
        *,
        positive_weight: float = 0.75,
        negative_weight: float = 0.25,
        gamma: float = 0.0,
        smoothing: float = 0.0,
    ) -> Float[Tensor, " example"]:
        """Return each example's loss, summed over its words and labels; see ``loss.bce_loss``."""
        rows = bce_loss(
            self(batch.batch).float(),
            batch.targets,
            batch.valid,
            positive_weight=positive_weight,
            negative_weight=negative_weight,
            gamma=gamma,
            smoothing=smoothing,
        )
        return rows.new_zeros(batch.num_examples).index_add(0, batch.example, rows)

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The pretrained part, which learns at a lower rate."""
        return list(self.encoder.encoder.parameters())

    def other_parameters(self) -> list[nn.Parameter]:
        """All that began with random weights."""
        pretrained = {id(p) for p in self.encoder_parameters()}
        return [p for p in self.parameters() if id(p) not in pretrained]
