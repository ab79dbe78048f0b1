"""Passages that are left out: much like an earlier one, or held by a benchmark."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glinermt.contamination import grams, words
from glinermt.errors import BackendError, DataError
from glinermt.jsonl import ENDS, read_jsonl, read_lines, read_text
from glinermt.synth.checks.align import normal_words

SHINGLE = 5
"""Words of a run."""
PERMUTATIONS = 128


class NearDuplicates:
    """Remembers passages, about 4 kB each, and knows those that are much like an earlier one."""

    def __init__(self, similarity: float) -> None:
        self._seen: set[bytes] = set()
        self._index: Any = None
        if similarity < 1:
            try:
                import datasketch  # type: ignore[import-untyped]  # ships no types
            except ImportError as error:
                raise BackendError(
                    "near duplicates need datasketch: pip install 'glinermt[synth]', "
                    "or set similarity to 1"
                ) from error
            self._sketch = datasketch.MinHash
            self._index = datasketch.MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS)

    def seen_before(self, text: str) -> bool:
        """Whether the passage is, or is much like, one that was given before; remembers it."""
        own = normal_words(text)
        key = hashlib.blake2b(" ".join(own).encode(), digest_size=16).digest()
        if key in self._seen:
            return True
        self._seen.add(key)
        if self._index is None:
            return False
        runs = range(max(1, len(own) - SHINGLE + 1))
        sketch = self._sketch(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch([" ".join(own[i : i + SHINGLE]).encode() for i in runs])
        if self._index.query(sketch):
            return True
        self._index.insert(key, sketch, check_duplication=False)
        return False


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
        raise DataError(f"{file}: there is no such benchmark file; check the path")
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
