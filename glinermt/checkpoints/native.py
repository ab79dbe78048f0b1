"""Saves and loads models. Weights come from safetensors, or with ``weights_only=True``.

Our format: ``glinermt_config.json`` (network and task settings), ``model.safetensors`` and the
tokenizer's files. A folder with ``gliner_config.json`` is a published GLiNER checkpoint.
"""

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from glinermt.build import assemble, empty_encoder, own_tokenizer
from glinermt.checkpoints.gliner import GLINER_CONFIG, load_published
from glinermt.config import ModelConfig, TaskSettings, from_mapping
from glinermt.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from glinermt.model import GlinerMT

CONFIG, WEIGHTS = "glinermt_config.json", "model.safetensors"
FORMAT_VERSION = 1
SHIPPED = Path(__file__).parents[1] / "weights"
_HUB_FILES = ["*.json", "*.safetensors", "*.bin", "*.model", "*.txt"]


def save(model: "GlinerMT", folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
    """Write the model so that ``load`` finds it; ``dtype`` converts floating weights."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        "format_version": FORMAT_VERSION,
        "model": dataclasses.asdict(model.config),
        "settings": dataclasses.asdict(model.settings),
    }
    weights = {
        name: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None)
        for name, tensor in model.state_dict().items()
    }
    save_file({k: v.contiguous().clone() for k, v in weights.items()}, folder / WEIGHTS)
    model.query_encoder.tokenizer.save_pretrained(folder)
    (folder / CONFIG).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def load(path: str | Path | None = None, *, revision: str | None = None) -> "GlinerMT":
    """Load our or a published checkpoint from a folder or the hub; None = the shipped model.

    Raises:
        CheckpointError: see ``GlinerMT.from_pretrained``.
    """
    folder = SHIPPED if path is None else _folder(path, revision)
    for name, read in ((CONFIG, _load_ours), (GLINER_CONFIG, _load_gliner)):
        if (folder / name).exists():
            try:
                return read(folder)
            except ConfigError as error:
                raise CheckpointError(f"{folder / name}: {error}") from error
    raise CheckpointError(f"{folder}: neither {CONFIG} nor {GLINER_CONFIG} is there")


def check_device(device: str | torch.device | None) -> None:
    """Raise ValueError where torch cannot use the device."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch has no CUDA
        raise ValueError(f"device {device!r} cannot be used here: {error}") from error


def weight_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """Give the dtype that is meant; ValueError where it is none of floating numbers."""
    found = getattr(torch, dtype, dtype) if isinstance(dtype, str) else dtype
    if found is None or (isinstance(found, torch.dtype) and found.is_floating_point):
        return found
    raise ValueError(f"dtype {dtype!r} is not one of weights, such as 'float32' or 'bfloat16'")


def push(model: "GlinerMT", repo_id: str, *, private: bool, token: str | None) -> str:
    """Upload the model to the hub; give the repository's address."""
    api = HfApi(token=token)
    address = api.create_repo(repo_id, private=private, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder)
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload model")
    return str(address)


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


def fill(model: torch.nn.Module, weights: Mapping[str, Tensor], *, where: Path) -> None:
    """Load weights strictly.

    Raises:
        CheckpointError: names the weights that are missing, left over, or of another shape.
    """
    own = model.state_dict()
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
    model.load_state_dict(weights)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: not JSON, or not an object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: expected an object, got {type(data).__name__}")
    return data


def _load_ours(folder: Path) -> "GlinerMT":
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
    model = assemble(config, encoder, own_tokenizer(folder), settings)
    fill(model, weights, where=folder)
    return model.eval()


def _load_gliner(folder: Path) -> "GlinerMT":
    return load_published(folder, read_weights(folder))


def _folder(path: str | Path, revision: str | None) -> Path:
    """Give the local folder of a checkpoint, downloading it where ``path`` is a hub id."""
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(str(path), revision=revision, allow_patterns=_HUB_FILES))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{path!s}: no such folder here, and not to be had from the hub: {error}"
        ) from error
