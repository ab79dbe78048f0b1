"""Questions: the official SQuAD v1/v2 JSON, or JSONL with a question a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.data.cases import QaCase
from glinermt.eval.data.files import field, read_json
from glinermt.jsonl import read_jsonl


def read_qa(path: Path, group: str) -> list[QaCase]:
    """Read every question of the file.

    Raises:
        DataError: a malformed question, an id seen twice, or no question at all.
    """
    cases = list(_from_jsonl(path, group) if ".jsonl" in path.suffixes else _official(path, group))
    if not cases:
        raise DataError(f"{path}: holds no question")
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise DataError(f"{path}: question id {case.id!r} stands there twice")
        seen.add(case.id)
    return cases


def _from_jsonl(path: Path, group: str) -> Iterator[QaCase]:
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        answers = field(field(row, "answers", dict, where), "text", list, where)
        yield _case(row, field(row, "context", str, where), answers, group, where)


def _official(path: Path, group: str) -> Iterator[QaCase]:
    for i, article in enumerate(field(read_json(path), "data", list, str(path))):
        for j, paragraph in enumerate(field(article, "paragraphs", list, f"{path}: data[{i}]")):
            where = f"{path}: data[{i}].paragraphs[{j}]"
            context = field(paragraph, "context", str, where)
            for k, question in enumerate(field(paragraph, "qas", list, where)):
                place = f"{where}.qas[{k}]"
                answers = field(question, "answers", list, place)
                texts = [field(answer, "text", str, place) for answer in answers]
                yield _case(question, context, texts, group, place)


def _case(row: Any, context: str, answers: list[Any], group: str, where: str) -> QaCase:
    if not all(isinstance(answer, str) for answer in answers):
        raise DataError(f"{where}: answers should be strings, got {answers!r:.80}")
    impossible = row.get("is_impossible", not answers)
    if bool(impossible) != (not answers):
        raise DataError(f"{where}: is_impossible is {impossible} with {len(answers)} answers")
    question = field(row, "question", str, where)
    return QaCase(field(row, "id", str, where), group, question, context, tuple(answers))
