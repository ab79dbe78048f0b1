"""Attention of one text at a time, over its real tokens only."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

PIECE_BYTES = 1 << 20
"""Size of the widest intermediate result; about half of a core's cache."""
SHORT = 64
"""Tokens up to which a text's attention is plain products of float32 numbers, for any precision:
torch's fused one, or rounding between the steps, would take longer."""


class PlainAttention:
    """Dot products, as in BERT. Queries are expected scaled.

    Args:
        num_heads: heads of the layer.
        dtype: what it computes in.
        bias: returns what is added to the scores of a text of so many tokens or more.
        rotate: turns queries and keys by their places.
        window: tokens further apart do not see each other; None = all do. ``bias`` must say so.
    """

    def __init__(
        self,
        num_heads: int,
        dtype: torch.dtype,
        *,
        bias: "PairBias | None" = None,
        rotate: "Rotation | None" = None,
        window: int | None = None,
    ) -> None:
        self.num_heads = num_heads
        self.dtype = dtype
        self.bias = bias
        self.rotate = rotate
        self.window = window

    def __call__(
        self, qkv: Float[Tensor, "token three"], lengths: Sequence[int]
    ) -> Float[Tensor, "token hidden"]:
        context = qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3, dtype=self.dtype)
        start = 0
        for length in lengths:
            rows = qkv[start : start + length]
            rows = rows.float() if length <= SHORT else rows.to(self.dtype)
            q, k, v = _by_head(rows, self.num_heads)
            if self.rotate is not None:
                q, k = self.rotate(q), self.rotate(k)
            part = context[start : start + length].view(length, self.num_heads, -1)
            added = None if self.bias is None else self.bias(length)[:, :length, :length]
            if length <= SHORT:
                part.copy_(_weighted(_scores(q, k, added), v))
            else:
                for queries, keys in _seen(length, self.window):
                    near = None if added is None else added[:, queries, keys]
                    self._attend(part[queries], q[:, queries], k[:, keys], v[:, keys], near)
            start += length
        context[start:] = 0  # rows that only fill up
        return context

    def _attend(
        self,
        part: Float[Tensor, "query head size"],
        q: Float[Tensor, "head query size"],
        k: Float[Tensor, "head key size"],
        v: Float[Tensor, "head key size"],
        added: Float[Tensor, "bias query key"] | None,
    ) -> None:
        """Write into ``part`` what the queries see."""
        if self.dtype == torch.float32:
            mask = None if added is None else added[None]
            result = functional.scaled_dot_product_attention(
                q[None], k[None], v[None], attn_mask=mask, scale=1.0
            )[0]
            part.copy_(result.transpose(0, 1))
            return
        # torch's own computes 16-bit numbers one head at a time, in 32 bits
        for heads in _cached_heads(self.num_heads, k.shape[1], self.dtype.itemsize):
            more = added if added is None or len(added) == 1 else added[heads]
            part[:, heads] = _weighted(_scores(q[heads], k[heads], more), v[heads])


class PairBias:
    """What is added to the score of a pair of tokens for their distance, made once a length.

    Args:
        make: returns it for texts of so many tokens. As only distances count, that of a shorter
            text is a corner of it.
    """

    def __init__(self, make: Callable[[int], Float[Tensor, "bias token token"]]) -> None:
        self.make = make
        self.made = torch.zeros(1, 0, 0)

    def __call__(self, length: int) -> Float[Tensor, "bias token token"]:
        made = self.made
        if made.shape[1] < length:
            made = self.make(max(64, 1 << (length - 1).bit_length()))
            self.made = made  # at once: other threads may be reading
        return made


class Rotation:
    """Turns pairs of numbers of a vector by an angle that grows with its place (Su et al. 2021).

    Args:
        make: returns cosines and sines for so many places.
    """

    def __init__(self, make: Callable[[int], tuple[Tensor, Tensor]]) -> None:
        self.make = make
        self.made = (torch.zeros(0, 0), torch.zeros(0, 0))

    def __call__(
        self, vectors: Float[Tensor, "head token size"]
    ) -> Float[Tensor, "head token size"]:
        length = vectors.shape[1]
        made = self.made
        if len(made[0]) < length:
            made = self.make(max(64, 1 << (length - 1).bit_length()))
            self.made = made
        cos, sin = made[0][:length], made[1][:length]
        first, second = vectors.chunk(2, dim=-1)
        turned = vectors.float() * cos + torch.cat([-second, first], dim=-1).float() * sin
        return turned.to(vectors.dtype)


def band(window: int) -> PairBias:
    """Return the bias that hides tokens further apart than a window."""

    def make(length: int) -> Float[Tensor, "one token token"]:
        place = torch.arange(length)
        far = (place[:, None] - place).abs() > window
        return torch.zeros(1, length, length).masked_fill_(far, -torch.inf)

    return PairBias(make)


def _seen(length: int, window: int | None) -> Iterator[tuple[slice, slice]]:
    """Cut a text's tokens into runs; yield each with all tokens that one of it sees."""
    step = length if window is None else max(2 * window, 64)
    for first in range(0, length, step):
        end = min(first + step, length)
        reach = length if window is None else window
        yield slice(first, end), slice(max(0, first - reach), min(length, end + reach))


class DisentangledAttention:
    """DeBERTa's attention (He et al. 2021): content to content, to position, and back.

    What a pair of tokens adds for its distance is read from tables with one row a distance, made
    once a model. Row i of content times table holds the distances of token i in order, so the
    matrix of pairs is a view with a shorter row stride: nothing is gathered. Queries are expected
    scaled.
    """

    def __init__(
        self,
        num_heads: int,
        keys: Float[Tensor, "bucket hidden"] | None,
        queries: Float[Tensor, "bucket hidden"] | None,
        buckets: "DistanceBuckets",
        dtype: torch.dtype,
    ) -> None:
        self.num_heads = num_heads
        self.dtype = dtype
        self.keys, self.queries = (t if t is None else t.to(dtype) for t in (keys, queries))
        self.buckets = buckets
        self.tables: tuple[int, tuple[Tensor | None, Tensor | None]] = (0, (None, None))

    def __call__(
        self, qkv: Float[Tensor, "token three"], lengths: Sequence[int]
    ) -> Float[Tensor, "token hidden"]:
        qkv = qkv.to(self.dtype)
        context = qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3)
        start = 0
        for length in lengths:
            part = context[start : start + length].view(length, self.num_heads, -1)
            by_head = _by_head(qkv[start : start + length], self.num_heads)
            for heads in _cached_heads(self.num_heads, length, self.dtype.itemsize):
                q, k, v = (each[heads] for each in by_head)
                scores = self._position_scores(q, k, heads).baddbmm_(q, k.transpose(1, 2))
                part[:, heads] = _weighted(scores, v)
            start += length
        context[start:] = 0  # rows that only fill up
        return context

    def _position_scores(
        self,
        q: Float[Tensor, "head token size"],
        k: Float[Tensor, "head token size"],
        which: slice,
    ) -> Float[Tensor, "head token token"]:
        heads, length, _ = q.shape
        reach, (for_keys, for_queries) = self._tables_for(length)
        distances = slice(reach - length, reach + length - 1)
        shape = (heads, length, length)
        per_head, shorter = length * (2 * length - 1), 2 * length - 2
        terms = []
        if for_keys is not None:
            product = torch.bmm(q, for_keys[which, distances].transpose(1, 2))
            terms.append(product.as_strided(shape, (per_head, shorter, 1), length - 1))
        if for_queries is not None:
            product = torch.bmm(k, for_queries[which, distances].transpose(1, 2))
            terms.append(product.as_strided(shape, (per_head, 1, shorter), length - 1))
        if not terms:
            return q.new_zeros(shape)
        return terms[0] + terms[1] if len(terms) > 1 else terms[0].contiguous()

    def _tables_for(self, length: int) -> tuple[int, tuple[Tensor | None, Tensor | None]]:
        """Return tables that reach at least ``length`` tokens; row ``reach - 1`` is distance 0.

        Rows for keys run from far ahead to far back, those for queries the other way.
        """
        reach, tables = self.tables
        if reach < length:
            reach = max(64, 1 << (length - 1).bit_length())
            distance = torch.arange(reach - 1, -reach, -1)  # of a query from its key
            tables = (
                _expand(self.keys, self.buckets.of_keys(distance), self.num_heads),
                _expand(self.queries, self.buckets.of_queries(-distance), self.num_heads),
            )
            self.tables = reach, tables  # at once: other threads may be reading
        return reach, tables


class DistanceBuckets:
    """Which row of the position embeddings a distance has, as transformers' DeBERTa-v2 counts."""

    def __init__(self, *, span: int, bucket_size: int, max_position: int) -> None:
        self.span, self.bucket_size, self.max_position = span, bucket_size, max_position

    def of_keys(self, distance: Tensor) -> Tensor:
        """Return the key's row for each distance query - key."""
        return self._clamp(self._bucket(distance))

    def of_queries(self, distance: Tensor) -> Tensor:
        """Return the query's row for each distance query - key."""
        return self._clamp(-self._bucket(-distance))

    def _bucket(self, distance: Tensor) -> Tensor:
        from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

        if self.bucket_size <= 0 or self.max_position <= 0:
            return distance
        bucket: Tensor = make_log_bucket_position(distance, self.bucket_size, self.max_position)
        return bucket.long()

    def _clamp(self, bucket: Tensor) -> Tensor:
        return (bucket + self.span).clamp(0, 2 * self.span - 1)


def position_projections(
    attention: Any, embeddings: Float[Tensor, "bucket hidden"]
) -> tuple[Tensor | None, Tensor | None]:
    """Return what a DeBERTa layer makes of the position embeddings: keys, and queries unscaled."""
    share = attention.share_att_key
    kinds = attention.pos_att_type
    key = attention.key_proj if share else getattr(attention, "pos_key_proj", None)
    query = attention.query_proj if share else getattr(attention, "pos_query_proj", None)
    return (
        key(embeddings) if "c2p" in kinds and key is not None else None,
        query(embeddings) if "p2c" in kinds and query is not None else None,
    )


def _scores(
    q: Float[Tensor, "head query size"],
    k: Float[Tensor, "head key size"],
    added: Float[Tensor, "bias query key"] | None,
) -> Float[Tensor, "head query key"]:
    scores = torch.bmm(q, k.transpose(1, 2))
    return scores if added is None else scores + added


def _weighted(
    scores: Float[Tensor, "head token token"], values: Float[Tensor, "head token size"]
) -> Float[Tensor, "token head size"]:
    """Return the mean values under the softmax of the scores, which is taken in 32 bits."""
    weights = torch._softmax(scores.float(), -1, False).to(values.dtype)
    return torch.bmm(weights, values).transpose(0, 1)


def _cached_heads(num_heads: int, length: int, itemsize: int) -> Iterator[slice]:
    """Split the heads so that a product with a table stays in the processor's cache."""
    size = max(1, PIECE_BYTES // (2 * itemsize * length * length))
    for first in range(0, num_heads, size):
        yield slice(first, first + size)


def _by_head(qkv: Float[Tensor, "token three"], num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.view(qkv.shape[0], 3, num_heads, -1).permute(1, 2, 0, 3).unbind(0)
    return q, k, v


def _expand(table: Tensor | None, rows: Tensor, num_heads: int) -> Tensor | None:
    """Return a table by head with one row a distance."""
    if table is None:
        return None
    by_distance = table[rows]
    return by_distance.view(len(rows), num_heads, -1).transpose(0, 1).contiguous()
