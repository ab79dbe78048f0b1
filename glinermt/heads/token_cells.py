"""The token head's last layers where they count: in training on a processor, without padding.

Padding, the prompt and labels that a row does not ask for are more than half of a training batch's
places. Each row is scored by itself, a few words at a time, so that what lies between the two
products stays in the processor's cache; the gradient is written out by hand, so that nothing as
large as ``word x label x inner`` is kept or summed over but the activation itself.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

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
