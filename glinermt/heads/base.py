"""What a head is: it scores words against labels, knows its targets, and names candidates."""

from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glinermt.decode import Candidates
from glinermt.types import SpanScore


class Head(Protocol):
    """Scores every place of a text for every label.

    ``logits`` and ``targets`` share a shape ``batch word label axis``: the last axis is
    start/end/inside for the token head, and the width in words minus one for the span head.
    """

    def __call__(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
    ) -> Float[Tensor, "batch word label axis"]:
        """Give the logits."""
        ...

    def targets(
        self, spans: Int[Tensor, "span 4"], shape: tuple[int, int, int]
    ) -> Float[Tensor, "batch word label axis"]:
        """Give the gold values of the logits.

        Args:
            spans: rows of (batch, first word, end word exclusive, label).
            shape: batch, word and label sizes.
        """
        ...

    def valid(
        self, word_mask: Bool[Tensor, "batch word"], label_mask: Bool[Tensor, "batch label"]
    ) -> Bool[Tensor, "batch word label axis"]:
        """Say which logits belong to real words and labels."""
        ...

    def candidates(
        self,
        probabilities: Float[np.ndarray, "word label axis"],
        threshold: Float[np.ndarray, " label"],
        span_score: SpanScore,
    ) -> Candidates:
        """Give all spans of one text that reach their label's threshold, none marked as cut."""
        ...
