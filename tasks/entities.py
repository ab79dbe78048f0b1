"""Named entity recognition: labelled spans, by default without any prompt."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from glinermt.default_model import load_extractor
from glinermt.tasks.inputs import Argument, by_shape, shaped
from glinermt.tasks.labels import Label, LabelSpec, is_one_spec, read_labels
from glinermt.tasks.run import ask, default_threshold, wording
from glinermt.types import Example, Extractor, Overlap, Query, Span

TASK = "entities"
THRESHOLD = 0.5


@by_shape
def extract_entities(
    text: str | Iterable[str],
    labels: LabelSpec | Iterable[LabelSpec],
    *,
    threshold: float | None = None,
    overlap: Overlap = "flat",
    multi_label: bool = False,
    model: Extractor | str | Path | None = None,
) -> list[Span]:
    """Find the entities of the given types, every mention of each, in the order of the text.

    Args:
        text: one text, a list of texts (a list is given back), or any other iterable (a lazy
            iterator is given back).
        labels: names, ``{name: description}``, or ``{name: {"description", "threshold"}}``; for
            all texts, or one such for each.
        threshold: least score, for labels without one of their own; None = the model's, else 0.5.
        overlap: ``flat`` or ``nested``.
        multi_label: allow one span several labels.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or labels are no strings.
        ValueError: an empty label, a threshold outside [0, 1], or numbers that do not match.
    """
    extractor = load_extractor(model)

    def run(texts: list[str], rows: list[tuple[LabelSpec]]) -> list[list[Span]]:
        labels_of = [read_labels(spec) for (spec,) in rows]
        prompt = wording(extractor.settings.prompts, TASK, "")
        queries = [
            Query(t, tuple(label.asked for label in found), prompt)
            for t, found in zip(texts, labels_of, strict=True)
        ]
        thresholds = [
            {label.asked: label_threshold(extractor, label, threshold) for label in found}
            for found in labels_of
        ]
        results = ask(
            extractor, TASK, queries, thresholds, overlap=overlap, multi_label=multi_label
        )
        return [renamed(spans, found) for spans, found in zip(results, labels_of, strict=True)]

    return shaped(text, [Argument("labels", labels, is_one_spec(labels))], run)


def example(text: str, spans: Iterable[Span], labels: Sequence[str]) -> Example:
    """Make the training example; labels without a span are negatives."""
    return Example(Query(text, tuple(labels)), tuple(spans))


def label_threshold(model: Extractor, label: Label, given: float | None) -> float:
    """Give a label's threshold: its own, the caller's, the model's for it, for the task, 0.5."""
    if label.threshold is not None:
        return label.threshold
    if given is None and label.name in model.settings.label_thresholds:
        return model.settings.label_thresholds[label.name]
    return default_threshold(model, TASK, given, THRESHOLD)


def renamed(spans: Iterable[Span], labels: Iterable[Label]) -> list[Span]:
    """Give the spans the names the user knows their labels by."""
    names = {label.asked: label.name for label in labels}
    return [replace(span, label=names[span.label]) for span in spans]
