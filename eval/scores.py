"""Predictions to numbers: every group and system, with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glinermt.eval.metrics.entities import Counts, FloatArray, Measure, add_up
from glinermt.eval.protocol import Benchmark, Prediction

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
    scored on the same examples are paired and may be subtracted. Where nothing was counted in any
    example, every resample has the metrics of nothing.
    """
    names = sorted({name for counts in scores for name in counts if "@" not in name})
    if not names:
        return {name: np.full(rounds, value) for name, value in point(scores, measure).items()}
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


AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class Metric:
    """A number and its 95% bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the table."""

    group: str
    system: str
    num_cases: int
    metrics: Mapping[str, Metric]


def groups_of(cases: Sequence[Any], scores: Sequence[Counts | None]) -> dict[str, list[Counts]]:
    """Put the scores of each group together; None is left out."""
    groups: dict[str, list[Counts]] = {}
    for case, counts in zip(cases, scores, strict=True):
        if counts is not None:
            groups.setdefault(case.group, []).append(counts)
    return groups


def summarise(
    system: str,
    groups: Mapping[str, Sequence[Counts]],
    measure: Measure,
    *,
    averaged: bool,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> list[Result]:
    """Return a row a group, and the mean over groups last when there are several."""
    results = []
    points: list[dict[str, float]] = []
    draws: list[dict[str, FloatArray]] = []
    for group, scores in groups.items():
        points.append(point(scores, measure))
        draws.append(replicates(scores, measure, rounds=rounds, seed=seed))
        results.append(Result(group, system, len(scores), _metrics(points[-1], draws[-1])))
    if averaged and len(results) > 1:
        mean = {name: float(np.mean([p[name] for p in points])) for name in points[0]}
        drawn = {name: np.mean([d[name] for d in draws], axis=0) for name in draws[0]}
        total = sum(result.num_cases for result in results)
        results.append(Result(AVERAGE, system, total, _metrics(mean, drawn)))
    return results


def evaluate(
    benchmark: Benchmark[Any],
    cases: Sequence[Any],
    systems: Mapping[str, Sequence[Prediction | None]],
    settings: Mapping[str, Any],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> list[Result]:
    """Score every system's predictions for the cases."""
    results = []
    for system, predictions in systems.items():
        scores = [
            None if prediction is None else benchmark.score(case, prediction, settings)
            for case, prediction in zip(cases, predictions, strict=True)
        ]
        results += summarise(
            system,
            groups_of(cases, scores),
            benchmark.measure,
            averaged=benchmark.averaged,
            rounds=rounds,
            seed=seed,
        )
    return results


def _metrics(values: Mapping[str, float], drawn: Mapping[str, FloatArray]) -> dict[str, Metric]:
    return {name: Metric(value, *interval(drawn[name])) for name, value in values.items()}
