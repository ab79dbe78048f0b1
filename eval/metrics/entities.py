"""Span metrics: what one example counts, and what summed counts amount to.

A count's name is ``scheme/kind`` or, for one label, ``scheme/kind@label``. Schemes: ``strict``
(same characters, same label), ``partial`` (same label, one shared character is enough, each span
matched at most once), ``token`` (every word of a span counts alone). Duplicate spans count once.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from glinermt.types import Span

FloatArray = NDArray[np.float64]
Counts = Mapping[str, float]
Totals = Mapping[str, FloatArray]
Measure = Callable[[Totals], dict[str, FloatArray]]

KINDS = ("right", "predicted", "gold")


def span_counts(text: str, gold: Sequence[Span], predicted: Sequence[Span]) -> dict[str, float]:
    """Count one example under all three schemes, in all and per label."""
    counts: Counter[str] = Counter()
    gold, predicted = _distinct(gold), _distinct(predicted)
    for label in sorted({span.label for span in (*gold, *predicted)}):
        golds = [span for span in gold if span.label == label]
        guesses = [span for span in predicted if span.label == label]
        strict = {(s.start, s.end) for s in golds} & {(s.start, s.end) for s in guesses}
        gold_words, guessed_words = _word_indices(text, golds), _word_indices(text, guesses)
        triples = (
            ("strict", len(strict), len(guesses), len(golds)),
            ("partial", num_matched(golds, guesses), len(guesses), len(golds)),
            (
                "token",
                len(gold_words & guessed_words),
                len(guessed_words),
                len(gold_words),
            ),
        )
        for scheme, *values in triples:
            for kind, value in zip(KINDS, values, strict=True):
                counts[f"{scheme}/{kind}"] += value
                counts[f"{scheme}/{kind}@{label}"] += value
    return dict(counts)


def strict_f1(gold: Iterable[Iterable[Hashable]], predicted: Iterable[Iterable[Hashable]]) -> float:
    """Return the micro F1 of what each example has and what was found in it, equal or not.

    What stands twice in an example counts once; without anything in either it is 0.
    """
    right = number = 0
    for golds, guesses in zip(gold, predicted, strict=True):
        has, found = set(golds), set(guesses)
        right += len(has & found)
        number += len(has) + len(found)
    return 2 * right / number if number else 0.0


def span_f1(gold: Iterable[Iterable[Span]], predicted: Iterable[Iterable[Span]]) -> float:
    """Return the strict micro F1 of spans: same characters, same label."""
    return strict_f1(map(_places, gold), map(_places, predicted))


def _places(spans: Iterable[Span]) -> set[tuple[int, int, str]]:
    return {(span.start, span.end, span.label) for span in spans}


def num_matched(gold: Sequence[Span], predicted: Sequence[Span]) -> int:
    """Return the size of the largest one-to-one matching of overlapping spans."""
    owner: dict[int, int] = {}

    def place(guess: int, seen: set[int]) -> bool:
        for index, span in enumerate(gold):
            if index in seen or not span.overlaps(predicted[guess]):
                continue
            seen.add(index)
            if index not in owner or place(owner[index], seen):
                owner[index] = guess
                return True
        return False

    return sum(place(guess, set()) for guess in range(len(predicted)))


def precision_recall_f1(
    totals: Totals, scheme: str, label: str = ""
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return precision, recall and F1 of summed counts; 0 where there is nothing to divide by."""
    suffix = f"@{label}" if label else ""
    right, predicted, gold = (total(totals, f"{scheme}/{kind}{suffix}") for kind in KINDS)
    return (
        ratio(right, predicted),
        ratio(right, gold),
        ratio(2 * right, predicted + gold),
    )


def span_measure(totals: Totals) -> dict[str, FloatArray]:
    """Return micro precision, recall and F1 (strict), and the partial and token F1."""
    precision, recall, f1 = precision_recall_f1(totals, "strict")
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "partial_f1": precision_recall_f1(totals, "partial")[2],
        "token_f1": precision_recall_f1(totals, "token")[2],
    }


def label_table(scores: Sequence[Counts], labels: Sequence[str]) -> list[dict[str, object]]:
    """Return a row a label: strict precision, recall, F1, and how many are gold and predicted."""
    totals = add_up(scores)
    rows: list[dict[str, object]] = []
    for label in labels:
        precision, recall, f1 = precision_recall_f1(totals, "strict", label)
        rows.append(
            {
                "label": label,
                "precision": precision.item(),
                "recall": recall.item(),
                "f1": f1.item(),
                "gold": int(total(totals, f"strict/gold@{label}").item()),
                "predicted": int(total(totals, f"strict/predicted@{label}").item()),
            }
        )
    return rows


def add_up(scores: Sequence[Counts]) -> dict[str, FloatArray]:
    """Sum the counts of many examples; each sum is an array of one."""
    totals: Counter[str] = Counter()
    for counts in scores:
        for name, value in counts.items():
            totals[name] += value  # type: ignore[assignment]  # Counter is typed for int
    return {name: np.array([float(value)]) for name, value in totals.items()}


def total(totals: Totals, name: str) -> FloatArray:
    """Return a sum; 0 for a count that no example has."""
    if name in totals:
        return totals[name]
    shape = next(iter(totals.values())).shape if totals else (1,)
    return np.zeros(shape)


def ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Divide; 0 where ``whole`` is 0."""
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)


def _distinct(spans: Sequence[Span]) -> list[Span]:
    found: dict[Hashable, Span] = {(s.start, s.end, s.label): s for s in spans}
    return list(found.values())


def _word_indices(text: str, spans: Sequence[Span]) -> set[int]:
    return {
        index
        for index, word in enumerate(re.finditer(r"\S+", text))
        if any(word.start() < span.end and span.start < word.end() for span in spans)
    }
