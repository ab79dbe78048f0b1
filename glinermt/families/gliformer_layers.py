"""Layers that the heads of GLiFormer share, under the names of its weights (gliformer 0.1.3)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Modeling = Literal["linear", "mlp"]


class Anchor(nn.Module):
    """Makes one vector of a label's and of its group's."""

    def __init__(self, size: int, modeling: Modeling, *, dropout: bool) -> None:
        super().__init__()
        self.is_linear = modeling == "linear"
        if self.is_linear:
            self.proj = nn.Linear(2 * size, size)
        else:
            self.mlp = two_layers(2 * size, 2 * size, size, dropout=dropout)

    def forward(
        self, group: Float[Tensor, "#label hidden"], labels: Float[Tensor, "label hidden"]
    ) -> Float[Tensor, "label hidden"]:
        pair = torch.cat([group.expand_as(labels), labels], dim=-1)
        anchored: Tensor = self.proj(pair) if self.is_linear else self.mlp(pair)
        return anchored


def two_layers(size: int, inner: int, width: int, *, dropout: bool = True) -> nn.Sequential:
    """Return layers whose names count the dropout, which a model trained without it has not."""
    between = [nn.Dropout(0.0)] if dropout else []
    return nn.Sequential(nn.Linear(size, inner), nn.GELU(), *between, nn.Linear(inner, width))
