"""What all tasks do to put their questions to a model."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from glinermt.config import check_share
from glinermt.tasks.long_texts import cut, moved
from glinermt.types import Extractor, Overlap, Query, Span, SpanScore, Threshold


def default_threshold(model: Extractor, task: str, given: float | None, otherwise: float) -> float:
    """Give the threshold: the caller's, else the model's for the task, else the task's own.

    Raises:
        TypeError: it is no number.
        ValueError: it lies outside [0, 1].
    """
    if isinstance(given, Mapping):
        labels = {label: {"threshold": value} for label, value in given.items()}
        raise TypeError(f"threshold must be one number; give each label its own as labels={labels}")
    value = model.settings.thresholds.get(task, otherwise) if given is None else given
    return check_share("threshold", value)


def wording(saved: Mapping[str, str], task: str, otherwise: str, **fields: str) -> str:
    """Fill the model's wording for the task, or the task's own, with ``fields``.

    The fields are replaced as they stand: nothing in a checkpoint's wording is evaluated, and
    braces in a field's value are text.
    """
    text = saved.get(task, otherwise)
    return re.sub(r"\{(\w+)\}", lambda found: fields.get(found[1], found[0]), text)


def tempered(score: float, temperature: float) -> float:
    """Divide the log odds by the temperature: above 1 scores move to 0.5, below 1 away from it."""
    if temperature == 1 or not 0 < score < 1:
        return score
    return 1 / (1 + math.exp(-math.log(score / (1 - score)) / temperature))


def ask(
    model: Extractor,
    task: str,
    queries: Sequence[Query],
    thresholds: Sequence[Threshold],
    *,
    overlap: Overlap = "flat",
    multi_label: bool = False,
    span_score: SpanScore | None = None,
) -> list[list[Span]]:
    """Extract with each query's own thresholds, in one call unless these contradict each other.

    Thresholds and scores are those that the model's temperature for the task makes of its own;
    long texts are read in the stretches that it wants. ``span_score`` None is the model's own rule.
    """
    temperature = model.settings.temperatures.get(task, 1.0)
    most_words = model.settings.words_at_once.get(task, 0)
    found: list[list[Span]] = [[] for _ in queries]
    for threshold, members in _groups(queries, thresholds, temperature):
        pieces = [(i, *piece) for i in members for piece in cut(queries[i], most_words)]
        spans = model.extract(
            [query for _, _, query in pieces],
            threshold=threshold,
            overlap=overlap,
            multi_label=multi_label,
            span_score=span_score or model.settings.span_score,
        )
        for (i, start, _), result in zip(pieces, spans, strict=True):
            found[i] += [
                replace(s, score=tempered(s.score, temperature)) for s in moved(result, start)
            ]
    return found


def _groups(
    queries: Sequence[Query], thresholds: Sequence[Threshold], temperature: float
) -> list[tuple[dict[str, float], list[int]]]:
    """Give the model's own thresholds by label, and which queries they hold for."""
    groups: list[tuple[dict[str, float], list[int]]] = []
    for i, (query, given) in enumerate(zip(queries, thresholds, strict=True)):
        by_label = (
            {label: tempered(given[label], 1 / temperature) for label in query.labels}
            if isinstance(given, Mapping)
            else dict.fromkeys(query.labels, tempered(given, 1 / temperature))
        )
        for merged, members in groups:
            if all(merged.get(label, limit) == limit for label, limit in by_label.items()):
                merged.update(by_label)
                members.append(i)
                break
        else:
            groups.append((by_label, [i]))
    return groups
