"""Finding and opening data files: plain, ``.gz`` or ``.xz``; every complaint has file and line."""

import gzip
import json
import lzma
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glinermt.errors import DataError

Location = tuple[Path, int]


def find_file(folder: Path, patterns: Sequence[str]) -> Path:
    """Give the one file below ``folder`` that fits the first pattern any file fits.

    Raises:
        DataError: no file fits, or several fit one pattern.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; pass the folder of the data with --data")
    for pattern in patterns:
        hits = sorted(path for path in folder.rglob(pattern) if path.is_file())
        if len(hits) > 1:
            listed = ", ".join(map(str, hits))
            raise DataError(f"{folder}: {pattern!r} fits several files ({listed}); keep one")
        if hits:
            return hits[0]
    raise DataError(f"{folder}: no file fits any of {', '.join(map(repr, patterns))}")


def jsonl_patterns(name: str) -> list[str]:
    """Give the names a JSONL file may have, by compression."""
    return [f"{name}.jsonl{suffix}" for suffix in ("", ".xz", ".gz")]


def read_text(path: Path) -> str:
    """Give the whole file, decompressed.

    Raises:
        DataError: it is missing, damaged, or no UTF-8.
    """
    unpack = {".xz": lzma.decompress, ".gz": gzip.decompress}.get(path.suffix, bytes)
    try:
        content = unpack(path.read_bytes())
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 text ({error}); convert it first") from error


def read_jsonl(path: Path) -> Iterator[tuple[Location, dict[str, Any]]]:
    """Give each line's object with its place; blank lines are passed over."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: no JSON: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: expected an object, got {row!r:.80}")
        yield (path, number), row


def read_json(path: Path) -> Any:
    """Give the value of a JSON file."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: no JSON: {error}") from error


def field(row: Any, name: str, kind: type, where: str) -> Any:
    """Give ``row[name]``, checked to be a ``kind``.

    Raises:
        DataError: ``row`` is no object, has no such field, or it is of another type.
    """
    if not isinstance(row, dict) or name not in row:
        found = ", ".join(map(repr, row)) if isinstance(row, dict) else f"{row!r:.80}"
        raise DataError(f"{where}: expected a field {name!r}, found {found}")
    value = row[name]
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        raise DataError(f"{where}: {name!r} should be {kind.__name__}, got {value!r:.80}")
    return value


def at(location: Location) -> str:
    """Write a place as ``file:line``."""
    return f"{location[0]}:{location[1]}"
