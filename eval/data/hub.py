"""Benchmarks from the Hugging Face hub, written down once as the JSONL files the readers know.

CrossNER's five sets, SQuAD 2.0, FewRel and CNN/DailyMail. The MIT sets have no official place
there: download their files from the project's page.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.errors import BackendError
from glinermt.eval.data.ner import tag_spans
from glinermt.jsonl import write_jsonl

Row = Mapping[str, Any]
CROSSNER_SETS = ("ai", "literature", "music", "politics", "science")
NUM_DOCUMENTS = 1000


@dataclass(frozen=True, slots=True)
class HubSet:
    """One split at one revision, and how its rows become ours."""

    repo: str
    config: str | None
    split: str
    revision: str
    convert: Callable[[Any], Iterator[Row]]


def fetch(name: str, folder: Path, *, load: Callable[..., Any] | None = None) -> Path:
    """Write the files of the benchmark ``name`` that are not in ``folder`` yet; give the folder.

    Args:
        name: of ``SOURCES``.
        folder: of this benchmark alone.
        load: stands in for ``datasets.load_dataset``.

    Raises:
        BackendError: the benchmark is not on the hub, or the hub cannot be reached.
    """
    if name not in SOURCES:
        known = ", ".join(SOURCES)
        raise BackendError(f"{name}: not read from the hub (only {known}); pass --data FOLDER")
    folder.mkdir(parents=True, exist_ok=True)
    for file, source in SOURCES[name].items():
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


def _entities(rows: Any) -> Iterator[Row]:
    names = rows.features["ner_tags"].feature.names
    for row in rows:
        spans = tag_spans([names[tag] for tag in row["ner_tags"]])
        yield {"tokens": row["tokens"], "spans": [list(span) for span in spans]}


def _questions(rows: Any) -> Iterator[Row]:
    for row in rows:
        yield {name: row[name] for name in ("id", "context", "question", "answers")}


def _pairs(rows: Any) -> Iterator[Row]:
    """FewRel names the relation by its Wikidata id; the words are the first of ``names``."""
    for row in rows:
        head, tail = (_mention(row[side]["indices"][0]) for side in ("head", "tail"))
        relation = {"head": head, "tail": tail, "relation": row["names"][0]}
        yield {"tokens": row["tokens"], "relations": [relation]}


def _mention(indices: list[int]) -> dict[str, int]:
    return {"start": indices[0], "end": indices[-1]}


def _documents(rows: Any) -> Iterator[Row]:
    for i, row in enumerate(rows):
        if i == NUM_DOCUMENTS:
            return
        yield {name: row[name] for name in ("id", "article", "highlights")}


_PARQUET = "refs/convert/parquet"
"""The hub's own conversion of a repository that holds a loading script."""
SOURCES: Mapping[str, Mapping[str, HubSet]] = {
    "crossner": {
        f"crossner_{name}.test.jsonl": HubSet(
            "DFKI-SLT/cross_ner",
            name,
            "test",
            "ac719b1953c0ce0d4b3614069ce8be463bf30e31",
            _entities,
        )
        for name in CROSSNER_SETS
    },
    "squad2": {
        "squad_v2.dev.jsonl": HubSet(
            "rajpurkar/squad_v2",
            None,
            "validation",
            "3ffb306f725f7d2ce8394bc1873b24868140c412",
            _questions,
        )
    },
    "fewrel": {
        "fewrel.val_wiki.jsonl": HubSet("thunlp/few_rel", "default", "val_wiki", _PARQUET, _pairs)
    },
    "cnn_dm": {
        "cnn_dailymail.test_first1000.jsonl": HubSet(
            "abisee/cnn_dailymail",
            "3.0.0",
            "test",
            "96df5e686bee6baa90b8bee7c28b81fa3fa6223d",
            _documents,
        )
    },
}
