"""Where rows come from: JSON lines, plain or packed, Parquet, folders of both, the hub."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from glinermt.errors import BackendError, DataError
from glinermt.jsonl import data_files, read_jsonl, read_lines

HUB = "hub:"

RawRow = tuple[str, str | Mapping[str, Any]]
"""Where a row stands, and its line of JSON or its fields."""


def raw_rows(path: str, root: Path) -> Iterator[RawRow]:
    """Return the rows of a file or folder below ``root``, or of ``hub:owner/name:split``.

    Raises:
        DataError: there is nothing there, or it cannot be read.
        BackendError: the package that reads it is not installed.
    """
    if path.startswith(HUB):
        yield from _hub_rows(path)
        return
    for file in data_files(root / path):
        if file.suffix == ".parquet":
            yield from ((f"{file}:{number}", row) for number, row in read_jsonl(file))
        else:
            yield from ((f"{file}:{number}", line) for number, line in read_lines(file))


def _hub_rows(path: str) -> Iterator[RawRow]:
    try:
        from datasets import load_dataset  # type: ignore[import-untyped]
    except ImportError as error:
        raise BackendError("the hub needs datasets: pip install 'glinermt[training]'") from error
    name, _, split = path.removeprefix(HUB).partition(":")
    try:
        for number, row in enumerate(load_dataset(name, split=split or "train", streaming=True), 1):
            yield f"{path}:{number}", row
    except Exception as error:  # datasets raises whatever its builders and the network do
        raise DataError(
            f"{path}:0: cannot be read ({type(error).__name__}: {error}); check the name, the "
            "split and the network"
        ) from error
