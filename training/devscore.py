"""Scores a model on entity files while it trains: strict micro F1, fixed labels and threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glinermt.tasks import ner
from glinermt.training.config import Dev, Source
from glinermt.training.labels import count_labels
from glinermt.training.readers import read_source
from glinermt.training.rows import EntityRow
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
    labels = sorted(count_labels(rows))
    kept = [row for row in rows if isinstance(row, EntityRow)][: limit or None]
    return [ner.example(row.text, row.spans, labels) for row in kept]


def score_dev(model: Extractor, sets: Sequence[DevSet], *, threshold: float) -> dict[str, float]:
    """Give each set's strict micro F1, 0 to 1."""
    return {
        dev.name: strict_f1(dev.gold, model.extract(list(dev.queries), threshold=threshold))
        for dev in sets
    }


def label_f1(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]], label: str
) -> float:
    """Give strict F1 over the spans of one label."""
    return strict_f1(
        [[span for span in spans if span.label == label] for spans in gold],
        [[span for span in spans if span.label == label] for spans in predicted],
    )


def strict_f1(gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]) -> float:
    """Give micro F1 over ``(start, end, label)``; 0 where nothing is right."""
    right = wanted = given = 0
    for expected, found in zip(gold, predicted, strict=True):
        a = {(span.start, span.end, span.label) for span in expected}
        b = {(span.start, span.end, span.label) for span in found}
        right, wanted, given = right + len(a & b), wanted + len(a), given + len(b)
    return 2 * right / (wanted + given) if right else 0.0
