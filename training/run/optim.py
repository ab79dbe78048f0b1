"""AdamW with two learning rates, and how they move over a run."""

import math
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import nn

from glinermt.training.config import Optim


class TwoPart(Protocol):
    """A model whose encoder is trained at a rate of its own."""

    def encoder_parameters(self) -> Iterable[nn.Parameter]: ...

    def other_parameters(self) -> Iterable[nn.Parameter]: ...


def make_optimizer(model: TwoPart, optim: Optim) -> torch.optim.AdamW:
    """Build AdamW; biases and norms (vectors) do not decay."""
    groups: list[dict[str, Any]] = []
    parts = (
        (model.encoder_parameters(), optim.encoder_lr),
        (model.other_parameters(), optim.other_lr),
    )
    for parameters, rate in parts:
        trained = [p for p in parameters if p.requires_grad]
        for decays in (True, False):
            members = [p for p in trained if (p.dim() > 1) == decays]
            if members:
                decay = optim.weight_decay if decays else 0.0
                groups.append({"params": members, "lr": rate, "peak": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, fused=True)


def set_rates(
    optimizer: torch.optim.Optimizer, optim: Optim, progress: float, *, stride: float = 0.0
) -> None:
    """Set the learning rates for ``progress`` in [0, 1] of the run; see ``rate_factor``."""
    factor = rate_factor(optim, progress, stride=stride)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def rate_factor(optim: Optim, progress: float, *, stride: float = 0.0) -> float:
    """Return the share of the peak rate: rising over ``warmup``, then falling to 0 at the end.

    ``stride`` is the share of the run that one step takes: the rise is to where the step ends, so
    that the first step learns, too.
    """
    if progress < optim.warmup:
        return min(1.0, (progress + stride) / optim.warmup)
    if optim.schedule == "constant":
        return 1.0
    left = (1.0 - min(1.0, progress)) / (1.0 - optim.warmup) if optim.warmup < 1 else 0.0
    return left if optim.schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * left))
