"""Bootstrap intervals: how far a number would move with other examples of the same kind."""

from collections.abc import Sequence

import numpy as np

from glinermt.eval.metrics.entities import Counts, FloatArray, Measure, add_up

ROUNDS = 1000
CHUNK = 100
"""Resamples held in memory at once."""


def point(scores: Sequence[Counts], measure: Measure) -> dict[str, float]:
    """Return the metrics of the examples as they are."""
    return {name: value.item() for name, value in measure(add_up(scores)).items()}


def replicates(
    scores: Sequence[Counts], measure: Measure, *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, FloatArray]:
    """Return each metric on ``rounds`` resamples of the examples, drawn with replacement.

    The draw depends only on ``seed`` and the number of examples, so the replicates of two systems
    scored on the same examples are paired and may be subtracted.
    """
    names = sorted({name for counts in scores for name in counts if "@" not in name})
    if not scores or not names:
        return {}
    table = np.array([[counts.get(name, 0.0) for name in names] for counts in scores], float)
    generator = np.random.default_rng(seed)
    size = len(scores)
    sums = []
    for first in range(0, rounds, CHUNK):
        weights = generator.multinomial(
            size, np.full(size, 1 / size), size=min(CHUNK, rounds - first)
        )
        sums.append(weights @ table)
    columns = np.concatenate(sums).T
    return measure(dict(zip(names, columns, strict=True)))


def interval(values: FloatArray) -> tuple[float, float]:
    """Return the 95% percentile interval of the replicates."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
