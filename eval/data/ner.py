"""Entity data: CoNLL/BIO columns, or JSONL with ``tokens`` and ``spans``, or ``text``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.data.cases import NerCase
from glinermt.eval.data.files import field
from glinermt.eval.data.tokens import TokenText
from glinermt.formats.tokens import tag_spans
from glinermt.jsonl import read_jsonl, read_text
from glinermt.types import Span

HEADER = "# id "
"""How MultiCoNER begins a sentence."""
Sentence = tuple[str, list[Span]]
_TAG = re.compile(r"(O|[BIESLU]-.+)\Z")


def read_ner(
    path: Path, group: str, *, labels: Sequence[str] = (), names: Mapping[str, str] | None = None
) -> list[NerCase]:
    """Read a file, JSONL by its name and columns otherwise.

    Args:
        path: the file.
        group: name of the set.
        labels: the set's label list; empty = all labels of the file, sorted.
        names: natural words for the file's tags.

    Raises:
        DataError: a line that cannot be read, or a label that is not in ``labels``.
    """
    is_jsonl = ".jsonl" in path.suffixes
    sentences = list(_jsonl_sentences(path) if is_jsonl else _column_sentences(path))
    if not sentences:
        raise DataError(f"{path}: holds no sentence")
    words = names or {}
    renamed = [
        (text, [Span(s.start, s.end, s.text, words.get(s.label, s.label)) for s in spans])
        for text, spans in sentences
    ]
    found = sorted({span.label for _, spans in renamed for span in spans})
    unknown = set(found) - set(labels)
    if labels and unknown:
        raise DataError(f"{path}: labels {sorted(unknown)} are not among {list(labels)}")
    if not labels and not found:
        raise DataError(f"{path}: no sentence has an entity, so that no label can be asked")
    asked = tuple(labels or found)
    nested = any(a.overlaps(b) for _, spans in renamed for a, b in combinations(spans, 2))
    return [
        NerCase(f"{group}/{index}", group, text, asked, tuple(spans), nested)
        for index, (text, spans) in enumerate(renamed)
    ]


def _jsonl_sentences(path: Path) -> Iterator[Sentence]:
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        if "tokens" in row:
            text = TokenText(field(row, "tokens", list, where), where)
            spans = [text.span(*_triple(raw, where)) for raw in field(row, "spans", list, where)]
            yield text.text, spans
        else:
            text_ = field(row, "text", str, where)
            name = "entities" if "entities" in row else "spans"
            raw_spans = field(row, name, list, where)
            yield text_, [_character_span(raw, text_, where) for raw in raw_spans]


def _triple(raw: Any, where: str) -> tuple[object, object, str]:
    if not isinstance(raw, list) or len(raw) != 3 or not isinstance(raw[2], str):
        raise DataError(f"{where}: a span should be [first token, last token, label], got {raw!r}")
    return raw[0], raw[1], raw[2]


def _character_span(raw: Any, text: str, where: str) -> Span:
    start, end = field(raw, "start", int, where), field(raw, "end", int, where)
    if not 0 <= start < end <= len(text):
        raise DataError(
            f"{where}: span {start}:{end} lies outside the text, which has {len(text)} characters"
        )
    return Span(start, end, text[start:end], field(raw, "label", str, where))


def _column_sentences(path: Path) -> Iterator[Sentence]:
    """Read one token a line with its tag in the last column (or the first: MIT's own files)."""
    rows: list[tuple[int, str, str]] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        columns = line.split()
        if not columns or columns[0] == "-DOCSTART-" or line.startswith(HEADER):
            yield from _finish(path, rows)
            rows = []
            continue
        rows.append((number, *_token_and_tag(columns, f"{path}:{number}")))
    yield from _finish(path, rows)


def _token_and_tag(columns: Sequence[str], where: str) -> tuple[str, str]:
    if len(columns) >= 2 and _TAG.match(columns[-1]):
        return columns[0], columns[-1]
    if len(columns) == 2 and _TAG.match(columns[0]):
        return columns[1], columns[0]
    raise DataError(f"{where}: expected a token and a tag such as B-person, got {columns}")


def _finish(path: Path, rows: Sequence[tuple[int, str, str]]) -> Iterator[Sentence]:
    if rows:
        text = TokenText([token for _, token, _ in rows], f"{path}:{rows[0][0]}")
        yield text.text, [text.span(*span) for span in tag_spans([tag for _, _, tag in rows])]
