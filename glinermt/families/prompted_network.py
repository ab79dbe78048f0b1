"""The network of GLiNER checkpoints whose labels stand before the text, relex and rare variants.

The names and rules were verified against the PyPI package ``gliner`` 0.2.29.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glinermt.families.base import Pooling, TextRow, encoded, pool_words, tokens_read
from glinermt.families.bi_network import SpanMarker
from glinermt.families.training import FamilyBatch, RowVectors, TrainedFamily
from glinermt.heads import SpanHead, TokenHead
from glinermt.heads.span import projection
from glinermt.heads.span_modes import VectorSpanHead
from glinermt.layers import BiLSTM, resized


class PromptedNetwork(TrainedFamily):
    """Encoder, BiLSTM over words, an entity head, and the two layers of relations.

    Args:
        encoder: reads rows.
        head: scores words against labels.
        relations: what joins entities; None = nothing does.
        represent_spans: score the spans that a token head proposes anew, by vectors of theirs.
        pooling: which of a word's tokens its vector is read from.
        stored: labels and relations whose vectors were computed once and are weights; None = all
            stand in the row.
    """

    family = "GLiNER relex and variant"

    def __init__(
        self,
        encoder: nn.Module,
        head: SpanHead | TokenHead,
        *,
        hidden_size: int,
        num_rnn_layers: int,
        dropout: float,
        relations: "Relations | None" = None,
        represent_spans: bool = False,
        pooling: Pooling = "first",
        stored: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.label_vectors = self.relation_vectors = None
        if stored is not None:
            self.label_vectors = nn.Parameter(torch.zeros(stored[0], hidden_size))
        if stored is not None and stored[1]:
            self.relation_vectors = nn.Parameter(torch.zeros(stored[1], hidden_size))
        self.encoder = encoder
        self.projection = resized(encoder, hidden_size)
        self.rnn = BiLSTM(hidden_size, num_rnn_layers, dropout) if num_rnn_layers else None
        self.head = head
        self.prompt_rep = self.marker = self.adjacency = self.pair_rep = None
        self.represent_spans = represent_spans
        if isinstance(head, TokenHead) and (relations or represent_spans):
            self.marker = SpanMarker(hidden_size, dropout)
        if isinstance(head, TokenHead) and relations:
            self.prompt_rep = projection(hidden_size, 4 * hidden_size, dropout)
        if relations and relations.adjacency:
            self.adjacency = ADJACENCIES[relations.adjacency](hidden_size)
        if relations and not relations.is_distmult:
            self.pair_rep = projection(2 * hidden_size, 4 * hidden_size, dropout, out=hidden_size)

    def tokens_of(self, row: TextRow) -> list[int]:
        """Return the positions of the tokens that ``apart`` needs."""
        return [*row.labels_at, *row.relations_at, *tokens_read(row.words, self.pooling)]

    def apart(self, rows: Sequence[TextRow], tokens: Sequence[Tensor]) -> Iterator[RowVectors]:
        """Yield the vectors of each row's words, labels and relations.

        Args:
            rows: rows of a batch.
            tokens: what the encoder made of ``tokens_of``.
        """
        found = []
        for row, vectors in zip(rows, tokens, strict=True):
            projected = self.projection(vectors)
            counts = len(row.labels_at), len(row.relations_at)
            labels, relations, own = projected.split([*counts, len(projected) - sum(counts)])
            if row.stored is not None:
                labels = _picked(self.label_vectors, row.stored[0], labels)
                relations = _picked(self.relation_vectors, row.stored[1], relations)
            found.append((pool_words(own, row.words, self.pooling), labels, relations))
        words = [words for words, _, _ in found]
        if self.rnn is not None:
            words = self.rnn.over_rows(words)
        for (_, labels, relations), own in zip(found, words, strict=True):
            yield RowVectors(own, labels, relations)

    def vectors(self, batch: FamilyBatch) -> Iterator[RowVectors]:
        ids = [row.token_ids for row in batch.rows]
        keep = [self.tokens_of(row) for row in batch.rows]
        return self.apart(batch.rows, encoded(self.encoder, ids, keep, batch.pad_token_ids[0]))

    def related(
        self, read: RowVectors, spans: Int[Tensor, "span 2"], pairs: Int[Tensor, "pair 2"]
    ) -> tuple[Float[Tensor, " pair"] | None, Float[Tensor, "pair relation"]]:
        vectors = self.span_vectors(read.words, spans)
        near = None
        if self.adjacency is not None:
            near = self.adjacency(vectors)[pairs[:, 0], pairs[:, 1]]
        return near, self.relation_logits(vectors, pairs, read.relations)

    def logits(
        self, words: Float[Tensor, "word hidden"], labels: Float[Tensor, "label hidden"]
    ) -> Float[Tensor, "word label axis"]:
        """Return the logits of one text; see ``heads.base.Head`` for their last axis."""
        if self.prompt_rep is not None:
            labels = self.prompt_rep(labels)
        logits: Tensor = self.head(words[None], labels[None])[0]
        return logits

    def span_vectors(
        self, words: Float[Tensor, "word hidden"], spans: Int[Tensor, "span 2"]
    ) -> Float[Tensor, "span hidden"]:
        """Return the vectors of spans (words, end exclusive)."""
        start, last = spans[:, 0], spans[:, 1] - 1
        if isinstance(self.head, VectorSpanHead):
            mask = torch.ones(1, len(words), dtype=torch.bool, device=words.device)
            vectors: Tensor = self.head.vectors(words[None], mask)[0]
            return vectors[start, last - start]
        if self.marker is not None:
            marked: Tensor = self.marker(words, spans)
            return marked
        assert isinstance(self.head, SpanHead)
        ends = [self.head.project_start(words)[start], self.head.project_end(words)[last]]
        result: Tensor = self.head.out_project(torch.cat(ends, dim=-1).relu())
        return result

    def pairs(self, spans: Float[Tensor, "span hidden"], threshold: float) -> Int[Tensor, "pair 2"]:
        """Return the ordered pairs of different spans that may be related, row by row."""
        return near_pairs(spans, self.adjacency, threshold)

    def relation_logits(
        self,
        spans: Float[Tensor, "span hidden"],
        pairs: Int[Tensor, "pair 2"],
        relations: Float[Tensor, "relation hidden"],
    ) -> Float[Tensor, "pair relation"]:
        return pair_logits(spans, pairs, relations, self.pair_rep)


def near_pairs(
    spans: Float[Tensor, "span hidden"], adjacency: nn.Module | None, threshold: float
) -> Int[Tensor, "pair 2"]:
    """Return the ordered pairs of different spans that are near enough, row by row; None = all."""
    if adjacency is None:
        near = torch.ones(len(spans), len(spans), dtype=torch.bool, device=spans.device)
    else:
        near = adjacency(spans) > threshold
    near.fill_diagonal_(False)
    return near.nonzero()


def pair_logits(
    spans: Float[Tensor, "span hidden"],
    pairs: Int[Tensor, "pair 2"],
    relations: Float[Tensor, "relation hidden"],
    pair_rep: nn.Sequential | None,
) -> Float[Tensor, "pair relation"]:
    """Score pairs against relations by an MLP of two vectors, or by products of three.

    The MLP's first layer is applied to heads and tails before they are paired, and its last one to
    the relations: the same sums at a small share of the cost.
    """
    if pair_rep is None:
        products: Tensor = (spans[pairs[:, 0]] * spans[pairs[:, 1]]) @ relations.T
        return products
    first, activation, dropout, last = pair_rep
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    for_head, for_tail = first.weight.chunk(2, dim=1)
    heads, tails = spans @ for_head.T + first.bias, spans @ for_tail.T
    weights, bias = relations @ last.weight, relations @ last.bias
    return torch.cat(
        [
            dropout(activation(heads[some[:, 0]] + tails[some[:, 1]])) @ weights.T + bias
            for some in torch.split(pairs, _PAIRS)
        ]
    )


def _picked(stored: Tensor | None, index: list[int], none: Tensor) -> Tensor:
    """Return some of the stored vectors, ``none`` where there are none."""
    return none if stored is None else stored[index]


@dataclass(frozen=True, slots=True)
class Relations:
    """How entities are joined."""

    adjacency: str | None
    """Which pairs are looked at, a name of ``ADJACENCIES``; None = all."""
    is_distmult: bool = False
    """Score relations by the product of three vectors instead of an MLP of the pair."""


_PAIRS = 4096
"""Pairs whose vectors are made at a time."""
_HEADS = 64
"""Heads that ``PairMLP`` pairs with all tails at a time."""
Probabilities = Float[Tensor, "span span"]


class Dot(nn.Module):
    """The dot product of two spans' vectors."""

    def __init__(self, _hidden_size: int) -> None:
        super().__init__()

    def forward(self, spans: Float[Tensor, "span hidden"]) -> Probabilities:
        return (spans @ spans.T).sigmoid()


class Bilinear(nn.Module):
    """The same, of projected vectors."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, spans: Float[Tensor, "span hidden"]) -> Probabilities:
        projected: Tensor = self.proj(spans)
        return (projected @ projected.T).sigmoid()


class PairMLP(nn.Module):
    """An MLP of the two vectors side by side."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(2 * hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 1)
        )

    def forward(self, spans: Float[Tensor, "span hidden"]) -> Probabilities:
        first, second, last = self.mlp[0], self.mlp[1], self.mlp[2]
        assert isinstance(first, nn.Linear)
        for_head, for_tail = first.weight.chunk(2, dim=1)
        tails = spans @ for_tail.T
        blocks = torch.split(spans @ for_head.T + first.bias, _HEADS)
        logits = [last(second(heads[:, None] + tails)).squeeze(-1) for heads in blocks]
        return torch.cat(logits).sigmoid()


class Attention(nn.Module):
    """The weights of an attention over all spans of the text."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(hidden_size, 8, batch_first=True)

    def forward(self, spans: Float[Tensor, "span hidden"]) -> Probabilities:
        rows = spans[None]
        weights: Tensor = self.attn(rows, rows, rows, need_weights=True)[1][0]
        return weights


class GCN(nn.Module):
    """One graph convolution over all spans of the text, then ``Bilinear``."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.gcn = nn.ModuleDict({"linear": nn.Linear(hidden_size, hidden_size)})
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, spans: Float[Tensor, "span hidden"]) -> Probabilities:
        near = (spans @ spans.T).sigmoid() + torch.eye(
            len(spans), dtype=spans.dtype, device=spans.device
        )
        scale = near.sum(-1).clamp(min=1e-6).rsqrt()
        mixed = (scale[:, None] * near * scale) @ spans
        projected: Tensor = self.proj(self.gcn["linear"](mixed).relu())
        return (projected @ projected.T).sigmoid()


class GAT(nn.Module):
    """One attention over all spans of the text, then ``Bilinear``."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(hidden_size, 8, batch_first=True)
        self.linear = nn.Linear(hidden_size, hidden_size)

    def forward(self, spans: Float[Tensor, "span hidden"]) -> Probabilities:
        rows = spans[None]
        projected: Tensor = self.linear(self.attn(rows, rows, rows, need_weights=False)[0][0])
        return (projected @ projected.T).sigmoid()


ADJACENCIES: dict[str, Callable[[int], nn.Module]] = {
    "dot": Dot,
    "bilinear": Bilinear,
    "mlp": PairMLP,
    "attention": Attention,
    "attn": Attention,
    "gcn": GCN,
    "gat": GAT,
}
"""How likely two spans are to be related at all, by the name that ``relations_layer`` gives."""
