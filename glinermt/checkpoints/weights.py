"""Reads weights and JSON of any checkpoint, safely, and fills a network with them, strictly."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from glinermt.errors import CheckpointError

WEIGHTS = "model.safetensors"


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read ``model.safetensors``, else ``pytorch_model.bin``; names of tied tensors are restored.

    Raises:
        CheckpointError: no file, or a damaged one.
    """
    path = folder / WEIGHTS
    if path.exists():
        try:
            with safe_open(path, framework="pt") as file:
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                aliases = file.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: damaged: {error}") from error
        for omitted, kept in aliases.items():
            if kept in weights:
                weights.setdefault(omitted, weights[kept])
        return weights
    path = folder / "pytorch_model.bin"
    if not path.exists():
        raise CheckpointError(f"{folder}: neither {WEIGHTS} nor {path.name} is there")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the damage makes it stumble over
        raise CheckpointError(f"{path}: damaged or unsafe: {error}") from error
    if not isinstance(loaded, Mapping) or not all(map(torch.is_tensor, loaded.values())):
        raise CheckpointError(f"{path}: expected tensors by name, got {type(loaded).__name__}")
    return dict(loaded)


def fill(network: nn.Module, weights: Mapping[str, Tensor], *, where: Path) -> None:
    """Load weights strictly; a network on ``meta``, which has no memory, takes copies of them.

    Raises:
        CheckpointError: see ``check``.
    """
    check(network, weights, where=where)
    if not any(parameter.is_meta for parameter in network.parameters()):
        network.load_state_dict(weights)
        return
    own = network.state_dict()
    copies = {name: weight.to(own[name].dtype, copy=True) for name, weight in weights.items()}
    network.load_state_dict(copies, assign=True)


def check(network: nn.Module, weights: Mapping[str, Tensor], *, where: Path) -> None:
    """Check that weights are exactly those of the network.

    Raises:
        CheckpointError: names the weights that are missing, left over, or of another shape.
    """
    own = network.state_dict()
    missing, surplus = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    shapes = [
        f"{name} is {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own.keys() & weights.keys()
        if own[name].shape != weights[name].shape
    ]
    problems = [
        f"{what}: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
        for what, names in (("missing", missing), ("left over", surplus), ("misshapen", shapes))
        if names
    ]
    if problems:
        raise CheckpointError(f"{where}: weights do not fit the network: {'; '.join(problems)}")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: not JSON, or not an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: expected an object, got {type(data).__name__}")
    return data


def renamed(weights: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Return the weights under the names that ``names`` gives for the beginnings of theirs."""
    return {ours: weights[name] for ours, name in published_names(weights, names).items()}


def published_names(weights: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, str]:
    """Return our name of each weight that ``renamed`` would rename, and its own."""
    found = {}
    for name in weights:
        old = next((beginning for beginning in names if name.startswith(beginning)), None)
        found[name if old is None else names[old] + name[len(old) :]] = name
    return found


def vocabulary_size(weights: Mapping[str, Tensor], folder: Path) -> int:
    """Count the rows of the word embeddings; the configuration is often wrong about them.

    Raises:
        CheckpointError: there are none.
    """
    endings = (
        "word_embeddings.weight", "embed_tokens.weight", "tok_embeddings.weight", "shared.weight",
    )  # fmt: skip
    for ending in endings:
        for name, tensor in weights.items():
            if name.endswith(ending):
                return tensor.shape[0]
    raise CheckpointError(f"{folder}: no word embeddings among the weights")


def one_of(path: Path, key: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return the value of a configuration's key.

    Raises:
        CheckpointError: it is not one of the choices.
    """
    if value not in choices:
        names = ", ".join(map(repr, choices))
        raise CheckpointError(f"{path}: {key} = {value!r:.80} is not supported, only {names}")
    return value
