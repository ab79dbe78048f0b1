"""Passages and prompts that benchmark files hold, by shared runs of 13 words."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glinermt.contamination import grams, words
from glinermt.errors import DataError
from glinermt.jsonl import ENDS, read_jsonl, read_lines, read_text


class Benchmarks:
    """The runs of words in benchmark files, 8 bytes each."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._grams = {
            gram for file in files for text in _texts(file) for gram in grams(words(text))
        }

    def hold(self, text: str) -> bool:
        """Whether the text shares a run of 13 words with a benchmark."""
        return bool(self._grams) and any(gram in self._grams for gram in grams(words(text)))


def _texts(file: Path) -> Iterator[str]:
    """Yield every string in the file; a list of words counts as one."""
    if not file.is_file():
        raise DataError(f"{file}:0: there is no such benchmark file; check the path")
    if file.name.endswith(ENDS):
        for _, row in read_jsonl(file):
            yield from _strings(row)
    elif ".json" in file.suffixes:
        yield from _strings(_json(file))
    else:
        yield from (line for _, line in read_lines(file))


def _json(file: Path) -> Any:
    try:
        return json.loads(read_text(file))
    except RecursionError as error:
        raise DataError(f"{file}:0: nested too deeply to be read") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{error.lineno}: not JSON: {error}") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield " ".join(value)
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
