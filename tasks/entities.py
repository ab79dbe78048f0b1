"""Named entity recognition: labelled spans, by default without any prompt."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from glinermt.config import TaskSettings
from glinermt.default_model import load_extractor
from glinermt.errors import UsageError, unknown_choice
from glinermt.tasks.inputs import by_shape, restore, rows
from glinermt.tasks.labels import Label, LabelSpec, read_labels, renamed, spec_argument
from glinermt.tasks.orders import stream_invariant
from glinermt.tasks.patterned import OPTIONS, with_patterns
from glinermt.tasks.run import stream
from glinermt.tasks.task import Task
from glinermt.types import Extractor, Found, Overlap, Query, Span, SpanScore, Threshold

Order = Literal["given", "invariant"]
ORDERS_OF_LABELS = ("given", "invariant")


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
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or labels are no strings.
        ValueError: an empty label, a threshold outside [0, 1], or numbers that do not match.
    """
    if order not in ORDERS_OF_LABELS:
        raise UsageError(unknown_choice("order", order, ORDERS_OF_LABELS))
    task = replace(ENTITIES, overlap=overlap, multi_label=multi_label, span_score=span_score)
    given = rows(text, spec_argument("labels", labels, threshold))
    asked = ((t, read_labels(spec, options=OPTIONS)) for t, spec in given)
    ask = stream_invariant if order == "invariant" else stream
    return restore(text, ask(task, load_extractor(model), asked, threshold=threshold))


def _labels(asked: Sequence[Label], _: TaskSettings) -> Sequence[Label]:
    return asked


def _query(text: str, asked: Sequence[Label], settings: TaskSettings) -> list[Query]:
    labels = tuple(label.asked for label in asked)
    return [Query(text, labels, ENTITIES.word_prompt(settings))]


def _read(text: str, asked: Sequence[Label], found: Sequence[Found], _: TaskSettings) -> list[Span]:
    return with_patterns(text, renamed(found[0].spans, asked), asked)


ENTITIES: Task[Sequence[Label], list[Span]] = Task(
    name="entities", query=_query, labels=_labels, read=_read, label_thresholds=True
)
