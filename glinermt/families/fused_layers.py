"""An encoder whose output is a weighted sum of all its layers (``fuse_layers`` of gliner)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class FusedOutput:
    """What an encoder of transformers also has."""

    last_hidden_state: Float[Tensor, "batch token hidden"]


class FusedLayers(nn.Module):
    """Weighs layers by what they hold (squeeze and excitation), row by row.

    The means are of a row's own tokens; the package's are of its padding, too.
    """

    def __init__(self, encoder: nn.Module, num_layers: int, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config: Any = encoder.config
        self.layers_fuser = nn.ModuleDict(
            {
                "squeeze": nn.Linear(size, 1),
                "W1": nn.Linear(num_layers, num_layers // 2),
                "W2": nn.Linear(num_layers // 2, num_layers),
                "output_projection": nn.Linear(size, size),
            }
        )

    def forward(
        self, input_ids: Int[Tensor, "batch token"], attention_mask: Int[Tensor, "batch token"]
    ) -> FusedOutput:
        found = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
        )
        layers = torch.stack(found.hidden_states[1:], dim=1)  # batch layer token hidden
        parts = self.layers_fuser
        mask = attention_mask[:, None].to(layers.dtype)
        squeezed = (parts["squeeze"](layers).squeeze(-1) * mask).sum(-1) / mask.sum(-1)
        weights = parts["W2"](parts["W1"](squeezed).relu()).sigmoid()
        mixed = torch.einsum("bl,blth->bth", weights, layers)
        return FusedOutput(parts["output_projection"](mixed))
