"""spaCy's training data of before version 3: ``("Ann sings.", {"entities": [(0, 3, "PER")]})``."""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.formats.document import Document, Lost, given_span, text_of
from glinermt.formats.tokens import each_document
from glinermt.jsonl import has_end, read_lines, read_text, write_text

HELD = ("text", "entities", "cats")
_BEGINNING = re.compile(r"(\w+ *= *)?[\[(]([\[(]|[\"'])")
_LOOKED_AT = 5


def is_tuples(path: Path) -> bool:
    """Whether a file begins as a list of pairs, or as one, in JSON or in Python."""
    if has_end(path, [".parquet"]):
        return False
    beginning = "".join(line.strip() for _, line in islice(read_lines(path), _LOOKED_AT))
    return _BEGINNING.match(re.sub(r"(?<=[\[(])\s+", "", beginning)) is not None


def read_spacy_tuples(path: Path, lost: Lost) -> Iterator[Document]:
    """Read pairs of a text and what is said of it: ``entities``, and ``cats`` from 0.5 on.

    They stand in a list of JSON or Python, which may have a name there, or one in each line; or
    under ``annotations``, as the annotator on the web writes them that is made for this format.
    """
    yield from each_document(_rows(path, lost), _document)


def _rows(path: Path, lost: Lost) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, pair in enumerate(_pairs(path), start=1):
        where = f"{path}: entry {number}"
        match pair:
            case [str(text), dict(said)]:
                lost["annotations besides entities and cats"] += len(said.keys() - {*HELD})
                yield where, {**said, "text": text}
            case None:
                lost["texts that nobody annotated"] += 1
            case _:
                raise DataError(
                    f"{where}: expected a text and what is said of it, such as "
                    f'["Ann sings.", {{"entities": [[0, 3, "PER"]]}}], got {pair!r:.80}'
                )


def _pairs(path: Path) -> Iterable[Any]:
    text = read_text(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = _values(text, path)
    if isinstance(found, Mapping):
        found = found.get("annotations")
    if not isinstance(found, list | tuple):
        raise DataError(f"{path}: expected a list of pairs of a text and what is said of it")
    return [found] if found and isinstance(found[0], str) else found


def _values(text: str, path: Path) -> Any:
    """Return the list that a file of Python has, or the values of its lines; nothing is run."""
    try:
        lines = [line for line in text.splitlines() if line.strip()]
        return [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        pass
    try:
        parts = [part for part in ast.parse(text).body if isinstance(part, ast.Assign | ast.Expr)]
        values = [ast.literal_eval(part.value) for part in parts]
    except (ValueError, SyntaxError, RecursionError) as error:
        raise DataError(f"{path}: neither JSON nor plain values of Python: {error}") from error
    return values[0] if len(values) == 1 else values


def _document(row: Mapping[str, Any], where: str) -> Document:
    text = text_of(row, where)
    spans = tuple(
        given_span(text, start, end, label, None, where)
        for start, end, label in row.get("entities") or ()
    )
    cats = row.get("cats")
    classes = None if cats is None else tuple(n for n, score in cats.items() if score >= 0.5)
    return Document(text, spans, classes=classes, unmarked="entities" not in row)


def write_spacy_tuples(documents: Iterable[Document], path: Path, lost: Lost) -> None:  # noqa: ARG001
    """Write a list of JSON."""
    write_text(path, json.dumps(list(map(_pair, documents)), ensure_ascii=False) + "\n")


def _pair(document: Document) -> tuple[str, dict[str, Any]]:
    said: dict[str, Any] = {}
    if not document.unmarked:
        said["entities"] = [(s.start, s.end, s.label) for s in document.spans]
    if document.classes is not None:
        said["cats"] = dict.fromkeys(document.classes, 1.0)
    return document.text, said
