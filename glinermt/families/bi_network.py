"""The network of GLiNER bi-encoders: one encoder reads the text, another one the labels.

The names and rules were verified against the PyPI package ``gliner`` 0.2.29.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.families.base import Pooling, TextRow, encoded, pool_words, tokens_read
from glinermt.families.training import FamilyBatch, RowVectors, TrainedFamily
from glinermt.heads import SpanHead, TokenHead
from glinermt.heads.span import projection
from glinermt.layers import resized

FUSIONS = ("l2l", "t2t", "l2t", "t2l")
"""Steps of a fusion: labels among themselves, words, labels from words, words from labels."""


class BiNetwork(TrainedFamily):
    """Two encoders, projections to one width, an optional fusion, and a head."""

    family = "bi-encoder"

    def __init__(
        self,
        encoder: nn.Module,
        label_encoder: nn.Module,
        head: SpanHead | TokenHead,
        *,
        hidden_size: int,
        dropout: float = 0.0,
        fusion: tuple[tuple[str, ...], ...] = (),
        represent_spans: bool = False,
        pooling: Pooling = "first",
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.represent_spans = represent_spans
        self.encoder = encoder
        self.label_encoder = label_encoder
        self.projection = resized(encoder, hidden_size)
        self.label_projection = resized(label_encoder, hidden_size)
        self.head = head
        heads = int(encoder.config.num_attention_heads)  # type: ignore[union-attr, arg-type]
        self.fusion = Fusion(hidden_size, heads, fusion) if fusion else None
        self.marker = SpanMarker(hidden_size, dropout) if represent_spans else None

    def encoders(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder, "label_encoder": self.label_encoder}

    def tokens_of(self, row: TextRow) -> list[int]:
        """Return the positions of the tokens that ``words`` needs."""
        return tokens_read(row.words, self.pooling)

    def words(
        self, row: TextRow, tokens: Float[Tensor, "read width"]
    ) -> Float[Tensor, "word hidden"]:
        """Return a row's word vectors from what the encoder made of ``tokens_of``."""
        return pool_words(self.projection(tokens), row.words, self.pooling)

    def label(self, tokens: Float[Tensor, "token width"]) -> Float[Tensor, " hidden"]:
        """Return a label's vector from what the label encoder made of all its tokens."""
        vector: Tensor = self.label_projection(tokens).mean(0)
        return vector

    def vectors(self, batch: FamilyBatch) -> Iterator[RowVectors]:
        text_pad, label_pad = batch.pad_token_ids
        whole = [list(range(len(row))) for row in batch.label_rows]
        tokens = encoded(self.label_encoder, batch.label_rows, whole, label_pad)
        labels = torch.stack([self.label(one) for one in tokens])
        keep = [self.tokens_of(row) for row in batch.rows]
        read = encoded(self.encoder, [row.token_ids for row in batch.rows], keep, text_pad)
        for row, own, asked in zip(batch.rows, read, batch.asked, strict=True):
            words, mine = self.fused(self.words(row, own), labels[asked])
            yield RowVectors(words, mine, labels[:0])

    def logits(
        self, words: Float[Tensor, "word hidden"], labels: Float[Tensor, "label hidden"]
    ) -> Float[Tensor, "word label axis"]:
        """Return the logits of one text; see ``heads.base.Head`` for their last axis."""
        logits: Tensor = self.head(words[None], labels[None])[0]
        return logits

    def fused(
        self, words: Float[Tensor, "word hidden"], labels: Float[Tensor, "label hidden"]
    ) -> tuple[Float[Tensor, "word hidden"], Float[Tensor, "label hidden"]]:
        """Return words and labels that have read each other, where the model does that."""
        return (words, labels) if self.fusion is None else self.fusion(words, labels)


class SpanMarker(nn.Module):
    """GLiNER's ``markerV0`` of spans that a token head has proposed."""

    def __init__(self, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        inner = 4 * hidden_size
        self.project_start = projection(hidden_size, inner, dropout)
        self.project_end = projection(hidden_size, inner, dropout)
        self.out_project = projection(2 * hidden_size, inner, dropout, out=hidden_size)

    def forward(
        self, words: Float[Tensor, "word hidden"], spans: Int[Tensor, "span 2"]
    ) -> Float[Tensor, "span hidden"]:
        """Return the vectors of spans (words, end exclusive)."""
        ends = [self.project_start(words)[spans[:, 0]], self.project_end(words)[spans[:, 1] - 1]]
        vectors: Tensor = self.out_project(torch.cat(ends, dim=-1).relu())
        return vectors


class Fusion(nn.Module):
    """Attention between words and labels, step by step (poly-encoders)."""

    def __init__(self, size: int, heads: int, layers: tuple[tuple[str, ...], ...]) -> None:
        super().__init__()
        self.steps = layers
        self.layers = nn.ModuleList(
            nn.ModuleList(
                _SelfBlock(size, heads) if step in ("l2l", "t2t") else _CrossBlock(size, heads)
                for step in steps
            )
            for steps in layers
        )

    def forward(
        self, words: Float[Tensor, "word hidden"], labels: Float[Tensor, "label hidden"]
    ) -> tuple[Float[Tensor, "word hidden"], Float[Tensor, "label hidden"]]:
        for steps, blocks in zip(self.steps, self.layers, strict=True):
            assert isinstance(blocks, nn.ModuleList)
            for step, block in zip(steps, blocks, strict=True):
                if step == "l2l":
                    labels = block(labels)
                elif step == "t2t":
                    words = block(words)
                elif step == "l2t":
                    labels = block(labels, words)
                else:
                    words = block(words, labels)
        return words, labels


class _Attention(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_layer = nn.Linear(size, size)
        self.key_layer = nn.Linear(size, size)
        self.value_layer = nn.Linear(size, size)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        parts = [
            layer(rows).unflatten(-1, (self.heads, -1)).transpose(0, 1)[None]
            for layer, rows in (
                (self.query_layer, query),
                (self.key_layer, key),
                (self.value_layer, value),
            )
        ]
        attended = functional.scaled_dot_product_attention(*parts)
        return attended[0].transpose(0, 1).flatten(1)


class _SelfBlock(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.self_attn = _Attention(size, heads)
        self.pre_norm, self.post_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.q_proj, self.k_proj = nn.Linear(size, size), nn.Linear(size, size)
        self.v_proj = nn.Linear(size, size)

    def forward(self, rows: Float[Tensor, "row hidden"]) -> Float[Tensor, "row hidden"]:
        rows = self.pre_norm(rows)
        attended = self.self_attn(self.q_proj(rows), self.k_proj(rows), self.v_proj(rows))
        result: Tensor = self.post_norm(rows + attended)
        return result


class _CrossBlock(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.cross_attn = _Attention(size, heads)
        self.pre_norm, self.post_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.v_proj = nn.Linear(size, size)

    def forward(
        self, rows: Float[Tensor, "row hidden"], other: Float[Tensor, "other hidden"]
    ) -> Float[Tensor, "row hidden"]:
        rows = self.pre_norm(rows)
        result: Tensor = self.post_norm(rows + self.cross_attn(rows, other, self.v_proj(other)))
        return result
