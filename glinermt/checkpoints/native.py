"""Saves and loads our own format.

That is ``glinermt_config.json`` (network and task settings), ``model.safetensors`` and the
tokenizer's files.
"""

import dataclasses
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from glinermt.build import Parts, assemble, empty_encoder, own_tokenizer
from glinermt.checkpoints.weights import WEIGHTS, fill, read_json, read_weights
from glinermt.config import ModelConfig, TaskSettings, from_mapping
from glinermt.errors import CheckpointError, ConfigError

CONFIG = "glinermt_config.json"
FORMAT_VERSION = 1


def save(parts: Parts, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
    """Write a model so that ``load`` finds it; ``dtype`` converts floating weights.

    A model of a family that is not trained here is written as the files it was read from.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if parts.source is not None:
        _copy(parts.source, folder, dtype)
        return
    data = {
        "format_version": FORMAT_VERSION,
        "model": dataclasses.asdict(parts.config),
        "settings": dataclasses.asdict(parts.settings),
    }
    weights = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None)
        for name, tensor in parts.network.state_dict().items()
    }
    save_file({k: v.contiguous().clone() for k, v in weights.items()}, folder / WEIGHTS)
    parts.query_encoder.tokenizer.save_pretrained(folder)
    (folder / CONFIG).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> Parts:
    """Read what ``save`` wrote.

    Raises:
        CheckpointError: another format version, or weights that do not fit.
        ConfigError: an impossible configuration.
    """
    data = read_json(folder / CONFIG)
    version = data.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{folder / CONFIG}: format_version {version!r} is not {FORMAT_VERSION}; "
            "it was written by another version of glinermt"
        )
    config = from_mapping(ModelConfig, data.get("model", {}), where="model")
    settings = from_mapping(TaskSettings, data.get("settings", {}), where="settings")
    weights = read_weights(folder)
    encoder_config = dict(config.encoder_config)
    if not isinstance(encoder_config.get("vocab_size"), int):
        raise ConfigError("model: encoder_config has no vocab_size")
    encoder = empty_encoder(encoder_config, encoder_config["vocab_size"])
    parts = assemble(config, encoder, own_tokenizer(folder), settings)
    fill(parts.network, weights, where=folder)
    return parts


def _copy(source: Path, folder: Path, dtype: torch.dtype | None) -> None:
    """Copy configuration and tokenizers, and the weights as safetensors."""
    for path in sorted(p for p in source.rglob("*") if p.suffix in (".json", ".model", ".txt")):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.resolve() != target.resolve():
            shutil.copyfile(path, target)
    weights = {
        name: tensor.to(dtype if tensor.is_floating_point() else None).contiguous().clone()
        for name, tensor in read_weights(source).items()
    }
    save_file(weights, folder / WEIGHTS)
