"""Binary cross-entropy over all word-label places, weighted, optionally focal and smoothed."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def bce_loss(
    logits: Float[Tensor, "batch ..."],
    targets: Float[Tensor, "batch ..."],
    valid: Bool[Tensor, "batch ..."],
    *,
    positive_weight: float = 0.75,
    negative_weight: float = 0.25,
    gamma: float = 0.0,
    smoothing: float = 0.0,
) -> Float[Tensor, " batch"]:
    """Sum the weighted loss of each row's valid places (the paper, section 3.2: 0.75 and 0.25).

    Args:
        logits: scores before the sigmoid.
        targets: 0 or 1.
        valid: the places that count.
        positive_weight: weight of places with target 1.
        negative_weight: weight of places with target 0.
        gamma: focal exponent (Lin et al. 2017); 0 = plain cross-entropy.
        smoothing: the a of ``t (1 - a) + a / 2``.
    """
    smooth = targets * (1 - smoothing) + 0.5 * smoothing
    loss = functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
    if gamma:
        loss = loss * (torch.sigmoid(logits) - targets).abs() ** gamma
    weight = negative_weight + (positive_weight - negative_weight) * targets
    return (loss * weight * valid).flatten(1).sum(1)
