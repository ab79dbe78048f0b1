"""Scores a model while it trains: strict micro F1 on entity files, or on Examples of any task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from glinermt.eval.metrics.entities import span_f1
from glinermt.tasks import TASKS
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.labels import read_labels
from glinermt.tasks.run import ask
from glinermt.tasks.task import Task, example
from glinermt.training.config import Dev, Source
from glinermt.training.data.label_pool import count_labels
from glinermt.training.data.readers import read_source
from glinermt.training.data.rows import EntityRow
from glinermt.types import Example, Extractor, Query, Span


@dataclass(frozen=True, slots=True)
class DevSet:
    """Queries of one file, all with the file's full label set, and their gold spans."""

    name: str
    queries: tuple[Query, ...]
    gold: tuple[tuple[Span, ...], ...]


def load_dev(dev: Dev, root: Path, *, max_bad_share: float) -> list[DevSet]:
    """Read the dev files; labels are those of the whole file, whatever the ``limit``."""
    sets = []
    for path in dev.paths:
        source = Source(path, "ner", exclude_labels=dev.exclude_labels)
        examples = entity_examples(source, root, limit=dev.limit, max_bad_share=max_bad_share)
        name = Path(path).name.split(".jsonl")[0]
        sets.append(
            DevSet(name, tuple(e.query for e in examples), tuple(e.spans for e in examples))
        )
    return sets


def entity_examples(
    source: Source, root: Path, *, limit: int = 0, max_bad_share: float = 0.0
) -> list[Example]:
    """Read entity rows as Examples that all ask for every label of the file.

    Args:
        source: of task ``ner``; its ``exclude_labels`` are left out.
        root: what its path is below.
        limit: rows given, the first ones; 0 = all.
        max_bad_share: see ``TrainConfig``.
    """
    rows, _ = read_source(source, root, max_bad_share=max_bad_share)
    labels = read_labels(sorted(count_labels(rows)))
    kept = [row for row in rows if isinstance(row, EntityRow)][: limit or None]
    return [example(ENTITIES, row.text, labels, row.spans) for row in kept]


def score_dev(model: Extractor, sets: Sequence[DevSet], *, threshold: float) -> dict[str, float]:
    """Return each set's strict micro F1, 0 to 1."""
    return {
        dev.name: span_f1(dev.gold, model.extract(list(dev.queries), threshold=threshold))
        for dev in sets
    }


def predict(
    model: Extractor, examples: Sequence[Example], *, threshold: float | None = None
) -> list[list[Span]]:
    """Ask the examples' queries as their tasks do, under the thresholds and rules of the model.

    Spans inside others, and one span under several labels, are asked for where some example's gold
    has them, and where tails of relations are sought. ``threshold`` stands for all of the model's.
    """
    found: list[list[Span]] = [[] for _ in examples]
    members: dict[str, list[int]] = {}
    for i, row in enumerate(examples):
        members.setdefault(row.task, []).append(i)
    for name, places in members.items():
        rows = [examples[i] for i in places]
        results = ask(
            _decoding(TASKS[name], rows), model, [r.query for r in rows], threshold=threshold
        )
        for i, result in zip(places, results, strict=True):
            found[i] = list(result.spans)
    return found


def _decoding(task: Task[Any, Any], examples: Sequence[Example]) -> Task[Any, Any]:
    """Take spans from the threshold up, with the overlaps that the gold or the task has."""
    ranked = task.floor is not None  # by the task, which then allows no overlap
    nested = (task.overlap == "nested" and not ranked) or any(map(_is_nested, examples))
    return replace(
        task,
        floor=None,
        overlap="nested" if nested else "flat",
        multi_label=task.multi_label or any(map(_has_double_labels, examples)),
    )


def _is_nested(example: Example) -> bool:
    return any(a.overlaps(b) and not _same_place(a, b) for a, b in combinations(example.spans, 2))


def _has_double_labels(example: Example) -> bool:
    return any(_same_place(a, b) and a.label != b.label for a, b in combinations(example.spans, 2))


def _same_place(a: Span, b: Span) -> bool:
    return (a.start, a.end) == (b.start, b.end)


def label_scores(
    gold: Sequence[Sequence[Span]],
    before: Sequence[Sequence[Span]],
    after: Sequence[Sequence[Span]],
) -> dict[str, tuple[float, float]]:
    """Return the strict F1 of each gold label, of two predictions."""
    labels = sorted({span.label for spans in gold for span in spans})
    return {
        label: (
            span_f1(_of(label, gold), _of(label, before)),
            span_f1(_of(label, gold), _of(label, after)),
        )
        for label in labels
    }


def _of(label: str, rows: Sequence[Sequence[Span]]) -> list[list[Span]]:
    return [[span for span in spans if span.label == label] for spans in rows]
