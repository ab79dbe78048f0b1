"""Formats that count tokens: CoNLL columns, gliner's JSON, token classification of Hugging Face."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.formats.document import Document, Lost, Tokens, flat, joined, names, token_span
from glinermt.jsonl import (
    has_end,
    read_jsonl,
    read_lines,
    read_text,
    write_beside,
    write_jsonl,
    write_text,
)
from glinermt.types import Relation, Span


def tag_spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return (first, last, label) of BIO, BIOES or BILOU tags, read leniently as conlleval does.

    An ``I-`` (or ``E-``, ``L-``) that nothing opens begins a span.
    """
    spans: list[tuple[int, int, str]] = []
    previous, opened = "O", False
    for index, tag in enumerate(tags):
        prefix, _, label = tag.partition("-")
        goes_on = opened and prefix in "IEL" and label == previous
        if prefix == "O":
            opened = False
        elif goes_on:
            spans[-1] = (spans[-1][0], index, label)
        else:
            spans.append((index, index, label))
        if prefix != "O":
            opened = prefix not in "ESLU"
        previous = label
    return spans


def bio_tags(count: int, spans: Iterable[tuple[int, int, str]]) -> list[str]:
    """Return the BIO tags of spans that do not overlap."""
    tags = ["O"] * count
    for first, last, label in spans:
        tags[first : last + 1] = [f"B-{label}"] + [f"I-{label}"] * (last - first)
    return tags


_SPACES = re.compile(r"\s+")
_COLUMNS = re.compile(r"[ \t]+")
_TAG = re.compile(r"O|[BIESLU]-.+")


def _of_tokens(tokens: Sequence[str], spans: Iterable[tuple[int, int, str]]) -> Document:
    text, places = joined(tokens)
    return Document(text, tuple(token_span(text, places, *span) for span in spans))


def read_conll(path: Path, lost: Lost) -> Iterator[Document]:  # noqa: ARG001
    """Read one token a line, its tag in the last column; an empty line ends a sentence.

    Columns are parted by spaces and tabs; a token may hold any other white space. A line that
    begins with ``# `` is a comment, unless it has as many columns as the others (two, if it is the
    first) and ends in a tag: then it is the token ``#``.
    """
    width = 2
    tokens: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*read_text(path).split("\n"), ""], start=1):
        columns = [column for column in _COLUMNS.split(line.rstrip("\r")) if column]
        comment = line.startswith("# ") and not (
            len(columns) == width and _TAG.fullmatch(columns[-1])
        )
        if not line.strip() or columns[0] == "-DOCSTART-" or comment:
            if tokens:
                yield _of_tokens(tokens, tag_spans(tags))
            tokens, tags = [], []
        elif len(columns) < 2:
            raise DataError(f"{path}:{number}: expected a token and a tag, got {line!r:.80}")
        elif not _TAG.fullmatch(columns[-1]):
            raise DataError(
                f"{path}:{number}: expected a tag such as O or B-person in the last column, got "
                f"{columns[-1]!r:.40}; name another format if this is not CoNLL"
            )
        else:
            width = len(columns)
            tokens.append(columns[0])
            tags.append(columns[-1])


def write_conll(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write two columns, token and BIO tag."""
    with write_beside(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        for document in documents:
            tokens = Tokens.of(_flat(document, lost), lost)
            tags = bio_tags(len(tokens.words), tokens.spans)
            for word, tag in zip(tokens.words, tags, strict=True):
                file.write(f"{word} {_SPACES.sub('_', tag)}\n")
            lost["names that come back otherwise"] += sum(
                _SPACES.search(label) is not None for _, _, label in tokens.spans
            )
            file.write("\n")
            lost["empty texts"] += not tokens.words


def _flat(document: Document, lost: Lost) -> Document:
    return Document(document.text, tuple(flat(document.spans, lost)))


def read_gliner(path: Path, lost: Lost) -> Iterator[Document]:  # noqa: ARG001
    """Read ``{"tokenized_text", "ner", "relations"}``: JSON lines, or one JSON list as gliner has.

    A relation is ``[head, tail, name]``, both indices of ``ner``.
    """
    yield from each_document(rows(path), _gliner_document)


def _gliner_document(row: Mapping[str, Any], where: str) -> Document:
    text, places = joined(_words(row, "tokenized_text", where))
    spans = []
    for first, last, label in row.get("ner") or []:
        names(label, where, "ner")
        spans.append(token_span(text, places, first, last, label))
    relations = []
    for head, tail, label in row.get("relations") or []:
        if not (0 <= head < len(spans) and 0 <= tail < len(spans)):
            raise DataError(f"{where}: relation {head}:{tail} has no entity among {len(spans)}")
        relations.append(Relation(spans[head], label, spans[tail]))
    return Document(text, tuple(spans), tuple(relations))


def _words(row: Mapping[str, Any], key: str, where: str) -> list[str]:
    words = row[key]
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise DataError(f"{where}: {key!r} should be a list of strings, got {words!r:.80}")
    return words


def write_gliner(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write rows of ``tokenized_text``, ``ner`` and, where there are any, ``relations``.

    They are JSON lines, or the JSON list that gliner's training reads where the file is ``.json``.
    """
    found = (_gliner_row(document, lost) for document in documents)
    if has_end(path, [".json"]):
        write_text(path, json.dumps(list(found), ensure_ascii=False) + "\n")
    else:
        write_jsonl(path, found)


def _gliner_row(document: Document, lost: Lost) -> dict[str, Any]:
    ends = [side for r in document.relations for side in (r.head, r.tail)]
    spans = tuple(dict.fromkeys([*document.spans, *ends]))
    tokens = Tokens.of(replace(document, spans=spans), lost)
    row: dict[str, Any] = {
        "tokenized_text": list(tokens.words),
        "ner": [list(span) for span in tokens.spans],
    }
    if document.relations:
        index = {_key(span): i for i, span in enumerate(tokens.kept)}
        row["relations"] = [
            [index[_key(r.head)], index[_key(r.tail)], r.label]
            for r in document.relations
            if _key(r.head) in index and _key(r.tail) in index
        ]
        missing = len(document.relations) - len(row["relations"])
        if missing:
            lost["relations of spans without a word"] += missing
    return row


def _key(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label


def read_token_classification(path: Path, lost: Lost) -> Iterator[Document]:  # noqa: ARG001
    """Read ``{"tokens", "ner_tags"}`` with tags as strings, as Hugging Face data sets export.

    Raises:
        DataError: tags are numbers, whose names stand in the data set's features and not here.
    """
    yield from each_document(rows(path), _tagged_document)


def _tagged_document(row: Mapping[str, Any], where: str) -> Document:
    tokens, tags = _words(row, "tokens", where), row.get("ner_tags", row.get("tags"))
    if not isinstance(tags, list) or len(tokens) != len(tags):
        raise DataError(f"{where}: expected 'tokens' and 'ner_tags' of one length")
    for tag in tags:
        if not isinstance(tag, str):
            raise DataError(
                f"{where}: ner_tags are numbers; write their names, which are in "
                "dataset.features['ner_tags'].feature.names"
            )
        if not _TAG.fullmatch(tag):
            raise DataError(
                f"{where}: expected tags such as O or B-person, got {tag!r:.40}; write I- before "
                "the names of tags that have no such beginning"
            )
    return _of_tokens(tokens, tag_spans(tags))


def write_token_classification(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write JSON lines of ``tokens`` and ``ner_tags``."""

    def row(document: Document) -> dict[str, Any]:
        tokens = Tokens.of(_flat(document, lost), lost)
        tags = bio_tags(len(tokens.words), tokens.spans)
        return {"tokens": list(tokens.words), "ner_tags": tags}

    write_jsonl(path, map(row, documents))


def each_document(
    located: Iterable[tuple[str, Mapping[str, Any]]],
    read: Callable[[Mapping[str, Any], str], Document | None],
) -> Iterator[Document]:
    """Yield the Document of each row, of those that have one.

    Args:
        located: rows, each with where it stands, as ``rows`` yields them.
        read: returns the Document of a row; is given where it stands, too.

    Raises:
        DataError: a row has another shape; begins with where it stands.
    """
    for where, row in located:
        try:
            document = read(row, where)
        except KeyError as error:
            raise DataError(f"{where}: there is no {error}") from error
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise DataError(f"{where}: has not the shape of this format: {error}") from error
        if document is not None:
            yield document


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``file:line`` and row of JSON lines, or of a file that is one JSON list or object.

    Which of these it is, the file says, not its name: tools write either as ``.json``.

    Raises:
        DataError: the file is neither, or a row is no object.
    """
    if not _is_whole(path):
        yield from ((f"{path}:{number}", row) for number, row in read_jsonl(path))
        return
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}:1: not JSON: {error}") from error
    for number, row in enumerate(data if isinstance(data, list) else [data], start=1):
        if not isinstance(row, dict):
            raise DataError(f"{path}: entry {number} is no object but {type(row).__name__}")
        yield f"{path}: entry {number}", row


def _is_whole(path: Path) -> bool:
    """Whether a file is one JSON value: a list, or an object whose first line is none by itself."""
    if has_end(path, [".parquet"]):
        return False
    first = next((line.strip() for _, line in read_lines(path)), "")
    if first.startswith("["):
        return True
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return has_end(path, [".json"])
    return False
