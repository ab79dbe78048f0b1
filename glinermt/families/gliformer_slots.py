"""Learned slots of GLiFormer, each of which chooses a head and a tail among the entities of a row.

The names and rules were verified against the PyPI package ``gliformer`` 0.1.3.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glinermt.families.gliformer_layers import Anchor, Modeling, two_layers

MAX_FREQUENCY = 64.0
LEAST_BIAS = -1e4


@dataclass(frozen=True, slots=True)
class Nearness:
    """How much attention prefers what stands at the same share of the row, a Gaussian."""

    sigma: float
    weight: float
    in_slots: bool
    """Whether ``sigma`` counts slots, else shares of all."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """How slots look at the entities before they choose."""

    num_layers: int
    num_heads: int = 8
    norm_first: bool = False
    is_scaled: bool = False
    """Whether what is added to a slot is scaled by learned factors."""
    inner: int = 4
    """Width between the two layers of the MLP, in widths of a vector."""
    places_of_slots: bool = False
    """Whether a slot's place among the slots is added to it."""
    places_of_memory: Literal["none", "keys", "values"] = "none"
    """Whether an entity's place is added where it is compared, or also to what is taken from it."""
    nearness: Nearness | None = None


class PairSlots(nn.Module):
    """Chooses the pairs of a row that are scored against relations.

    Args:
        size: of all vectors.
        number: of slots.
        modeling: how a slot and an end of a pair are made into one vector.
        dropout: whether the layers were trained with it, which their names tell.
        refinement: how slots look at the entities; None = not at all.
    """

    def __init__(
        self,
        size: int,
        number: int,
        modeling: Modeling = "linear",
        *,
        dropout: bool = True,
        refinement: Refinement | None = None,
    ) -> None:
        super().__init__()
        self.endpoint_roles = nn.Parameter(torch.zeros(2, size))
        self.anchor_layer = _Table(size, number)
        self.anchor_modeling = Anchor(size, modeling, dropout=dropout)
        self.anchor_refinement = None if refinement is None else _Decoder(size, refinement)

    def forward(
        self, group: Float[Tensor, " hidden"], spans: Float[Tensor, "span hidden"]
    ) -> Int[Tensor, "pair 2"]:
        """Return the pairs of different entities that slots choose; several may choose the same.

        Args:
            group: vector of the marker of the row's group of labels.
            spans: vectors of the entities, in the order of the text.
        """
        slots: Tensor = self.anchor_layer(group)
        if self.anchor_refinement is not None:
            slots = self.anchor_refinement(slots, torch.cat([group[None], spans]))
        ends = [self.anchor_modeling(slots, role.expand_as(slots)) for role in self.endpoint_roles]
        pairs = torch.stack([(end @ spans.T).argmax(1) for end in ends], dim=1)
        chosen: Tensor = pairs[pairs[:, 0] != pairs[:, 1]]
        return chosen


class _Table(nn.Module):
    """One vector a slot, each moved by the group's."""

    def __init__(self, size: int, number: int) -> None:
        super().__init__()
        self.anchor_table = nn.Embedding(number, size)
        self.context_proj = nn.Linear(size, size)
        self.context_gate = nn.Parameter(torch.zeros(()))

    def forward(self, group: Float[Tensor, " hidden"]) -> Float[Tensor, "slot hidden"]:
        moved: Tensor = self.context_gate * self.context_proj(group)
        return self.anchor_table.weight + moved


class _Decoder(nn.Module):
    """Attention of slots to one another and to the memory, layer by layer."""

    def __init__(self, size: int, options: Refinement) -> None:
        super().__init__()
        self.options = options
        self.layers = nn.ModuleList(_Layer(size, options) for _ in range(options.num_layers))

    def forward(
        self, slots: Float[Tensor, "slot hidden"], memory: Float[Tensor, "memory hidden"]
    ) -> Float[Tensor, "slot hidden"]:
        own, theirs = _shares(slots), _shares(memory)
        places = _fourier(own, slots.shape[1]) if self.options.places_of_slots else 0.0
        keys = values = memory
        if self.options.places_of_memory != "none":
            keys = memory + _fourier(theirs, memory.shape[1])
            values = keys if self.options.places_of_memory == "values" else memory
        bias = self._bias(own, theirs)
        for layer in self.layers:
            slots = layer(slots, places, keys, values, bias)
        return slots

    def _bias(
        self, slots: Float[Tensor, " slot"], memory: Float[Tensor, " memory"]
    ) -> Float[Tensor, "slot memory"] | None:
        nearness = self.options.nearness
        if nearness is None:
            return None
        apart = (slots[:, None] - memory) * (len(slots) if nearness.in_slots else 1)
        bias = -0.5 * nearness.weight * apart.square() / max(nearness.sigma**2, 1e-12)
        return bias.clamp(min=LEAST_BIAS)


class _Layer(nn.Module):
    def __init__(self, size: int, options: Refinement) -> None:
        super().__init__()
        self.norm_first = options.norm_first
        self.self_attn = nn.MultiheadAttention(size, options.num_heads, batch_first=True)
        self.cross_attn = nn.MultiheadAttention(size, options.num_heads, batch_first=True)
        self.norm0, self.norm1, self.norm2 = (nn.LayerNorm(size) for _ in range(3))
        self.ffn = two_layers(size, options.inner * size, size)
        self.self_attn_scale, self.cross_attn_scale, self.ffn_scale = (
            nn.Parameter(torch.ones(size)) if options.is_scaled else None for _ in range(3)
        )

    def forward(
        self,
        slots: Float[Tensor, "slot hidden"],
        places: Float[Tensor, "slot hidden"] | float,
        keys: Float[Tensor, "memory hidden"],
        values: Float[Tensor, "memory hidden"],
        bias: Float[Tensor, "slot memory"] | None,
    ) -> Float[Tensor, "slot hidden"]:
        def among_slots(own: Tensor) -> Tensor:
            placed = own + places
            return _attend(self.self_attn, placed, placed, own, None)

        def to_memory(own: Tensor) -> Tensor:
            return _attend(self.cross_attn, own + places, keys, values, bias)

        steps = (
            (among_slots, self.self_attn_scale, self.norm0),
            (to_memory, self.cross_attn_scale, self.norm1),
            (self.ffn, self.ffn_scale, self.norm2),
        )
        for step, scale, norm in steps:
            added: Tensor = step(norm(slots) if self.norm_first else slots)
            slots = slots + (added if scale is None else added * scale)
            if not self.norm_first:
                slots = norm(slots)
        return slots


def _attend(
    attention: nn.MultiheadAttention,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    bias: Tensor | None,
) -> Tensor:
    found: Tensor = attention(queries, keys, values, attn_mask=bias, need_weights=False)[0]
    return found


def _shares(rows: Tensor) -> Float[Tensor, " row"]:
    """Return where the middle of each row lies, as a share of all."""
    return (torch.arange(len(rows), device=rows.device) + 0.5) / len(rows)


def _fourier(shares: Float[Tensor, " row"], size: int) -> Float[Tensor, "row hidden"]:
    """Return sines and cosines of 1 to ``MAX_FREQUENCY`` turns over all rows."""
    turns = torch.logspace(0, math.log10(MAX_FREQUENCY), size // 2, device=shares.device)
    angles = shares[:, None] * (2 * math.pi) * turns
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
