"""Texts with classes: JSON lines with ``text`` and ``labels``, empty where not one holds."""

from dataclasses import replace
from pathlib import Path

from glinermt.errors import DataError
from glinermt.eval.data.cases import ClassCase
from glinermt.eval.data.files import field
from glinermt.jsonl import read_jsonl


def read_classes(path: Path, group: str) -> list[ClassCase]:
    """Read every text of the file; each case carries the file's full list of classes.

    Raises:
        DataError: a row without text or labels, or fewer than two classes in the file.
    """
    cases = []
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        text, given = field(row, "text", str, where), field(row, "labels", list, where)
        if not text.strip():
            raise DataError(f"{where}: the text is empty")
        if not all(isinstance(name, str) and name.strip() for name in given):
            raise DataError(f"{where}: labels should be non-empty strings, got {given!r:.80}")
        cases.append(ClassCase(f"{group}/{number}", group, text, (), frozenset(given)))
    labels = tuple(sorted({name for case in cases for name in case.classes}))
    if len(labels) < 2:
        raise DataError(f"{path}: {len(labels)} classes in {len(cases)} texts; two are needed")
    several = any(len(case.classes) != 1 for case in cases)
    return [replace(case, labels=labels, several=several) for case in cases]
