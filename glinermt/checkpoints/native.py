"""Saves and loads our own format, and loads exported models where torch is installed."""

import dataclasses
import io
import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from glinermt import exported
from glinermt.build import Parts, assemble, empty_encoder, with_words
from glinermt.checkpoints.hub import write_card
from glinermt.checkpoints.weights import WEIGHTS, check, fill, read_json, read_weights
from glinermt.config import ModelConfig, TaskSettings, from_mapping
from glinermt.errors import (
    CheckpointError,
    ConfigError,
    UntrainableError,
    UsageError,
    unknown_choice,
)
from glinermt.exported import is_export
from glinermt.families.base import FamilyNetwork
from glinermt.reader import NetworkReader
from glinermt.tokenizer import FastTokenizer, Tokenizer

CONFIG = "glinermt_config.json"
FAMILY_SETTINGS = "glinermt_settings.json"
"""What is ours of a published checkpoint: settings of tasks, and how texts are split."""
FORMAT_VERSION = 1
COMPLETE = 0.9
"""Least share of the embeddings that the tokenizer has tokens for; some tables are padded."""


def save(parts: Parts, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
    """Write a model so that ``load`` finds it; ``dtype`` converts floating weights.

    A model of a family with a network of its own is written in the form that it was read in, with
    its settings beside it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_card(parts, folder)
    if parts.source is not None:
        _write_family(parts, parts.source, folder, dtype)
        return
    data = {
        "format_version": FORMAT_VERSION,
        "model": dataclasses.asdict(parts.config),
        "settings": dataclasses.asdict(parts.settings),
    }
    save_file(weights_of(parts, dtype), folder / WEIGHTS)
    parts.query_encoder.tokenizer.save_pretrained(folder)
    (folder / CONFIG).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def weights_of(parts: Parts, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """Return copies of a network's weights as they are saved; ``dtype`` converts floating ones."""
    weights = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None)
        for name, tensor in parts.network.state_dict().items()
    }
    return {name: tensor.contiguous().clone() for name, tensor in weights.items()}


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
    unknown = data.keys() - {"format_version", "model", "settings"}
    if unknown:
        raise ConfigError(unknown_choice("key", min(unknown), ("model", "settings")))
    config = from_mapping(ModelConfig, data.get("model", {}), where="model")
    settings = from_mapping(TaskSettings, data.get("settings", {}), where="settings")
    weights, tokenizer = read_weights(folder), FastTokenizer.from_folder(folder)
    vocab_size = _check_encoder(config, weights, folder)
    _check_tokenizer(config, tokenizer, vocab_size, folder)

    def parts() -> Parts:
        encoder = empty_encoder(dict(config.encoder_config), vocab_size)
        return assemble(config, encoder, tokenizer, settings)

    with torch.device("meta"):  # sizes that do not fit cost no memory, and no numbers are drawn
        loaded = parts()
    check(loaded.network, weights, where=folder)
    if not _is_all_in(loaded.network, weights):
        loaded = parts()
    fill(loaded.network, weights, where=folder)
    return loaded


def _is_all_in(network: torch.nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Say whether a network holds nothing but these weights, each once.

    Others compute tensors when they are built (rotary encoders), in whatever they keep them, or tie
    two weights (T5).
    """
    own = [
        *network.named_parameters(remove_duplicate=False),
        *network.named_buffers(remove_duplicate=False),
    ]
    held = _Held()
    try:
        held.dump(network)
    except Exception:  # pickle raises whatever an object that it cannot read raises
        return False
    ids = {id(tensor) for name, tensor in own if name in weights}
    return len(ids) == len(own) and held.ids <= ids


class _Held(pickle.Pickler):
    """Notes which tensors an object holds, however deep; pickle goes through all that there is."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())
        self.ids: set[int] = set()

    def persistent_id(self, value: object) -> bool | None:
        if not isinstance(value, Tensor):
            return None
        self.ids.add(id(value))
        return True


def _check_encoder(config: ModelConfig, weights: Mapping[str, Tensor], folder: Path) -> int:
    """Return the encoder's ``vocab_size``.

    Raises:
        CheckpointError: the weights are of fewer words or layers than the configuration says.
        ConfigError: it says nothing of words.
    """
    vocab_size = config.encoder_config.get("vocab_size")
    if type(vocab_size) is not int:
        raise ConfigError("model: encoder_config has no vocab_size")
    tables = [
        tensor.shape[0]
        for name, tensor in weights.items()
        if name.startswith("encoder.encoder.") and name.endswith("word_embeddings.weight")
    ]
    if tables and tables[0] != vocab_size:
        raise CheckpointError(
            f"{folder / CONFIG}: vocab_size is {vocab_size}, but the weights have {tables[0]} word "
            "embeddings"
        )
    layers = config.encoder_config.get("num_hidden_layers", 0)
    if isinstance(layers, int) and layers > len(weights):
        raise CheckpointError(
            f"{folder / CONFIG}: num_hidden_layers is {layers}, but there are only {len(weights)} "
            "weights"
        )
    return vocab_size


def _check_tokenizer(
    config: ModelConfig, tokenizer: Tokenizer, vocab_size: int, folder: Path
) -> None:
    """Raise CheckpointError where the tokenizer is not the one that the weights were made for."""
    ids = tokenizer.get_vocab().values()
    if max(ids, default=-1) >= vocab_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has the id {max(ids)}, but there are only {vocab_size} word "
            "embeddings"
        )
    if len(ids) < COMPLETE * vocab_size:
        raise CheckpointError(
            f"{folder}: the tokenizer knows {len(ids)} tokens of {vocab_size}: it is cut or of "
            "another model"
        )
    for name in ("ent_token_id", "sep_token_id"):
        if getattr(config, name) >= vocab_size:
            raise CheckpointError(
                f"{folder / CONFIG}: {name} {getattr(config, name)} lies outside the {vocab_size} "
                "word embeddings"
            )


def _write_family(parts: Parts, source: Path, folder: Path, dtype: torch.dtype | None) -> None:
    """Copy configuration and tokenizers, and write weights and settings; an export as it is."""
    whole = is_export(source)
    suffixes = (".json", ".model", ".txt", *((".onnx", ".xml", ".bin") if whole else ()))
    for path in sorted(p for p in source.rglob("*") if p.suffix in suffixes):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.resolve() != target.resolve():
            shutil.copyfile(path, target)
    if whole:
        return
    weights = read_weights(source)
    for ours, tensor in parts.network.state_dict().items():
        name = parts.published[ours]
        now = tensor.detach().cpu()
        rounded = now.to(weights[name].dtype)  # as small as it was, where nothing is lost by it
        weights[name] = rounded if torch.equal(rounded.to(now.dtype), now) else now
    converted = {
        name: tensor.to(dtype if tensor.is_floating_point() else None).contiguous().clone()
        for name, tensor in weights.items()
    }
    save_file(converted, folder / WEIGHTS)
    own = {"settings": dataclasses.asdict(parts.settings), "words": parts.config.words}
    (folder / FAMILY_SETTINGS).write_text(json.dumps(own, indent=2) + "\n", encoding="utf-8")


def with_saved_settings(parts: Parts, folder: Path) -> Parts:
    """Return the parts of a family with the settings and words that ``save`` wrote beside them.

    Raises:
        ConfigError: an impossible setting, or an unknown splitter.
    """
    if parts.source is None or not (folder / FAMILY_SETTINGS).exists():
        return parts
    data = read_json(folder / FAMILY_SETTINGS)
    settings = from_mapping(TaskSettings, data.get("settings", {}), where="settings")
    parts = dataclasses.replace(parts, settings=settings)
    words = data.get("words", parts.config.words)
    return parts if words == parts.config.words else with_words(parts, words)


class ExportedNetwork(FamilyNetwork):
    """Stands where a network would: another runtime holds the weights."""

    family = "exported"

    def check_trainable(self) -> None:
        raise UntrainableError(
            "exported models hold no weights that could learn, and cannot be fine-tuned; fine-tune "
            "the model that this one was made from, and export that again"
        )

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def to(self, *_: object, device: Any = None, dtype: Any = None) -> "ExportedNetwork":
        """Return the network.

        Raises:
            ValueError: another place or type of the weights is asked for.
        """
        if dtype is not None or torch.device(device or "cpu").type != "cpu":
            raise UsageError(
                "an exported model runs on the processor, with the weights it was exported with; "
                "load the model it was made from, or export with quantize"
            )
        return self


def load_export(folder: Path) -> Parts:
    """Read what ``export.export`` wrote; see ``exported.read``."""
    config, settings, query_encoder, scorer = exported.read(folder)
    reader = NetworkReader(query_encoder, scorer)
    return Parts(ExportedNetwork(), query_encoder, settings, config, reader, folder)
