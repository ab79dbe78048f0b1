"""Whether training data holds what a benchmark asks: exact texts and shared 13-grams."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.data.files import at, read_jsonl

GRAM = 13
"""Words of a shared run that counts as a leak (the length GPT-3's authors used)."""
FIELDS = ("text", "context", "document", "question")


@dataclass(frozen=True, slots=True)
class Leaks:
    """Distinct texts of a benchmark that the training file holds."""

    num_texts: int
    exact: tuple[str, ...]
    shared_grams: tuple[str, ...]


def find_leaks(train: Path, cases: Sequence[Any]) -> Leaks:
    """Look for the cases' texts among the rows of a JSONL file, by lower-case words.

    ``exact`` lists ids of cases whose text is a row's text; ``shared_grams`` those that share a
    run of 13 words with a row, the exact ones of that length included. One id a distinct text.

    Raises:
        DataError: a row has no text that is understood.
    """
    by_words: dict[tuple[str, ...], str] = {}
    for case in cases:
        by_words.setdefault(_words(case.text), case.id)
    owners: dict[int, set[str]] = {}
    for words, id_ in by_words.items():
        for gram in _grams(words):
            owners.setdefault(gram, set()).add(id_)
    exact: set[str] = set()
    shared: set[str] = set()
    for location, row in read_jsonl(train):
        for text in _texts(row, at(location)):
            words = _words(text)
            if words in by_words:
                exact.add(by_words[words])
            for gram in _grams(words):
                shared |= owners.get(gram, set())
    return Leaks(len(by_words), tuple(sorted(exact)), tuple(sorted(shared)))


def _texts(row: dict[str, Any], where: str) -> list[str]:
    if "tokens" in row:
        return [" ".join(row["tokens"])]
    texts = [row[name] for name in FIELDS if isinstance(row.get(name), str)]
    if not texts:
        raise DataError(f"{where}: expected 'tokens' or one of {FIELDS}, found {list(row)}")
    return texts


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.lower()))


def _grams(words: tuple[str, ...]) -> Iterable[int]:
    """Give hashes of the runs; a collision of 64 bits is not to be expected."""
    return (hash(words[first : first + GRAM]) for first in range(len(words) - GRAM + 1))
