"""Output folders of commands: checked before the work, and kept to one process at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glinermt.errors import DataError

LOCK = ".lock"
"""File in a folder whose lock its process holds."""
MODEL_FILES = ("glinermt_config.json", "gliner_config.json", "*.safetensors", "pytorch_model.bin")
"""Names by which the folder of a model is known, ours or another package's."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder and keep other processes out of it; a killed process keeps nobody out.

    On Windows, which has no such locks, nothing is kept out.

    Raises:
        DataError: it is a file, or another process, or another run of this one, works in it.
        OSError: the folder cannot be made or written to.
    """
    _check_no_file(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DataError(
                    f"{folder}: another run writes into this folder; wait for its end, or choose "
                    "another folder"
                ) from error
        yield


def check_no_model(folder: Path, *, overwrite: bool | None = False) -> None:
    """Check that no model would be lost by writing one into the folder.

    Args:
        folder: need not exist.
        overwrite: whether it may be lost; None where the user cannot say so.

    Raises:
        DataError: the folder is a file, or a model is there and ``overwrite`` is not set.
    """
    _check_no_file(folder)
    if overwrite:
        return
    way_out = "" if overwrite is None else ", or say --overwrite"
    for pattern in MODEL_FILES:
        for found in folder.glob(pattern):
            raise DataError(
                f"{folder} holds a model ({found.name}), which would be lost; choose another "
                f"folder{way_out}"
            )


def _check_no_file(folder: Path) -> None:
    if folder.is_file():
        raise DataError(f"{folder}: a file; name a folder to write into")
