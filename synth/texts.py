"""Source texts from files, cut into passages between sentences."""

import gzip
import json
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from glinermt.errors import DataError
from glinermt.tasks.sentences import split_sentences

ENDS = tuple(name + packed for name in (".jsonl", ".txt") for packed in ("", ".gz", ".xz"))
_TOKEN = re.compile(r"\w+|[^\w\s]")


def text_files(paths: Iterable[str]) -> list[Path]:
    """Give the files named, and those in folders named, in order.

    Raises:
        DataError: one is missing or of no known kind, or a folder has none.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found = [child for child in sorted(path.iterdir()) if child.name.endswith(ENDS)]
            if not found:
                raise DataError(f"{path}:0: the folder has no file that ends in {', '.join(ENDS)}")
            files.extend(found)
        elif not path.is_file():
            raise DataError(f"{path}:0: there is no such file; check the path")
        elif not path.name.endswith(ENDS):
            raise DataError(f"{path}:0: expected a name that ends in {', '.join(ENDS)}")
        else:
            files.append(path)
    return files


def read_texts(files: Iterable[Path], field: str) -> Iterator[str]:
    """Give the texts: ``field`` of each JSON line, or each line of a .txt file.

    Raises:
        DataError: a file cannot be read, or a line has no such text.
    """
    for file in files:
        is_json = ".jsonl" in file.suffixes
        for number, line in read_lines(file):
            yield _json_text(file, number, line, field) if is_json else line.strip()


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Give the lines that are not blank, with their numbers; .gz and .xz are unpacked.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with _open(file) as stream:
            for number, raw in enumerate(stream, start=1):
                line = decoded(file, number, raw)
                if line.strip():
                    yield number, line
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{file}:0: cannot be read ({error}); it may be damaged") from error


def decoded(file: Path, number: int, line: bytes) -> str:
    """Give a line's text, without the mark that some programs begin UTF-8 with.

    Raises:
        DataError: it is not UTF-8.
    """
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}:{number}: not UTF-8 text ({error}); convert it first") from error


def passages(text: str, most_tokens: int, least_tokens: int) -> Iterator[str]:
    """Cut a text between sentences into passages; a sentence longer than that is left out."""
    if least_tokens <= num_tokens(text) <= most_tokens:
        yield text
        return
    start, end, size = 0, 0, 0
    for first, last in split_sentences(text):
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


def num_tokens(text: str) -> int:
    """Give the number of words and punctuation marks."""
    return sum(1 for _ in _TOKEN.finditer(text))


def _open(file: Path) -> IO[bytes]:
    if file.suffix == ".xz":
        return lzma.open(file)
    if file.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(file))
    return file.open("rb")


def _json_text(file: Path, number: int, line: str, field: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{file}:{number}: not JSON: {error}") from error
    value = row.get(field) if isinstance(row, dict) else None
    if not isinstance(value, str):
        raise DataError(
            f"{file}:{number}: expected text in field {field!r}, found {value!r:.60}; "
            "name the right field with --field"
        )
    return value.strip()
