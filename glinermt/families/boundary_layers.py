"""Layers of the boundary network of GLiNER2.5, under the names of its weights (gliner2 2.1.0).

A text of L words has L + 1 boundaries; a span is a pair of them, half open. Nothing here knows of
batches: a row is read alone, so no result depends on what it is read with.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class BoundarySettings:
    """Sizes and rules; the names and defaults are the package gliner2's (2.1.0)."""

    boundary_dim: int = 128
    pair_dim: int = 128
    boundary_refinement_layers: int = 1
    boundary_ffn_multiplier: float = 2.0
    boundary_attention_layers: int = 0
    boundary_attention_heads: int = 4
    boundary_attention_window: int = 0
    """Boundaries on each side that a boundary sees; 0 = all."""
    use_inside_evidence: bool = True
    enable_span_content: bool = False
    content_dim: int = 64
    content_soft_max_pool: bool = False
    candidate_pool: Literal["shared"] = "shared"
    pool_boundary_top_k: int = 64
    pool_size: int = 384
    min_pool_per_query: int = 8
    candidate_attention_layers: int = 2
    candidate_attention_heads: int = 4
    query_attention_layers: int = 1
    enable_abstention: bool = True
    abstention_threshold: float = 0.5
    overlap_policy: Literal["flat", "nested", "longest", "allow"] = "flat"
    pair_temperature: float = 1.0
    relation_temperature: float = 1.0
    classification_temperature: float = 1.0
    enable_relations: bool = True
    relation_heads_per_type: int = 32
    relation_tails_per_type: int = 32
    relation_pair_cap: int = 128
    relation_argument_proposal_threshold: float = 0.0
    directional_relation_states: bool = False
    relation_biaffine_content: bool = False
    enable_records: bool = True
    record_dim: int = 128
    record_instance_queries: int = 32
    record_temperature: float = 1.0
    dropout: float = 0.1


class BoundaryEncoder(nn.Module):
    """States of the boundaries, from the words on their left and on their right."""

    def __init__(self, size: int, settings: BoundarySettings) -> None:
        super().__init__()
        dim = settings.boundary_dim
        self.bos_state = nn.Parameter(torch.zeros(size))
        self.eos_state = nn.Parameter(torch.zeros(size))
        self.left_projection = nn.Linear(size, dim)
        self.right_projection = nn.Linear(size, dim)
        self.output_projection = nn.Linear(2 * dim, dim)
        self.layer_norm = nn.LayerNorm(dim)
        self.attention_blocks = nn.ModuleList(
            _WindowAttention(
                dim, settings.boundary_attention_heads, settings.boundary_attention_window
            )
            for _ in range(settings.boundary_attention_layers)
        )
        self.refinement_blocks = nn.ModuleList(
            _Refinement(dim, settings.boundary_ffn_multiplier)
            for _ in range(settings.boundary_refinement_layers)
        )

    def forward(self, words: Float[Tensor, "word hidden"]) -> Float[Tensor, "boundary dim"]:
        left = self.left_projection(torch.cat([self.bos_state[None], words]))
        right = self.right_projection(torch.cat([words, self.eos_state[None]]))
        states = self.layer_norm(self.output_projection(torch.cat([left, right], dim=-1)))
        for block in (*self.attention_blocks, *self.refinement_blocks):
            states = block(states)
        result: Tensor = states
        return result


class _WindowAttention(nn.Module):
    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.norm = nn.LayerNorm(dim)
        self.qkv_projection = nn.Linear(dim, 3 * dim)
        self.output_projection = nn.Linear(dim, dim)

    def forward(self, states: Float[Tensor, "boundary dim"]) -> Float[Tensor, "boundary dim"]:
        place = torch.arange(len(states), device=states.device)
        near = (place[:, None] - place).abs() <= (self.window or len(states))
        attended = attention(self.qkv_projection(self.norm(states)), self.heads, near)
        result: Tensor = states + self.output_projection(attended)
        return result


class _Refinement(nn.Module):
    def __init__(self, dim: int, multiplier: float) -> None:
        super().__init__()
        inner = max(1, int(dim * multiplier))
        self.norm = nn.LayerNorm(dim)
        self.input_projection = nn.Linear(dim, 2 * inner)
        self.output_projection = nn.Linear(inner, dim)

    def forward(self, states: Float[Tensor, "boundary dim"]) -> Float[Tensor, "boundary dim"]:
        value, gate = self.input_projection(self.norm(states)).chunk(2, dim=-1)
        result: Tensor = states + self.output_projection(value * functional.silu(gate))
        return result


class BoundaryQueries(nn.Module):
    """How well each boundary begins or ends a span of a query, and each word lies inside one."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.start_boundary_projection = nn.Linear(dim, dim)
        self.start_query_projection = nn.Linear(size, dim)
        self.end_boundary_projection = nn.Linear(dim, dim)
        self.end_query_projection = nn.Linear(size, dim)
        self.inside_text_projection = nn.Linear(size, dim)
        self.inside_query_projection = nn.Linear(size, dim)

    def forward(
        self,
        boundaries: Float[Tensor, "boundary dim"],
        words: Float[Tensor, "word hidden"],
        queries: Float[Tensor, "query hidden"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits ``query boundary`` of start and of end, and ``query word`` of inside."""
        scale = math.sqrt(boundaries.shape[-1])
        start = self.start_query_projection(queries) @ self.start_boundary_projection(boundaries).T
        end = self.end_query_projection(queries) @ self.end_boundary_projection(boundaries).T
        inside = self.inside_query_projection(queries) @ self.inside_text_projection(words).T
        return start / scale, end / scale, inside / scale


class SpanContent(nn.Module):
    """The mean of projected words of a span, and with ``soft_max`` a smooth maximum beside it."""

    def __init__(self, size: int, dim: int, *, soft_max: bool) -> None:
        super().__init__()
        self.soft_max = soft_max
        self.output_dim = dim * (2 if soft_max else 1)
        self.value_projection = nn.Linear(size, dim)
        self.layer_norm = nn.LayerNorm(self.output_dim)

    def forward(
        self, words: Float[Tensor, "word hidden"], spans: Int[Tensor, "span 2"]
    ) -> Float[Tensor, "span content"]:
        values = self.value_projection(words).float()
        start, end = spans.unbind(1)
        total = functional.pad(values.cumsum(0), (0, 0, 1, 0))
        pooled = (total[end] - total[start]) / (end - start)[:, None]
        if self.soft_max:
            floor = torch.finfo(torch.float32).min / 4.0
            lse = functional.pad(values.logcumsumexp(0), (0, 0, 1, 0), value=floor)
            delta = (lse[start] - lse[end]).clamp(max=-1e-6)
            top = lse[end] + torch.log1p(-torch.exp(delta))
            pooled = torch.cat([pooled, torch.nan_to_num(top, neginf=0.0, posinf=0.0)], dim=-1)
        result: Tensor = self.layer_norm(pooled.to(words.dtype))
        return result


class CandidateAttention(nn.Module):
    """Attention among spans, with a bias for how two of them lie to each other."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)
        self.relative_bias = nn.Parameter(torch.zeros(8, heads))
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.ffn = _ffn(dim)

    def forward(
        self, states: Float[Tensor, "span dim"], spans: Int[Tensor, "span 2"]
    ) -> Float[Tensor, "span dim"]:
        bias = self.relative_bias[_relative_place(spans)].permute(2, 0, 1)
        states = states + self.output(attention(self.qkv(self.norm1(states)), self.heads, bias))
        result: Tensor = states + self.ffn(self.norm2(states))
        return result


class QueryAttention(nn.Module):
    """Attention among queries, each told what the spans have for it."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.query_in = nn.Linear(dim, dim)
        self.evidence_in = nn.Linear(dim, dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.ffn = _ffn(dim)

    def forward(
        self, queries: Float[Tensor, "query dim"], spans: Float[Tensor, "span dim"]
    ) -> Float[Tensor, "query dim"]:
        evidence = (queries @ spans.T).softmax(-1) @ spans
        states = self.query_in(queries) + self.evidence_in(evidence)
        normed = self.norm1(states)[None]
        states = states + self.attention(normed, normed, normed, need_weights=False)[0][0]
        result: Tensor = states + self.ffn(self.norm2(states))
        return result


def attention(
    qkv: Float[Tensor, "item three_dim"],
    heads: int,
    mask: Bool[Tensor, "item item"] | Float[Tensor, "head item item"],
) -> Float[Tensor, "item dim"]:
    """Return scaled dot-product attention of items among themselves."""
    parts = qkv.view(len(qkv), 3, heads, -1)  # item three head dim
    query, key, value = parts.permute(1, 2, 0, 3)[:, None]
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return attended[0].transpose(0, 1).flatten(1)


def _ffn(dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(0.0), nn.Linear(4 * dim, dim)
    )


_SAME, _INSIDE, _OUTSIDE, _CROSSING, _SAME_START, _SAME_END, _LEFT, _RIGHT = range(8)


def _relative_place(spans: Int[Tensor, "span 2"]) -> Int[Tensor, "span span"]:
    """Return how each span (rows) lies to each other one (columns)."""
    start, end = spans.unbind(1)
    start, end, other_start, other_end = start[:, None], end[:, None], start[None], end[None]
    place = torch.full_like(start + other_start, _CROSSING)
    for condition, name in (
        (end <= other_start, _LEFT),
        (other_end <= start, _RIGHT),
        ((start > other_start) & (end < other_end), _INSIDE),
        ((start < other_start) & (end > other_end), _OUTSIDE),
        ((start == other_start) & (end != other_end), _SAME_START),
        ((start != other_start) & (end == other_end), _SAME_END),
        ((start == other_start) & (end == other_end), _SAME),
    ):
        place = torch.where(condition, name, place)
    return place
