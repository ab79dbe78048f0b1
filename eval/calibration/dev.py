"""Dev data for calibration: files as the benchmarks have them, and Examples of any span task."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.data.cases import NerCase, QaCase, RelationCase, SummaryCase
from glinermt.eval.data.readers import read_ner, read_qa, read_summaries
from glinermt.eval.data.relations import read_relations
from glinermt.eval.measure import evenly, limit_cases
from glinermt.jsonl import data_files, read_jsonl
from glinermt.types import Example, Relation, Span

BENCHMARK_FILES = ("squad_v2.dev", "dev-v2", "squad2", "fewrel.val_wiki", "val_wiki")
"""Files whose names say dev or val, but which the benchmarks score."""
KINDS = {
    "question": "answer",
    "relations": "relations",
    "summary": "summarize",
    "highlights": "summarize",
    "spans": "entities",
    "entities": "entities",
}
"""Which task a file is for that holds no Examples, by a field of its first row."""
EXAMPLES = "examples"
Triple = tuple[int, int, str, int, int]
"""Head start and end, relation, tail start and end."""


def find_dev_files(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the dev files below folders, and the given files; and what was left out.

    Of a folder that ``glinermt generate`` wrote these are its examples. Left out of folders are
    the files that benchmarks score although they are called dev or val, and those for none of
    the tasks.

    Raises:
        DataError: a given file is of a test split or scored by a benchmark, a path is not there or
            holds no dev file, or none is left.
    """
    chosen: list[Path] = []
    refused: list[Path] = []
    for path in paths:
        if path.is_file():
            if _is_scored(path):
                raise DataError(f"{path}: benchmarks score this file; calibrate on other data")
            chosen.append(path)
        elif (path / "manifest.json").is_file():
            chosen += data_files(path)
        else:
            for file in _named_dev(path):
                fits = not _is_scored(file) and _kind(_first_row(file))
                (chosen if fits else refused).append(file)
    if not chosen:
        raise DataError(f"no dev file (NAME.dev.jsonl) in {', '.join(map(str, paths))}")
    return list(dict.fromkeys(chosen)), refused


def _named_dev(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such file or folder of dev data")
    named = [file for file in sorted(folder.rglob("*.jsonl*")) if "dev" in file.name.split(".")]
    if not named:
        raise DataError(f"no dev file (NAME.dev.jsonl) in {folder}")
    return named


def read_dev(paths: Sequence[Path], *, limit: int | None) -> dict[str, list[Any]]:
    """Read each file as its first row shows; at most ``limit`` cases of a file (and task).

    Raises:
        DataError: a file is empty, for none of the tasks, or cannot be read, or relations come
            both as Examples and as pairs.
    """
    cases: dict[str, list[Any]] = {}
    for path in paths:
        row = _first_row(path)
        kind = _kind(row)
        if kind is None:
            raise DataError(
                f"{path}: expected Examples, or rows with one of "
                f"{', '.join(map(repr, KINDS))}; found {list(row) or 'no row'}"
            )
        group = path.name.split(".")[0]
        found = (
            _read_examples(path, group) if kind == EXAMPLES else {kind: READERS[kind](path, group)}
        )
        for task, own in found.items():
            cut = limit_cases if _grouped(own) else evenly
            cases.setdefault(task, []).extend(cut(own, limit))
    if len({isinstance(case, Example) for case in cases.get("relations", ())}) > 1:
        raise DataError("relations come as Examples and as pairs; calibrate on one of the two")
    return cases


def _grouped(cases: Sequence[Any]) -> bool:
    return all(hasattr(case, "group") for case in cases)


def _first_row(path: Path) -> dict[str, Any]:
    return next((row for _, row in read_jsonl(path)), {})


def _kind(row: Mapping[str, Any]) -> str | None:
    """Return the task a row is for, or that it is an Example, which says its task itself."""
    if "labels" in row and "spans" in row:
        return EXAMPLES
    if "labels" in row or "prompt" in row:
        return None
    return next((task for name, task in KINDS.items() if name in row), None)


def _read_examples(path: Path, group: str) -> dict[str, list[Any]]:
    """Read Examples as cases of their tasks; those without a case of its own stay Examples."""
    cases: dict[str, list[Any]] = {}
    for number, row in read_jsonl(path):
        try:
            example = Example.from_dict(row)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        if example.task == "summarize" and not example.spans:
            continue  # nothing to compare with
        case = _case(example, group, number)
        cases.setdefault(example.task, []).append(case)
    return cases


def _case(example: Example, group: str, number: int) -> Any:
    id_, text, spans = f"{group}/{number}", example.query.text, example.spans
    if example.task == "entities":
        nested = any(a.overlaps(b) for a, b in combinations(spans, 2))
        return NerCase(id_, group, text, example.query.labels, spans, nested)
    if example.task == "answer":
        golds = tuple(span.text for span in spans)
        return QaCase(id_, group, example.query.prompt, text, golds)
    if example.task == "summarize":
        return SummaryCase(id_, group, text, " ".join(span.text for span in spans))
    return example


@dataclass(frozen=True, slots=True)
class SentenceCase:
    """A text, its entities, all relations of its set, and those that hold.

    For choosing a threshold: pairs alone, each known to stand in one relation, say too little about
    how often a model sees a relation where there is none.
    """

    group: str
    text: str
    entities: tuple[Span, ...]
    relations: tuple[str, ...]
    gold: frozenset[Triple]


def sentences(pairs: Iterable[RelationCase]) -> list[SentenceCase]:
    """Join the pairs of each text."""
    by_text: dict[str, list[RelationCase]] = {}
    for pair in pairs:
        by_text.setdefault(pair.text, []).append(pair)
    return [
        SentenceCase(
            found[0].group,
            text,
            tuple(dict.fromkeys(span for pair in found for span in (pair.head, pair.tail))),
            found[0].relations,
            frozenset(triple(Relation(p.head, p.relation, p.tail)) for p in found),
        )
        for text, found in by_text.items()
    ]


def triple(relation: Relation) -> Triple:
    """Return what counts as the same relation."""
    head, tail = relation.head, relation.tail
    return head.start, head.end, relation.label, tail.start, tail.end


def _read_sentences(path: Path, group: str) -> list[SentenceCase]:
    return sentences(read_relations(path, group))


READERS: Mapping[str, Callable[[Path, str], list[Any]]] = {
    "entities": read_ner,
    "answer": read_qa,
    "relations": _read_sentences,
    "summarize": read_summaries,
}


def _is_scored(path: Path) -> bool:
    return "test" in path.name.split(".") or path.name.startswith(BENCHMARK_FILES)
