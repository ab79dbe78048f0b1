"""Turns what users pass as ``model`` into an Extractor. Costs no torch until a model is needed."""

import concurrent.futures.thread  # noqa: F401  see ``register_at_fork``
import logging  # noqa: F401
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from glinermt.errors import BackendError, ConfigError
from glinermt.types import Extractor

if TYPE_CHECKING:
    from glinermt.model import GlinerMT

_shipped_lock, _last_lock = threading.RLock(), threading.RLock()
"""Two, so that nobody waits for the shipped model while another is downloaded."""
_shipped: list[Extractor] = []
_last: dict[object, Extractor] = {}
"""The model that a folder or hub id was last given for, by what ``_identity`` says of it."""


def load_extractor(model: Extractor | str | Path | None) -> Extractor:
    """Return an Extractor for a loaded model, a folder or hub id, or None (the shipped model).

    The shipped model is loaded once, whichever thread comes first, and shared. So is the last of
    those that a folder or hub id was given for, until another is asked for or a file in the folder
    changes.

    Raises:
        TypeError: it is none of these.
    """
    if model is not None and not isinstance(model, str | Path):
        if not isinstance(model, Extractor):
            raise TypeError(
                "model must be a loaded model, a folder, a hub id or None, "
                f"got {type(model).__name__}: {model!r:.80}"
            )
        return model
    if model is None:
        with _shipped_lock:
            if not _shipped:
                _shipped.append(_load(None))
            return _shipped[0]
    with _last_lock:
        identity = _identity(model)
        if identity not in _last:
            _last.clear()
            _last[identity] = _load(model)
        return _last[identity]


def load_model(
    model: str | Path | None,
    *,
    device: str | None = None,
    precision: str = "exact",
    threads: int | None = None,
) -> Extractor:
    """Return a model for a process of its own: a server's, or a worker's of a job.

    Args:
        model: folder or hub id; None = the shipped model. An export runs without torch.
        device: such as ``cuda:0``; None = the processor.
        precision: see ``GlinerMT.from_pretrained``.
        threads: that compute at once; None = as many as there are cores.

    Raises:
        CheckpointError: the model is missing or damaged.
        ConfigError: a device or precision that an export does not have.
        ValueError: a device that is not here, or a precision that it cannot have.
    """
    from glinermt.exported import ExportedModel, is_export

    if model is not None and is_export(Path(model).expanduser()):
        if precision not in ("exact", "auto") or device not in (None, "cpu"):
            raise ConfigError(
                f"{model} is an export, which runs on the processor as it was written; "
                "leave out precision and device"
            )
        return ExportedModel.from_pretrained(model, threads=threads)
    run_by_torch = _class_on_torch(model)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    if precision == "exact" and device in (None, "cpu"):
        return load_extractor(model)
    return run_by_torch.from_pretrained(
        model,
        device=device,
        precision=precision,  # type: ignore[arg-type]  # checked there
    )


def _load(model: str | Path | None) -> Extractor:
    """Load a model: an export without torch, all else with it."""
    from glinermt.exported import ExportedModel, is_export

    if model is not None and is_export(Path(model).expanduser()):
        return ExportedModel.from_pretrained(model)
    return _class_on_torch(model).from_pretrained(model)


def _class_on_torch(model: str | Path | None) -> "type[GlinerMT]":
    """Return the class of models that run on torch, for the given one to be loaded."""
    try:
        from glinermt.model import GlinerMT
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BackendError(
            f"{model or 'the shipped model'} runs on torch, which is not installed: pip install "
            "torch, or name the folder of a model that was exported (glinermt export)"
        ) from error
    return GlinerMT


def _take_locks() -> None:
    _last_lock.acquire()
    _shipped_lock.acquire()


def _give_locks_back() -> None:
    _shipped_lock.release()
    _last_lock.release()


if hasattr(os, "register_at_fork"):
    # A fork waits until no thread is loading a model. These locks have to be taken before those
    # that loading takes in its turn: hooks of modules that are imported earlier run later.
    os.register_at_fork(
        before=_take_locks, after_in_parent=_give_locks_back, after_in_child=_give_locks_back
    )


def _identity(model: str | Path) -> tuple[object, ...]:
    """Tell a hub id, or a folder as its files are now, from all others."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return (str(model),)
    files = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
    return (folder.resolve(), *files)
