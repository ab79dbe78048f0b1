"""Keeps the lower part of an encoder as it is."""

from torch import nn

from glinermt.errors import ConfigError


def freeze(encoder: nn.Module, layers: int) -> None:
    """Take an encoder's embeddings and its first layers out of training.

    Args:
        encoder: with ``embeddings`` and ``encoder.layer``, as BERT and DeBERTa have them.
        layers: how many.

    Raises:
        ConfigError: it has no such parts, or fewer layers.
    """
    embeddings = getattr(encoder, "embeddings", None)
    inner = getattr(encoder, "encoder", None)
    if isinstance(inner, nn.ModuleDict):
        found = dict(inner.items()).get("layer")
    else:
        found = getattr(inner, "layer", None)
    if not isinstance(embeddings, nn.Module) or not isinstance(found, nn.ModuleList):
        raise ConfigError(
            f"frozen_layers: no layers are known in a {type(encoder).__name__}; set it to 0"
        )
    if layers > len(found):
        raise ConfigError(f"frozen_layers is {layers}, but the encoder has {len(found)} layers")
    for part in (embeddings, *found[:layers]):
        part.requires_grad_(False)
