"""The token head: start, end and inside scores per word and label (the paper, section 3.1)."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.config import ModelConfig
from glinermt.decode import Candidates
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
        """Pair each start with each end behind it while every inside score reaches the threshold.

        A span's score is, by rule:

        - ``mean``: the mean of the inside scores (the paper);
        - ``min``: the least of inside, start and end scores (the package gliner since 0.2.17);
        - ``geometric``: the cube root of start score x end score x least inside score; here it is
          this that has to reach the threshold, not each of the three.

        With ``min`` and ``geometric`` the candidates are all spans whose score reaches the
        threshold. So what is chosen at a threshold is chosen at every lower one, beside more.
        With ``mean`` a lower threshold lets more words into a run, and a longer or shorter span
        with a better mean may take a right one's place.
        """
        num_words, num_labels, _ = probabilities.shape
        # Labels one after another, a closed position behind each, so that no run spans two.
        grid = np.zeros((num_labels, num_words + 1, 3), dtype=probabilities.dtype)
        grid[:, :-1] = probabilities.transpose(1, 0, 2)
        least = threshold**3 * (1 - 1e-6) if span_score == "geometric" else threshold
        limit = np.repeat(least.astype(grid.dtype), num_words + 1)
        closed = np.tile(np.arange(num_words + 1) == num_words, num_labels)
        start_p, end_p, inside_p = grid.reshape(-1, 3).T
        is_start, is_end = (start_p > limit) & ~closed, (end_p > limit) & ~closed
        is_break = (inside_p < limit) | closed
        starts = np.flatnonzero(is_start & ~is_break)
        ends = np.flatnonzero(is_end & ~is_break)
        # The ends that a start reaches lie between itself and the next break.
        breaks = np.flatnonzero(is_break)
        run_end = breaks[np.searchsorted(breaks, starts)]
        first = np.searchsorted(ends, starts)
        count = np.searchsorted(ends, run_end) - first
        start = np.repeat(starts, count)
        offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        end = ends[np.repeat(first, count) + offset] + 1
        if span_score == "mean":
            total = np.concatenate([[0.0], np.cumsum(inside_p, dtype=np.float64)])
            score = (total[end] - total[start]) / (end - start)
        elif span_score == "min":
            edges = np.minimum(start_p[start], end_p[end - 1])
            score = np.minimum(_range_minimum(inside_p, start, end), edges)
        else:
            inside = _range_minimum(inside_p, start, end).astype(float)
            score = np.cbrt(inside * start_p[start] * end_p[end - 1])
        label, start_word = np.divmod(start, num_words + 1)
        if span_score == "geometric":
            high = score >= threshold[label]
            start, end, score = start[high], end[high], score[high]
            label, start_word = label[high], start_word[high]
        cut = np.zeros(len(start), dtype=bool)
        return Candidates(start_word, start_word + end - start, label, score.astype(float), cut)


def _range_minimum(values: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Minimum of ``values[start:end]`` for many ranges, by a table of power-of-two ranges."""
    if not len(start):
        return values[:0]
    level = np.log2(end - start).astype(int)
    result = np.empty(len(start), dtype=values.dtype)
    table = values
    for k in range(level.max() + 1):
        mine = level == k
        result[mine] = np.minimum(table[start[mine]], table[end[mine] - (1 << k)])
        table = np.minimum(table[: -(1 << k)], table[1 << k :])
    return result
