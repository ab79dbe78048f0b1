"""Two reports side by side: the difference, and whether the examples support it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glinermt.errors import DataError
from glinermt.eval.benchmarks import make_benchmark
from glinermt.eval.measure import SCORES
from glinermt.eval.metrics.entities import Counts, FloatArray, Measure
from glinermt.eval.protocol import Options
from glinermt.eval.report import read_reports
from glinermt.eval.scores import AVERAGE, ROUNDS, Metric, interval, point, replicates
from glinermt.jsonl import read_jsonl


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first, with the paired 95% bootstrap interval."""

    benchmark: str
    group: str
    metric: str
    first: float
    second: float
    difference: Metric


def compare(first: Path, second: Path, *, rounds: int = ROUNDS, seed: int = 0) -> list[Difference]:
    """Compare two output folders of ``glinermt bench`` on the benchmarks both ran.

    Raises:
        DataError: they share no benchmark, or were scored on different data.
    """
    reports = [{r.benchmark: r for r in read_reports(folder)} for folder in (first, second)]
    shared = [name for name in reports[0] if name in reports[1]]
    if not shared:
        raise DataError(f"{first} and {second} have no benchmark in common")
    differences: list[Difference] = []
    for name in shared:
        hashes = [report[name].card["data"] for report in reports]
        if hashes[0] != hashes[1]:
            raise DataError(
                f"{name}: {first} and {second} were scored on different data "
                f"({hashes[0][:12]}, {hashes[1][:12]}); run both with the same --data and --limit"
            )
        benchmark = make_benchmark(name, Options())
        scores = [_scores(folder / name / SCORES) for folder in (first, second)]
        differences += _compare(
            name, scores, benchmark.measure, averaged=benchmark.averaged, rounds=rounds, seed=seed
        )
    return differences


def _compare(
    name: str,
    scores: list[dict[str, list[Counts]]],
    measure: Measure,
    *,
    averaged: bool,
    rounds: int,
    seed: int,
) -> list[Difference]:
    rows: list[Difference] = []
    draws: dict[str, list[FloatArray]] = {}
    for group in scores[0]:
        points = [point(side[group], measure) for side in scores]
        drawn = [replicates(side[group], measure, rounds=rounds, seed=seed) for side in scores]
        for metric, value in points[0].items():
            change = drawn[1][metric] - drawn[0][metric]
            draws.setdefault(metric, []).append(change)
            other = points[1][metric]
            difference = Metric(other - value, *interval(change))
            rows.append(Difference(name, group, metric, value, other, difference))
    if averaged and len(scores[0]) > 1:
        for metric, changes in draws.items():
            mine = [row for row in rows if row.metric == metric and row.group != AVERAGE]
            ends = [
                float(np.mean([getattr(r, side) for r in mine])) for side in ("first", "second")
            ]
            spread = interval(np.mean(changes, axis=0))
            difference = Metric(ends[1] - ends[0], *spread)
            rows.append(Difference(name, AVERAGE, metric, ends[0], ends[1], difference))
    return rows


def _scores(path: Path) -> dict[str, list[Counts]]:
    groups: dict[str, list[Counts]] = {}
    for _, row in read_jsonl(path):
        groups.setdefault(row["group"], []).append(row["counts"])
    return groups
