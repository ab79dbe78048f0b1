"""The relation head: every pair of entity mentions of a pass is scored against every relation."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.config import ModelConfig

BIAS = -4.0
"""Where scores begin: nearly all pairs of a text stand in none of the relations asked for."""
DISTANCES = (0, 1, 2, 4, 8, 16, 32)
"""Words between two mentions from which a new distance bucket begins."""
OVERLAPPING = 0
"""Bucket of mentions that share a word; then come those of heads before tails, then the others."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Mentions of the rows of a batch, and the ordered pairs of them to score, row after row."""

    mentions: Int[Tensor, "mention 3"]
    """Row, first word, end word (exclusive); words are those of the row, prompt included."""
    head: Int[Tensor, " pair"]
    """Index into ``mentions``."""
    tail: Int[Tensor, " pair"]

    @staticmethod
    def from_arrays(mentions: np.ndarray, head: np.ndarray, tail: np.ndarray) -> "Pairs":
        """Return what ``pairing.RowPairs`` holds as tensors that share its memory."""
        return Pairs(*(torch.from_numpy(values) for values in (mentions, head, tail)))

    def __len__(self) -> int:
        return len(self.head)

    @property
    def row(self) -> Int[Tensor, " pair"]:
        """The row of the batch that each pair belongs to."""
        return self.mentions[self.head, 0]

    def to(self, device: torch.device | str) -> "Pairs":
        return Pairs(self.mentions.to(device), self.head.to(device), self.tail.to(device))


class RelationHead(nn.Module):
    """Scores a pair vector against relation vectors: dot product / sqrt(hidden) + bias.

    The pair vector is an MLP of head, tail, their product, the mean of the words between, and a
    bucket of order and distance; head and tail are means of their words. The relation vector is an
    MLP of the label vector that the encoder read from the prompt. As in ``SpanHead``, the first
    layer is applied by parts (a mention's part once, however many pairs it is in; the words' part
    before they are averaged) and the last one to the relations instead of to the pairs: the same
    sums at a fraction of the cost. So a pair costs one product of ``hidden x inner`` and one of
    ``inner x relations``.
    """

    @classmethod
    def from_config(cls, hidden_size: int, config: ModelConfig) -> "RelationHead":
        return cls(hidden_size, config.dropout)

    def __init__(self, hidden_size: int, dropout: float = 0.1) -> None:
        super().__init__()
        inner = 2 * hidden_size
        self.head = nn.Linear(hidden_size, inner)
        self.tail = nn.Linear(hidden_size, inner, bias=False)
        self.product = nn.Linear(hidden_size, inner, bias=False)
        self.between = nn.Linear(hidden_size, inner, bias=False)
        # Given weights: on the meta device, random ones import torch._dynamo, a second at start-up.
        buckets = 1 + 2 * len(DISTANCES)
        table = torch.empty(buckets, inner)
        if not table.is_meta:
            nn.init.normal_(table)
        self.distance = nn.Embedding(buckets, inner, _weight=table)
        self.dropout = nn.Dropout(dropout)
        self.pair = nn.Linear(inner, hidden_size)
        self.relation = nn.Sequential(
            nn.Linear(hidden_size, inner),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(inner, hidden_size),
        )
        self.bias = nn.Parameter(torch.tensor(BIAS))

    def forward(
        self,
        words: Float[Tensor, "batch word hidden"],
        relations: Float[Tensor, "batch relation hidden"],
        pairs: Pairs,
    ) -> Float[Tensor, "pair relation"]:
        """Return the logits of each pair for the relations of its row."""
        hidden = self.hidden(words, pairs)
        factors, offset = self.factors(relations)
        counts = torch.bincount(pairs.row, minlength=len(words))
        if hidden.is_cpu:
            rows = zip(torch.split(hidden, counts.tolist()), factors, offset, strict=True)
            return torch.cat([pair @ factor.T + bias for pair, factor, bias in rows])
        place = torch.arange(len(pairs), device=counts.device)
        place = place - (counts.cumsum(0) - counts)[pairs.row]  # of a pair in its row
        padded = hidden.new_zeros(len(words), int(counts.max()), hidden.shape[1])
        padded = padded.index_put((pairs.row, place), hidden)
        logits = padded @ factors.transpose(1, 2) + offset[:, None]
        return logits[pairs.row, place]

    def hidden(
        self, words: Float[Tensor, "batch word hidden"], pairs: Pairs
    ) -> Float[Tensor, "pair inner"]:
        """Return each pair's hidden vector, which no relation has met yet."""
        row, start, end = pairs.mentions.unbind(1)
        mentions = range_means(words, row, start, end)
        head, tail = self.head(mentions)[pairs.head], self.tail(mentions)[pairs.tail]
        product = self.product(mentions[pairs.head] * mentions[pairs.tail])
        first, last = between(pairs)
        middle = range_means(self.between(words), pairs.row, first, last)
        summed = head + tail + product + middle + self.distance(distance_bucket(pairs))
        hidden: Tensor = self.dropout(summed.relu())
        return hidden

    def factors(
        self, relations: Float[Tensor, "batch relation hidden"]
    ) -> tuple[Float[Tensor, "batch relation inner"], Float[Tensor, "batch relation"]]:
        """Return what the pairs' hidden vectors are multiplied by, and what is added then."""
        relation = self.relation(relations) / math.sqrt(relations.shape[2])
        return relation @ self.pair.weight, relation @ self.pair.bias + self.bias


def between(pairs: Pairs) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """Return the first and end word of what lies between head and tail; equal for nothing."""
    _, head_start, head_end = pairs.mentions[pairs.head].unbind(1)
    _, tail_start, tail_end = pairs.mentions[pairs.tail].unbind(1)
    first = torch.minimum(head_end, tail_end)
    return first, torch.maximum(torch.maximum(head_start, tail_start), first)


def distance_bucket(pairs: Pairs) -> Int[Tensor, " pair"]:
    """Return which row of the distance table each pair uses: order, and words between."""
    _, head_start, head_end = pairs.mentions[pairs.head].unbind(1)
    _, tail_start, tail_end = pairs.mentions[pairs.tail].unbind(1)
    gap = torch.maximum(head_start, tail_start) - torch.minimum(head_end, tail_end)
    edges = torch.tensor(DISTANCES, device=gap.device)
    bucket = torch.bucketize(gap.clamp(min=0), edges, right=True)
    bucket = bucket + len(DISTANCES) * (head_start > tail_start)
    return torch.where(gap < 0, OVERLAPPING, bucket)


def range_means(
    words: Float[Tensor, "batch word size"],
    row: Int[Tensor, " range"],
    start: Int[Tensor, " range"],
    end: Int[Tensor, " range"],
) -> Float[Tensor, "range size"]:
    """Return the mean vector of the words ``start`` to ``end`` of a row; zero for an empty range.

    Sums run over each row once, in float32 whatever the weights are, so that the cost does not
    grow with the length of the ranges.
    """
    sums = functional.pad(words.float().cumsum(1), (0, 0, 1, 0))
    total = sums[row, end] - sums[row, start]
    return (total / (end - start).clamp(min=1)[:, None]).to(words.dtype)
