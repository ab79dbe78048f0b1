"""Near-duplicate passages, by MinHash over runs of words (Broder 1997; datasketch)."""

import hashlib
from typing import Any

from glinermt.errors import BackendError
from glinermt.synth.source import normal_words

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
        words = normal_words(text)
        key = hashlib.blake2b(" ".join(words).encode(), digest_size=16).digest()
        if key in self._seen:
            return True
        self._seen.add(key)
        if self._index is None:
            return False
        runs = range(max(1, len(words) - SHINGLE + 1))
        sketch = self._sketch(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch([" ".join(words[i : i + SHINGLE]).encode() for i in runs])
        if self._index.query(sketch):
            return True
        self._index.insert(key, sketch, check_duplication=False)
        return False
