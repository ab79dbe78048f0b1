"""Texts that benchmarks hold, by shared runs of 13 words (the length GPT-3's authors used)."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.synth.source import normal_words
from glinermt.synth.texts import read_lines

GRAM = 13


class Benchmarks:
    """The runs of words in benchmark files, 8 bytes each."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._grams = {gram for file in files for text in _texts(file) for gram in _hashes(text)}

    def hold(self, text: str) -> bool:
        """Whether the text shares a run of 13 words with a benchmark."""
        return bool(self._grams) and any(gram in self._grams for gram in _hashes(text))


def _hashes(text: str) -> Iterator[bytes]:
    words = normal_words(text)
    for i in range(len(words) - GRAM + 1):
        run = " ".join(words[i : i + GRAM])
        yield hashlib.blake2b(run.encode(), digest_size=8).digest()


def _texts(file: Path) -> Iterator[str]:
    """Give every string in the file; a list of words counts as one."""
    if not file.is_file():
        raise DataError(f"{file}:0: there is no such benchmark file; check the path")
    if ".json" not in file.name:
        yield from (line for _, line in read_lines(file))
        return
    lines = read_lines(file)
    if ".jsonl" not in file.name:
        lines = iter([(1, "".join(line for _, line in lines))])
    for number, line in lines:
        try:
            yield from _strings(json.loads(line))
        except ValueError as error:
            raise DataError(f"{file}:{number}: not JSON: {error}") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        yield " ".join(value)
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
