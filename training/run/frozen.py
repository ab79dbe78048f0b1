"""Keeps parts of a network as they are."""

from collections.abc import Sequence

from torch import nn

from glinermt.errors import ConfigError, unknown_choice


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


def train_only(network: nn.Module, parts: Sequence[str]) -> None:
    """Take all but some parts of a network out of training.

    Args:
        network: whose parts are its children.
        parts: their names, such as ``relation_head``.

    Raises:
        ConfigError: there is no such part.
    """
    children = dict(network.named_children())
    for part in parts:
        if part not in children:
            raise ConfigError(f"trained_parts: {unknown_choice('part', part, children)}")
    network.requires_grad_(False)
    for part in parts:
        children[part].requires_grad_(True)
