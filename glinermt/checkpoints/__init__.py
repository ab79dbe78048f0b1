"""Readers and writers of checkpoints, one file for each published family."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch

from glinermt.build import Parts
from glinermt.checkpoints import hub, native
from glinermt.config import EXPORT_FILE, GLINER2_FILE, GLINER_FILE
from glinermt.errors import CheckpointError, ConfigError, UsageError, unknown_choice

SHIPPED = Path(__file__).parents[1] / "weights"
LOADERS = {
    native.CONFIG: "native.load",
    EXPORT_FILE: "native.load_export",
    GLINER_FILE: "gliner.load",
    GLINER2_FILE: "gliner2.load",
}
"""The file that tells a family's checkpoints, and what reads a folder that has it.

A family's code is imported when one of its checkpoints is first read.
"""
Format = Literal["glinermt", "gliner"]
WRITERS = {"glinermt": "native.save", "gliner": "gliner.save"}
"""The formats that models can be saved in: our own, and that of the package gliner."""


def _function(name: str) -> Any:
    module, function = name.split(".")
    return getattr(import_module(f"glinermt.checkpoints.{module}"), function)


def load(path: str | Path | None = None, download: hub.Download | None = None) -> Parts:
    """Load a checkpoint of any family from a folder or the hub; None = the shipped model.

    Raises:
        CheckpointError: see ``GlinerMT.from_pretrained``.
        ValueError: a revision or subfolder of the shipped model.
    """
    download = download or hub.Download()
    for name in ("revision", "subfolder"):
        if path is None and getattr(download, name) is not None:
            raise UsageError(
                f"{name} {getattr(download, name)!r} says which model to load, and no model is "
                "named; the shipped one has no others"
            )
    folder = SHIPPED if path is None else hub.local_folder(path, download)
    for name, read in LOADERS.items():
        if (folder / name).exists():
            try:
                return native.with_saved_settings(_function(read)(folder), folder)
            except (ConfigError, TypeError, ValueError) as error:
                raise CheckpointError(f"{folder / name}: {error}") from error
    raise CheckpointError(f"{folder}: neither {' nor '.join(LOADERS)} is there")


def save(
    parts: Parts, folder: str | Path, *, format: Format, dtype: torch.dtype | None = None
) -> None:
    """Write a model in one of the formats; ``dtype`` converts floating weights.

    Raises:
        CheckpointError: the format cannot hold the model.
        ValueError: there is no such format.
    """
    if format not in WRITERS:
        raise UsageError(unknown_choice("format", format, WRITERS))
    _function(WRITERS[format])(parts, folder, dtype=dtype)


def push(parts: Parts, repo_id: str, *, private: bool, token: str | None) -> str:
    """Upload the model to the hub; return the repository's address."""
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    address = api.create_repo(repo_id, private=private, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        native.save(parts, folder)
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload model")
    return str(address)
