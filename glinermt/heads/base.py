"""What a head is: it scores words against labels, knows its targets, and names candidates."""

from abc import abstractmethod
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glinermt.config import ModelConfig
from glinermt.decode import Candidates
from glinermt.types import SpanScore


class Builder(Protocol):
    """Whatever builds a part of the network."""

    @classmethod
    def from_config(cls, hidden_size: int, config: ModelConfig) -> nn.Module:
        """Build it for word and label vectors of the width ``hidden_size``."""
        ...


class Head(nn.Module):
    """Scores every place of a text for every label.

    ``logits`` and ``targets`` share a shape ``batch word label axis``: the last axis is
    start/end/inside for the token head, and the width in words minus one for the span head.
    """

    @classmethod
    @abstractmethod
    def from_config(cls, hidden_size: int, config: ModelConfig) -> "Head":
        """Build the head for word and label vectors of the width ``hidden_size``."""

    @abstractmethod
    def forward(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
    ) -> Float[Tensor, "batch word label axis"]:
        """Return the logits."""

    def logits_at(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
        places: Bool[Tensor, "batch word label"],  # noqa: ARG002  for heads that can save by it
    ) -> Float[Tensor, "batch word label axis"]:
        """Return the logits, which elsewhere than at ``places`` may be anything finite."""
        logits: Tensor = self(words, labels)
        return logits

    @abstractmethod
    def targets(
        self, spans: Int[Tensor, "span 4"], shape: tuple[int, int, int]
    ) -> Float[Tensor, "batch word label axis"]:
        """Return the gold values of the logits.

        Args:
            spans: rows of (batch, first word, end word exclusive, label).
            shape: batch, word and label sizes.
        """

    @abstractmethod
    def valid(
        self, word_mask: Bool[Tensor, "batch word"], label_mask: Bool[Tensor, "batch label"]
    ) -> Bool[Tensor, "batch word label axis"]:
        """Say which logits belong to real words and labels."""

    @abstractmethod
    def touches(self, words: Bool[Tensor, "batch word"]) -> Bool[Tensor, "batch word 1 axis"]:
        """Return the places whose score speaks of one of the words."""

    @abstractmethod
    def candidates(
        self,
        probabilities: Float[np.ndarray, "word label axis"],
        threshold: Float[np.ndarray, " label"],
        span_score: SpanScore,
    ) -> Candidates:
        """Return all spans of one text that reach their label's threshold; not one is cut."""
