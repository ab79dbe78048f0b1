"""Relations of benchmarks: pairs (FewRel), and texts with entities and relations."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.data.cases import DocumentCase, RelationCase
from glinermt.eval.data.readers import TokenText, field, find_file, read_json
from glinermt.jsonl import read_jsonl
from glinermt.types import Relation, Span


def read_relations(path: Path, group: str) -> list[RelationCase]:
    """Read every pair of the file; each case carries the file's full list of relations.

    Raises:
        DataError: a malformed row, or an official file without ``pid2name.json`` beside it.
    """
    cases = list(_from_jsonl(path, group) if ".jsonl" in path.suffixes else _official(path, group))
    if not cases:
        raise DataError(f"{path}: holds no relation")
    relations = tuple(sorted({case.relation for case in cases}))
    return [replace(case, relations=relations) for case in cases]


def _from_jsonl(path: Path, group: str) -> Iterator[RelationCase]:
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        text = TokenText(field(row, "tokens", list, where), where)
        for index, relation in enumerate(field(row, "relations", list, where)):
            head, tail = (
                text.span(field(end, "start", int, where), field(end, "end", int, where), "")
                for end in (field(relation, side, dict, where) for side in ("head", "tail"))
            )
            name = field(relation, "relation", str, where)
            id_ = f"{number}.{index}"
            yield RelationCase(id_, group, text.text, head, tail, name, ())


def _official(path: Path, group: str) -> Iterator[RelationCase]:
    """Read ``{pid: [{"tokens", "h": [name, id, [[token indices]]], "t": ...}]}``."""
    names = read_json(find_file(path.parent, ["pid2name.json"]))
    data = read_json(path)
    if not isinstance(data, dict):
        raise DataError(f"{path}: expected an object of relations, got {type(data).__name__}")
    for pid, rows in data.items():
        if pid not in names:
            raise DataError(f"{path}: relation {pid!r} is not in pid2name.json")
        for index, row in enumerate(rows):
            where = f"{path}: {pid}[{index}]"
            text = TokenText(field(row, "tokens", list, where), where)
            head, tail = (_mention(row, side, text, where) for side in ("h", "t"))
            yield RelationCase(f"{pid}.{index}", group, text.text, head, tail, names[pid][0], ())


def _mention(row: Any, side: str, text: TokenText, where: str) -> Span:
    mention = field(row, side, list, where)
    try:
        indices = mention[2][0]
        return text.span(indices[0], indices[-1], "")
    except (IndexError, TypeError, KeyError) as error:
        raise DataError(
            f"{where}: {side!r} should be [name, id, [[token indices]]], got {mention!r:.80}"
        ) from error


NO_RELATION = "no relation"
"""Marks pairs that are known to stand in none: nothing to be found."""


def read_documents(
    path: Path, group: str, *, types: Mapping[str, str] | None = None
) -> list[DocumentCase]:
    """Read a file, JSON by its name and JSON lines otherwise.

    Forms of a row:

    - ours: ``{"tokens": [...], "relations": [{"head": {"start", "end"}, "tail": {...},
      "relation"}]}``, first and last token, both inclusive; ``"spans"`` (``[[first, last,
      label]]``) types the entities
    - CoNLL-2004 as SpERT publishes it: ``{"tokens": [...], "entities": [{"type", "start", "end"}],
      "relations": [{"type", "head", "tail"}]}``, end exclusive, head and tail are numbers of
      entities
    - CrossRE: ``{"sentence": [...], "ner": [[first, last, type]], "relations": [[first, last,
      first, last, type, ...]]}``

    Each case carries the entity types and relations of the whole file, in natural words where
    ``types`` has some.

    Raises:
        DataError: a malformed row, or a file without any relation.
    """
    words = types or {}
    cases = [_case(row, group, where, words) for where, row in _rows(path)]
    names = sorted({relation.label for case in cases for relation in case.relations})
    labels = sorted({span.label for case in cases for span in case.spans} - {""})
    if not names:
        raise DataError(f"{path}: no text has a relation, so that none can be asked")
    return [
        replace(case, id=f"{group}/{i}", labels=tuple(labels), names=tuple(names))
        for i, case in enumerate(cases)
    ]


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix == ".json":
        for i, row in enumerate(_list_of(path)):
            yield f"{path}: [{i}]", row
        return
    for number, row in read_jsonl(path):
        yield f"{path}:{number}", row


def _list_of(path: Path) -> list[Any]:
    """Return the rows of a .json file; CrossRE gives this name to JSON lines."""
    try:
        rows = read_json(path)
    except DataError:
        rows = [row for _, row in read_jsonl(path)]
    if not isinstance(rows, list):
        rows = [rows]
    return rows


def _case(row: Any, group: str, where: str, words: Mapping[str, str]) -> DocumentCase:
    tokens = field(row, "sentence" if "sentence" in row else "tokens", list, where)
    text = TokenText(tokens, where)
    try:
        spans, relations = _read(row, text)
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: no entities and relations of a known form ({error!r}): {json.dumps(row):.80}"
        ) from error
    spans = [_renamed(span, words) for span in spans]
    held = [
        Relation(_renamed(r.head, words), _words(r.label, words), _renamed(r.tail, words))
        for r in relations
        if r.label != NO_RELATION
    ]
    ends = [end for r in held for end in (r.head, r.tail)]
    return DocumentCase(where, group, text.text, (), (), _distinct([*spans, *ends]), tuple(held))


def _read(row: Any, text: TokenText) -> tuple[list[Span], list[Relation]]:
    if "ner" in row:
        spans = [text.span(first, last, name) for first, last, name in row["ner"]]
        typed = {(s.start, s.end): s for s in spans}
        return spans, [
            Relation(_typed(typed, text, a, b), name, _typed(typed, text, c, d))
            for a, b, c, d, name, *_ in row["relations"]
        ]
    if "entities" in row:
        spans = [text.span(e["start"], e["end"] - 1, e["type"]) for e in row["entities"]]
        return spans, [
            Relation(spans[r["head"]], r["type"], spans[r["tail"]]) for r in row["relations"]
        ]
    spans = [text.span(first, last, name) for first, last, name in row.get("spans", ())]
    typed = {(s.start, s.end): s for s in spans}
    return spans, [
        Relation(
            _typed(typed, text, r["head"]["start"], r["head"]["end"]),
            str(r["relation"]),
            _typed(typed, text, r["tail"]["start"], r["tail"]["end"]),
        )
        for r in row["relations"]
    ]


def _typed(
    typed: dict[tuple[int, int], Span], text: TokenText, first: object, last: object
) -> Span:
    """Return the entity at a place, without a type where nothing there has one."""
    span = text.span(first, last, "")
    return typed.get((span.start, span.end), span)


def _renamed(span: Span, words: Mapping[str, str]) -> Span:
    return replace(span, label=words.get(span.label, span.label))


def _words(name: str, words: Mapping[str, str]) -> str:
    """Return a relation as people say it: ``Located_In`` and ``part-of`` are codes."""
    return words.get(name, name.replace("_", " ").replace("-", " ").lower())


def _distinct(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the spans in the order of the text, a place once."""
    by_place = {(span.start, span.end): span for span in spans if not span.label}
    by_place |= {(span.start, span.end): span for span in spans if span.label}
    return tuple(by_place[place] for place in sorted(by_place))
