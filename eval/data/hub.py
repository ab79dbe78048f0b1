"""Benchmarks from the Hugging Face hub, written down once as the JSONL files the readers know."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.errors import BackendError
from glinermt.formats.tokens import tag_spans
from glinermt.jsonl import write_jsonl

Row = Mapping[str, Any]
PARQUET = "refs/convert/parquet"
"""The hub's own conversion of a repository that holds a loading script."""
NUM_DOCUMENTS = 1000


@dataclass(frozen=True, slots=True)
class HubSet:
    """One split at one revision, and how its rows become ours."""

    repo: str
    config: str | None
    split: str
    revision: str
    convert: Callable[[Any], Iterator[Row]]


def fetch(
    sets: Mapping[str, HubSet], folder: Path, *, load: Callable[..., Any] | None = None
) -> Path:
    """Write the files that are not in ``folder`` yet; return the folder.

    Args:
        sets: of one benchmark, by file name.
        folder: of this benchmark alone.
        load: stands in for ``datasets.load_dataset``.

    Raises:
        BackendError: the hub cannot be reached, or datasets is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file, source in sets.items():
        if not (folder / file).exists():
            write_jsonl(folder / file, source.convert(_load(source, load)))
    return folder


def _load(source: HubSet, load: Callable[..., Any] | None) -> Any:
    if load is None:
        try:
            from datasets import load_dataset  # type: ignore[import-untyped]
        except ImportError as error:
            raise BackendError("--data hub needs: pip install 'glinermt[eval]'") from error
        load = load_dataset
    place = {"split": source.split, "revision": source.revision}
    try:
        return load(source.repo, source.config, **place)
    except Exception as error:  # datasets raises whatever its many back ends do
        where = f"{source.repo}@{source.revision}"
        raise BackendError(f"{where}: cannot be read from the hub: {error}") from error


def entities(rows: Any) -> Iterator[Row]:
    """Yield tokens and spans of rows with ``ner_tags``."""
    names = rows.features["ner_tags"].feature.names
    for row in rows:
        spans = tag_spans([names[tag] for tag in row["ner_tags"]])
        yield {"tokens": row["tokens"], "spans": [list(span) for span in spans]}


def questions(rows: Any) -> Iterator[Row]:
    """Yield the questions as they are."""
    for row in rows:
        yield {name: row[name] for name in ("id", "context", "question", "answers")}


def pairs(rows: Any) -> Iterator[Row]:
    """Yield FewRel's pairs; it names a relation by the first of its words for a Wikidata id."""
    for row in rows:
        head, tail = (_mention(row[side]["indices"][0]) for side in ("head", "tail"))
        relation = {"head": head, "tail": tail, "relation": row["names"][0]}
        yield {"tokens": row["tokens"], "relations": [relation]}


def _mention(indices: list[int]) -> dict[str, int]:
    return {"start": indices[0], "end": indices[-1]}


def documents(rows: Any) -> Iterator[Row]:
    """Yield the first documents."""
    for i, row in enumerate(rows):
        if i == NUM_DOCUMENTS:
            return
        yield {name: row[name] for name in ("id", "article", "highlights")}
