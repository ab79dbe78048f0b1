"""Where rows come from: JSON lines, plain or packed, Parquet, folders of both, the hub."""

import gzip
import lzma
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from glinermt.errors import BackendError, DataError

HUB = "hub:"
ENDS = (".jsonl", ".jsonl.gz", ".jsonl.xz", ".parquet")

RawRow = tuple[str, str | Mapping[str, Any]]
"""Where a row stands, and its line of JSON or its fields."""


def raw_rows(path: str, root: Path) -> Iterator[RawRow]:
    """Give the rows of a file or folder below ``root``, or of ``hub:owner/name:split``.

    Raises:
        DataError: there is nothing there, or it cannot be read.
        BackendError: the package that reads it is not installed.
    """
    if path.startswith(HUB):
        yield from _hub_rows(path)
        return
    for file in _files(root / path):
        if file.suffix == ".parquet":
            yield from _parquet_rows(file)
        else:
            yield from ((f"{file}:{number}", line) for number, line in read_lines(file))


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give the lines that are not blank with their numbers; ``.gz`` and ``.xz`` are unpacked.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with _open(path) as stream:
            for number, raw in enumerate(stream, start=1):
                line = _decoded(path, number, raw)
                if line.strip():
                    yield number, line
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path}:0: cannot be read ({error}); check data_root and path") from error


def _decoded(path: Path, number: int, line: bytes) -> str:
    """Give a line's text, without the mark that some programs begin UTF-8 with."""
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: not UTF-8 text ({error}); convert it first") from error


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [child for child in sorted(path.iterdir()) if child.name.endswith(ENDS)]
    if not found:
        raise DataError(f"{path}:0: the folder has no file that ends in {', '.join(ENDS)}")
    return found


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".xz":
        return lzma.open(path)
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    return path.open("rb")


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    try:
        import pyarrow  # type: ignore[import-untyped]  # ships no types
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise BackendError("Parquet needs pyarrow: pip install 'glinermt[training]'") from error
    try:
        number = 0
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{path}:{number}", row
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}:0: cannot be read ({error}); check data_root and path") from error


def _hub_rows(path: str) -> Iterator[RawRow]:
    try:
        from datasets import load_dataset  # type: ignore[import-untyped]
    except ImportError as error:
        raise BackendError("the hub needs datasets: pip install 'glinermt[training]'") from error
    name, _, split = path.removeprefix(HUB).partition(":")
    for number, row in enumerate(load_dataset(name, split=split or "train", streaming=True), 1):
        yield f"{path}:{number}", row
