"""FewRel: the official JSON with ``pid2name``, or JSONL with ``tokens`` and ``relations``."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.data.cases import RelationCase
from glinermt.eval.data.files import field, find_file, read_json
from glinermt.eval.data.tokens import TokenText
from glinermt.jsonl import read_jsonl
from glinermt.types import Span


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
