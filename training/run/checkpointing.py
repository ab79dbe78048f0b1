"""Checkpoints: written so that a kill at any moment leaves a whole one, and gone on with only under
the configuration that they were made with.
"""

import dataclasses
import errno
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch

from glinermt.config import from_mapping
from glinermt.errors import CheckpointError, ConfigError
from glinermt.jsonl import write_beside, write_text
from glinermt.training.config import TrainConfig

FULL = 1 << 20
"""Bytes free on a disk below which a write that failed is taken to have filled it."""
STATE_FILE = "checkpoint.pt"
CONFIG = "config.json"
"""The configuration as it was used, in the output."""
FREE = frozenset(
    "output data_root save_every log_every curves trackers precision pad_multiple workers dev "
    "steps max_minutes clock sampling".split()
)
"""What may differ, in a run or its stages: it is no part of the checkpoint."""


class Saveable(Protocol):
    """A model that writes itself into a folder."""

    def save_pretrained(self, folder: Path) -> None: ...


def save_state(output: Path, state: dict[str, Any]) -> None:
    """Write a run's state, replacing the last one in a single step.

    Raises:
        OSError: it cannot be written, such as where the disk is full.
    """
    with write_beside(output / STATE_FILE) as beside:
        try:
            torch.save(state, beside)
        except RuntimeError as error:  # torch does not say why
            if shutil.disk_usage(output).free < FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise


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
    """Write a model beside ``folder``, then put it in its place.

    A kill between the two renames leaves the model under ``folder.old``; ``recover_model`` and the
    next ``save_model`` put it back.
    """
    recover_model(folder)
    partial, old = _beside(folder, "partial"), _beside(folder, "old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(partial)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def recover_model(folder: Path) -> None:
    """Put the model of ``folder`` back where a kill came while it was being replaced."""
    old = _beside(folder, "old")
    if old.exists() and not folder.exists():
        old.rename(folder)


def remove_model(folder: Path) -> None:
    """Remove the model of ``folder``, and what a kill left of it beside."""
    for each in (folder, _beside(folder, "partial"), _beside(folder, "old")):
        shutil.rmtree(each, ignore_errors=True)


def _beside(folder: Path, end: str) -> Path:
    return folder.with_name(f"{folder.name}.{end}")


def write_config(config: TrainConfig, output: Path) -> None:
    text = json.dumps(dataclasses.asdict(config), indent=2, ensure_ascii=False)
    write_text(output / CONFIG, text + "\n")


def check_same(config: TrainConfig, output: Path) -> None:
    """Check that the run in ``output`` was begun under the same configuration, but for ``FREE``.

    Raises:
        ConfigError: it was not, or its own configuration cannot be read.
    """
    path = output / CONFIG
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); without it the run cannot be resumed"
        ) from error
    given = json.loads(json.dumps(dataclasses.asdict(config)))
    old, new = (
        dict(_values(from_mapping(TrainConfig, each, where=str(path)))) for each in (data, given)
    )
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        shown = "; ".join(
            f"{key}: {old.get(key, 'nothing')!r} -> {new.get(key, 'nothing')!r}" for key in changed
        )
        raise ConfigError(
            f"{output} was begun with another configuration ({shown}); resume with that one, or "
            "choose another output"
        )


def _values(part: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Return what must stay the same, by the key that ``--set`` takes."""
    if isinstance(part, tuple) and any(map(dataclasses.is_dataclass, part)):
        for i, item in enumerate(part):
            yield from _values(item, f"{where}.{i}")
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            if field.name not in FREE:
                yield from _values(getattr(part, field.name), f"{where}.{field.name}".lstrip("."))
    else:
        yield where, part
