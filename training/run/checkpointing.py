"""Writes checkpoints so that a kill at any moment leaves a whole one behind."""

import pickle
import shutil
from pathlib import Path
from typing import Any, Protocol

import torch

from glinermt.errors import CheckpointError
from glinermt.jsonl import write_beside

STATE_FILE = "checkpoint.pt"


class Saveable(Protocol):
    """A model that writes itself into a folder."""

    def save_pretrained(self, folder: Path) -> None: ...


def save_state(output: Path, state: dict[str, Any]) -> None:
    """Write a run's state, replacing the last one in a single step."""
    with write_beside(output / STATE_FILE) as beside:
        torch.save(state, beside)


def load_state(output: Path) -> dict[str, Any]:
    """Read what ``save_state`` wrote; nothing in the file is executed.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = output / STATE_FILE
    if not path.exists():
        raise CheckpointError(f"{path}: there is no checkpoint to resume; start without --resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error
    return state


def has_state(output: Path) -> bool:
    return (output / STATE_FILE).exists()


def save_model(model: Saveable, folder: Path) -> None:
    """Write a model beside ``folder``, then put it in its place."""
    partial, old = (folder.with_name(f"{folder.name}.{end}") for end in ("partial", "old"))
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(partial)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
