"""Examples worth more: of rare labels, and those in which the model sees what is not there."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from glinermt.training.data.label_pool import count_example_labels
from glinermt.training.dev_scores import predict
from glinermt.types import Example, Extractor, Span


def repeated(examples: Sequence[Example], share: float, *, seed: int) -> list[Example]:
    """Return the examples, those with a rare label several times (Gupta et al. 2019, LVIS).

    A label is rare where fewer than ``share`` of the examples have a span of it. An example comes
    ``sqrt(share / its rarest label's share)`` times; a fraction is a chance.
    """
    counts = count_example_labels(examples)
    rng = random.Random(f"{seed}:repeated")
    rows = []
    for example in examples:
        rarest = min((counts[s.label] for s in example.spans if counts[s.label]), default=0)
        factor = math.sqrt(share * len(examples) / rarest) if rarest else 1.0
        whole, part = divmod(max(1.0, factor), 1.0)
        rows += [example] * (int(whole) + (rng.random() < part))
    return rows


def false_positives(
    model: Extractor, examples: Sequence[Example], *, threshold: float | None = None
) -> list[Example]:
    """Return the examples in which the model finds spans that are not gold.

    Each asks for the labels of these, and for those of its gold spans, and for no others.
    """
    found = predict(model, examples, threshold=threshold)
    rows = []
    for example, spans in zip(examples, found, strict=True):
        gold = {(span.start, span.end, span.label) for span in example.spans}
        wrong = {
            span.label
            for span in spans
            if (span.start, span.end, span.label) not in gold and not _is_silent(span, example)
        }
        if wrong:
            kept = wrong | {span.label for span in example.spans}
            labels = tuple(label for label in example.query.labels if label in kept)
            rows.append(replace(example, query=replace(example.query, labels=labels)))
    return rows


def _is_silent(span: Span, example: Example) -> bool:
    return any(span.start < end and start < span.end for start, end in example.silent)
