"""The token head: start, end and inside scores per word and label (the paper, section 3.1)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.config import ModelConfig
from glinermt.decode import Candidates, token_candidates
from glinermt.heads.base import Head
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


CELLS = 512
"""Places scored at a time, about."""
LEAST_WORDS = 8
Block = tuple[int, slice, slice]
"""Row, words, labels."""


def blocks(places: Bool[Tensor, "batch word label"]) -> list[Block]:
    """Return blocks of about ``CELLS`` places each that hold all places that are true."""
    has_word, has_label = places.any(2).tolist(), places.any(1).tolist()
    found = []
    for row, (words, labels) in enumerate(zip(has_word, has_label, strict=True)):
        if not any(words):
            continue
        last_label = len(labels) - labels[::-1].index(True)
        end = len(words) - words[::-1].index(True)
        step = max(LEAST_WORDS, CELLS // last_label)
        found += [
            (row, slice(start, min(start + step, end)), slice(0, last_label))
            for start in range(words.index(True), end, step)
        ]
    return found


class ScoreBlocks(torch.autograd.Function):
    """``dropout(relu(pair W + word + label)) V + c`` at the places of blocks; 0 elsewhere.

    ``pair`` is the product of a word's and a label's factor. Products are computed in the dtype of
    ``word``, sums of gradients in that of the weights.
    """

    @staticmethod
    def forward(
        ctx: Any,
        word: Float[Tensor, "batch word inner"],
        label: Float[Tensor, "batch label inner"],
        word_factor: Float[Tensor, "batch word hidden"],
        label_factor: Float[Tensor, "batch label hidden"],
        inner_weight: Float[Tensor, "inner hidden"],
        out_weight: Float[Tensor, "3 inner"],
        out_bias: Float[Tensor, " 3"],
        where: Sequence[Block],
        dropout: float,
    ) -> Float[Tensor, "batch word label 3"]:
        ctx.where, ctx.scale = where, 1 / (1 - dropout)
        ctx.save_for_backward(word_factor, label_factor, inner_weight, out_weight)
        inner_weight, out_weight, out_bias = (
            part.to(word.dtype) for part in (inner_weight, out_weight, out_bias)
        )
        scores = word.new_zeros(*word.shape[:2], label.shape[1], 3)
        ctx.kept = []
        for row, words, labels in where:
            pair = word_factor[row, words, None] * label_factor[row, labels]
            inner = functional.linear(pair, inner_weight)  # word label inner
            inner.add_(word[row, words, None]).add_(label[row, labels]).relu_()
            if dropout:
                inner = functional.dropout(inner, dropout)
            scores[row, words, labels] = functional.linear(inner, out_weight, out_bias)
            ctx.kept.append(inner)
        return scores

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        word_factor, label_factor, inner_weight, out_weight = ctx.saved_tensors
        inner_product, out_product = (
            part.to(gradient.dtype) for part in (inner_weight, out_weight)
        )
        weights = torch.zeros_like(inner_weight), torch.zeros_like(out_weight)
        rows = [
            torch.zeros(*part.shape[:2], size, dtype=inner_weight.dtype)
            for size in inner_weight.shape
            for part in (word_factor, label_factor)
        ]
        of_word, of_label, of_first, of_second = rows
        for (row, words, labels), inner in zip(ctx.where, ctx.kept, strict=True):
            first, second = word_factor[row, words], label_factor[row, labels]
            given = gradient[row, words, labels]
            _add_product(weights[1], given, inner)
            of_inner = given @ out_product  # word label inner
            if ctx.scale != 1:
                of_inner.mul_(ctx.scale)
            of_inner.masked_fill_(inner <= 0, 0.0)
            _add_product(weights[0], of_inner, first[:, None] * second)
            of_pair = of_inner @ inner_product  # word label hidden
            of_word[row, words] += of_inner.sum(1)
            of_label[row, labels] += of_inner.sum(0)
            of_first[row, words] += (of_pair * second).sum(1)
            of_second[row, labels] += (of_pair * first[:, None]).sum(0)
        bias = gradient.sum((0, 1, 2), dtype=out_weight.dtype)
        return *(part.to(gradient.dtype) for part in rows), *weights, bias, None, None


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add ``left`` transposed times ``right``, all places of both put into one row of rows."""
    left, right = left.flatten(0, 1).t(), right.flatten(0, 1)
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)
