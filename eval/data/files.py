"""Finding data files below a folder, and checking what their rows hold."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.jsonl import PACKED, read_text


def find_file(folder: Path, patterns: Sequence[str]) -> Path:
    """Return the one file below ``folder`` that fits the first pattern any file fits.

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
    """Return the names a JSONL file may have, by compression."""
    return [f"{name}.jsonl{packed}" for packed in PACKED]


def read_json(path: Path) -> Any:
    """Return the value of a JSON file."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: no JSON: {error}") from error


def field(row: Any, name: str, kind: type, where: str) -> Any:
    """Return ``row[name]``, checked to be a ``kind``.

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
