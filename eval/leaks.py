"""Whether training data holds what a benchmark asks: exact texts and shared 13-grams."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.contamination import grams, words
from glinermt.errors import DataError
from glinermt.jsonl import read_jsonl

FIELDS = ("text", "context", "document", "question")


@dataclass(frozen=True, slots=True)
class Leaks:
    """Distinct texts of a benchmark that the training file holds."""

    num_texts: int
    exact: tuple[str, ...]
    shared_grams: tuple[str, ...]


def find_leaks(train: Path, cases: Sequence[Any]) -> Leaks:
    """Look for the cases' texts among the rows of a JSONL file, by normalised words.

    ``exact`` lists ids of cases whose text is a row's text; ``shared_grams`` those that share a
    run of 13 words with a row, the exact ones of that length included. One id a distinct text.

    Raises:
        DataError: a row has no text that is understood.
    """
    by_words: dict[tuple[str, ...], str] = {}
    for case in cases:
        by_words.setdefault(tuple(words(case.text)), case.id)
    owners: dict[bytes, set[str]] = {}
    for case_words, id_ in by_words.items():
        for gram in grams(case_words):
            owners.setdefault(gram, set()).add(id_)
    exact: set[str] = set()
    shared: set[str] = set()
    for number, row in read_jsonl(train):
        for text in _texts(row, f"{train}:{number}"):
            row_words = tuple(words(text))
            if row_words in by_words:
                exact.add(by_words[row_words])
            for gram in grams(row_words):
                shared |= owners.get(gram, set())
    return Leaks(len(by_words), tuple(sorted(exact)), tuple(sorted(shared)))


def _texts(row: dict[str, Any], where: str) -> list[str]:
    if "tokens" in row:
        return [" ".join(row["tokens"])]
    texts = [row[name] for name in FIELDS if isinstance(row.get(name), str)]
    if not texts:
        raise DataError(f"{where}: expected 'tokens' or one of {FIELDS}, found {list(row)}")
    return texts
