"""The token head: start, end and inside scores per word and label (the paper, section 3.1)."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.config import ModelConfig
from glinermt.decode import Candidates, token_candidates
from glinermt.heads.base import Head
from glinermt.heads.token_cells import ScoreBlocks, blocks
from glinermt.types import SpanScore

START, END, INSIDE = range(3)


class TokenHead(Head):
    """Scores ``[word part, label part, product]`` with an MLP for each word and label.

    Its first layer is applied by parts: the word's and the label's once each, and only the
    product's for every pair. That is the same sum in another order, at a third of the cost.
    """

    def __init__(self, hidden_size: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.proj_token = nn.Linear(hidden_size, 2 * hidden_size)
        self.proj_label = nn.Linear(hidden_size, 2 * hidden_size)
        self.out_mlp = nn.Sequential(
            nn.Linear(3 * hidden_size, 4 * hidden_size),
            nn.Dropout(dropout),
            nn.ReLU(),
            nn.Linear(4 * hidden_size, 3),
        )

    @classmethod
    def from_config(cls, hidden_size: int, config: ModelConfig) -> "TokenHead":
        return cls(hidden_size, config.dropout)

    def forward(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
    ) -> Float[Tensor, "batch word label 3"]:
        word, label, word_factor, label_factor, for_pair = self._parts(words, labels)
        pair = word_factor[:, :, None] * label_factor[:, None]  # batch word label hidden
        hidden = functional.linear(pair, for_pair) + word[:, :, None] + label[:, None]
        logits: Tensor = self.out_mlp[1:](hidden)
        return logits

    def logits_at(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
        places: Bool[Tensor, "batch word label"],
    ) -> Float[Tensor, "batch word label 3"]:
        if words.device.type != "cpu":
            return self(words, labels)  # type: ignore[no-any-return]
        dropout, last = self.out_mlp[1], self.out_mlp[3]
        assert isinstance(dropout, nn.Dropout)
        logits: Tensor = ScoreBlocks.apply(  # type: ignore[no-untyped-call]
            *self._parts(words, labels),
            last.weight,
            last.bias,
            blocks(places),
            dropout.p if self.training else 0.0,
        )
        return logits

    def _parts(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return what words and labels give the first layer, their factors, the pair's weights."""
        first = self.out_mlp[0]
        assert isinstance(first, nn.Linear)
        for_word, for_label, for_pair = first.weight.chunk(3, dim=1)
        word, word_factor = self.proj_token(words).chunk(2, dim=-1)
        label, label_factor = self.proj_label(labels).chunk(2, dim=-1)
        return (
            functional.linear(word, for_word, first.bias),
            functional.linear(label, for_label),
            word_factor,
            label_factor,
            for_pair,
        )

    def targets(
        self, spans: Int[Tensor, "span 4"], shape: tuple[int, int, int]
    ) -> Float[Tensor, "batch word label 3"]:
        target = torch.zeros(*shape, 3)
        for row, start, end, label in spans.tolist():
            target[row, start, label, START] = 1
            target[row, end - 1, label, END] = 1
            target[row, start:end, label, INSIDE] = 1
        return target

    def valid(
        self, word_mask: Bool[Tensor, "batch word"], label_mask: Bool[Tensor, "batch label"]
    ) -> Bool[Tensor, "batch word label 3"]:
        pairs = word_mask[:, :, None] & label_mask[:, None]
        return pairs[..., None].expand(*pairs.shape, 3)

    def touches(self, words: Bool[Tensor, "batch word"]) -> Bool[Tensor, "batch word 1 axis"]:
        return words[:, :, None, None]

    def candidates(
        self,
        probabilities: Float[np.ndarray, "word label 3"],
        threshold: Float[np.ndarray, " label"],
        span_score: SpanScore,
    ) -> Candidates:
        return token_candidates(probabilities, threshold, span_score)
