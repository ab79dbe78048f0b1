"""Asking in several orders of the labels, so that their order does not change what is found.

A model reads the labels in a row, and each one's score depends a little on where it stands. Here
the labels are sorted and asked in several orders, and a span's score is the mean over these.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random

from glinermt.tasks.inputs import chunks
from glinermt.tasks.labels import Label
from glinermt.tasks.run import in_force, run
from glinermt.tasks.task import Task
from glinermt.types import Extractor, Overlap, Span, Threshold

ORDERS = 4
"""Orders that are asked: sorted, backwards, and others drawn once and for all."""
LOWER = 0.5
"""Share of the threshold from which spans are looked at: one order may miss what others find."""


def stream_invariant(
    task: Task[Sequence[Label], list[Span]],
    model: Extractor,
    rows: Iterable[tuple[str, Sequence[Label]]],
    *,
    threshold: Threshold | None = None,
) -> Iterator[list[Span]]:
    """Run a task of labels on each row in several orders; the same for all orders of a row."""
    settings = in_force(task, model.settings, threshold)
    wide = replace(task, overlap="nested", multi_label=True)
    for chunk in chunks(rows):
        texts, asked = [], []
        for text, labels in chunk:
            low = [label.with_threshold(LOWER * task.limit(label, settings)) for label in labels]
            for order in label_orders(low):
                texts.append(text)
                asked.append(order)
        found = iter(run(wide, model, texts, asked))
        for _, labels in chunk:
            limits = {label.name: task.limit(label, settings) for label in labels}
            mean = _mean([next(found) for _ in range(ORDERS)])
            kept = [span for span in mean if span.score >= limits[span.label]]
            yield chosen(kept, overlap=task.overlap, multi_label=task.multi_label)


def label_orders(labels: Sequence[Label]) -> Iterator[list[Label]]:
    """Yield the labels in ``ORDERS`` orders, the same whatever order they come in."""
    ordered = sorted(labels, key=lambda label: label.asked)
    yield ordered
    yield ordered[::-1]
    draw = Random(0)
    for _ in range(ORDERS - 2):
        yield draw.sample(ordered, len(ordered))


def _mean(parts: Sequence[Sequence[Span]]) -> list[Span]:
    """Return each span with its mean score; an order that has not found it counts as 0."""
    total: dict[tuple[int, int, str], float] = {}
    spans: dict[tuple[int, int, str], Span] = {}
    for span in (span for part in parts for span in part):
        key = span.start, span.end, span.label
        total[key] = total.get(key, 0.0) + span.score
        spans[key] = span
    return [replace(span, score=total[key] / len(parts)) for key, span in spans.items()]


def chosen(spans: Iterable[Span], *, overlap: Overlap, multi_label: bool) -> list[Span]:
    """Choose by score what does not conflict, as the engine does; in the order of the text."""
    kept: list[Span] = []
    places: list[tuple[int, int]] = []
    for span in sorted(spans, key=lambda s: (-s.score, s.start, s.end, s.label)):
        place = span.start, span.end
        at = bisect_left(places, place)
        same = at < len(places) and places[at] == place
        if same:
            if multi_label:
                kept.append(span)
        elif overlap == "nested":
            if not any(_cross(place, other) for other in places):
                insort(places, place)
                kept.append(span)
        elif not any(_meet(place, other) for other in places[max(at - 1, 0) : at + 1]):
            insort(places, place)
            kept.append(span)
    return sorted(kept, key=lambda s: (s.start, s.end, -s.score))


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _cross(one: tuple[int, int], other: tuple[int, int]) -> bool:
    first, second = sorted((one, other))
    return first[0] < second[0] < first[1] < second[1]
