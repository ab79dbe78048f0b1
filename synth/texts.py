"""Source texts from files, cut into passages between sentences."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glinermt.errors import BackendError, DataError
from glinermt.jsonl import ENDS as ROW_ENDS
from glinermt.jsonl import TEXT_ENDS, data_files, read_jsonl, read_lines
from glinermt.long_texts import split_sentences
from glinermt.synth.documents import READERS, read_document

DOCUMENT_ENDS = tuple(READERS)
ENDS = (*ROW_ENDS, *TEXT_ENDS, *DOCUMENT_ENDS)
_TOKEN = re.compile(r"\w+|[^\w\s]")


def text_files(paths: Iterable[str]) -> list[Path]:
    """Return the files named, and those in folders named, in order.

    Raises:
        DataError: one is missing or of no known kind, or a folder has none.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        found = data_files(path, ENDS)
        if not found[0].name.endswith(ENDS):
            raise DataError(f"{path}:0: expected a name that ends in {', '.join(ENDS)}")
        files.extend(found)
    return files


def read_texts(files: Iterable[Path], field: str) -> Iterator[str]:
    """Yield the texts: ``field`` of each row, each line of a .txt file, or a whole document.

    Raises:
        DataError: a file cannot be read, or a row has no such text.
    """
    for file in files:
        if file.name.endswith(TEXT_ENDS):
            yield from (line.strip() for _, line in read_lines(file))
        elif file.name.casefold().endswith(DOCUMENT_ENDS):
            yield from read_document(file)
        else:
            yield from (_text(f"{file}:{n}", row, field) for n, row in read_jsonl(file))


def passages(text: str, most_tokens: int, least_tokens: int, language: str = "en") -> Iterator[str]:
    """Cut a text between sentences into passages; a sentence longer than that is left out."""
    if least_tokens <= num_tokens(text) <= most_tokens:
        yield text
        return
    start, end, size = 0, 0, 0
    for first, last in split_sentences(text, language):
        length = num_tokens(text[first:last])
        if size + length > most_tokens:
            if size >= least_tokens:
                yield text[start:end]
            size = 0
        if length > most_tokens:
            continue
        if not size:
            start = first
        end, size = last, size + length
    if size >= least_tokens:
        yield text[start:end]


def language_of(text: str) -> str:
    """Return the ISO 639-1 code of the language that py3langid takes a text for.

    Raises:
        BackendError: the package is not installed.
    """
    try:
        from py3langid import classify
    except ModuleNotFoundError as error:
        raise BackendError(
            "telling languages needs py3langid: pip install 'glinermt[documents]'"
        ) from error
    return str(classify(text)[0])


def num_tokens(text: str) -> int:
    """Return the number of words and punctuation marks."""
    return sum(1 for _ in _TOKEN.finditer(text))


def _text(where: str, row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise DataError(
            f"{where}: expected text in field {field!r}, found {value!r:.60}; "
            "name the right field with --field"
        )
    return value.strip()
