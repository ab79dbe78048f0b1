"""Named entity recognition: labelled spans, by default without any prompt."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Literal

from glinermt.config import TaskSettings
from glinermt.default_model import load_extractor
from glinermt.errors import UsageError, unknown_choice
from glinermt.tasks.inputs import by_shape, chunks, restore, rows
from glinermt.tasks.labels import (
    ENTITY_OPTIONS,
    Label,
    LabelSpec,
    read_labels,
    renamed,
    spec_argument,
    with_patterns,
)
from glinermt.tasks.run import in_force, run, stream
from glinermt.tasks.shortlist import shortlisted
from glinermt.tasks.task import Task
from glinermt.types import Ask, Extractor, Found, Overlap, Query, Span, SpanScore, Threshold

Order = Literal["given", "invariant"]
ORDERS_OF_LABELS = ("given", "invariant")
ORDERS = 4
"""Orders that are asked: sorted, backwards, and others drawn once and for all."""
LOWER = 0.5
"""Share of the threshold from which spans are looked at: one order may miss what others find."""


@by_shape
def extract_entities(
    text: str | Iterable[str],
    labels: LabelSpec | Iterable[LabelSpec],
    *,
    threshold: Threshold | None = None,
    overlap: Overlap = "flat",
    multi_label: bool = False,
    span_score: SpanScore | None = None,
    order: Order = "given",
    shortlist: int | None = None,
    model: Extractor | str | Path | None = None,
) -> list[Span]:
    """Find the entities of the given types, every mention of each, in the order of the text.

    Args:
        text: one text, a list of texts (a list is given back), or any other iterable (a lazy
            iterator is given back).
        labels: names, ``{name: description}``, or ``{name: {...}}`` with any of ``description``,
            ``threshold``, ``pattern`` (see ``glinermt.patterns``) and ``validator`` (a function
            of the span's text); for all texts, or one such for each.
        threshold: least score, for labels without one of their own: a number, or one for each
            label; None = the model's, else 0.5.
        overlap: ``flat`` or ``nested``.
        multi_label: allow one span several labels.
        span_score: how a span's score comes from its words': ``mean`` or ``min``; None = as the
            model says.
        order: ``given`` asks the labels in their order, which may change scores a little;
            ``invariant`` asks in four orders and takes the mean, at four times the cost.
        shortlist: of hundreds of labels, ask a text only for the so many likeliest, which are
            found by words and sentence vectors: much faster, and not exact (docs/performance.md
            says what it misses). Those with a pattern are asked besides. None = all labels.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or labels are no strings.
        ValueError: no label or an empty one, a threshold outside [0, 1], or numbers that do not
            match.
    """
    if order not in ORDERS_OF_LABELS:
        raise UsageError(unknown_choice("order", order, ORDERS_OF_LABELS))
    Ask(overlap=overlap, multi_label=multi_label)  # refuses what it does not know
    task = replace(ENTITIES, overlap=overlap, multi_label=multi_label, span_score=span_score)
    given = rows(text, spec_argument("labels", labels, threshold))
    asked = ((t, read_labels(spec, options=ENTITY_OPTIONS)) for t, spec in given)
    ask = stream_invariant if order == "invariant" else stream
    reader = load_extractor(model)
    wanted = asked if shortlist is None else shortlisted(asked, shortlist, reader)
    return restore(text, ask(task, reader, wanted, threshold=threshold))


def _labels(asked: Sequence[Label], _: TaskSettings) -> Sequence[Label]:
    return asked


def _query(text: str, asked: Sequence[Label], settings: TaskSettings) -> list[Query]:
    labels = tuple(label.asked for label in asked)
    prompt = ENTITIES.word_prompt(settings)
    return [Query(text, labels, prompt, casing=settings.casing)]


def _read(text: str, asked: Sequence[Label], found: Sequence[Found], _: TaskSettings) -> list[Span]:
    return with_patterns(text, renamed(found[0].spans, asked), asked)


ENTITIES: Task[Sequence[Label], list[Span]] = Task(
    name="entities", query=_query, labels=_labels, read=_read, label_thresholds=True
)


def stream_invariant(
    task: Task[Sequence[Label], list[Span]],
    model: Extractor,
    rows: Iterable[tuple[str, Sequence[Label]]],
    *,
    threshold: Threshold | None = None,
) -> Iterator[list[Span]]:
    """Run a task of labels on each row in several orders; the same for all orders of a row.

    A model reads the labels in a row, and each one's score depends a little on where it stands.
    Here the labels are sorted and asked in several orders, and a span's score is the mean over
    these.
    """
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
    longest = 0
    for span in sorted(spans, key=lambda s: (-s.score, s.start, s.end, s.label)):
        place = span.start, span.end
        at = bisect_left(places, place)
        same = at < len(places) and places[at] == place
        if same:
            if multi_label:
                kept.append(span)
        elif overlap == "nested":
            near = range(
                bisect_left(places, (span.start - longest, 0)), bisect_left(places, (span.end, 0))
            )
            if not any(_cross(place, places[i]) for i in near):
                insort(places, place)
                kept.append(span)
                longest = max(longest, span.end - span.start)
        elif not any(_meet(place, other) for other in places[max(at - 1, 0) : at + 1]):
            insort(places, place)
            kept.append(span)
    return sorted(kept, key=lambda s: (s.start, s.end, -s.score))


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _cross(one: tuple[int, int], other: tuple[int, int]) -> bool:
    first, second = sorted((one, other))
    return first[0] < second[0] < first[1] < second[1]
