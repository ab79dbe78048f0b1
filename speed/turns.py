"""Runs the systems in turns and compares what they find."""

import copy
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from contest import Contest, Workload, quietly

from glinermt.fast.linear import has_bf16
from glinermt.model import GlinerMT
from glinermt.types import Query

Found = list[dict[tuple[int, int, str], float]]
"""For each text: score of each place and label."""
Run = Callable[[Sequence[str], Sequence[str], float], Found]
OURS, OURS_BF16, OURS_INT8 = "glinermt", "glinermt bf16", "glinermt int8"
THEIR_8, THEIR_1 = "gliner, batch 8", "gliner, batch 1"
THEIR_BF16, THEIR_INT8 = "gliner bf16, batch 1", "gliner int8, batch 1"
ROUNDED = (OURS_BF16, OURS_INT8, THEIR_BF16, THEIR_INT8)
_TOLERANCE = 2e-4


@dataclass(frozen=True)
class Row:
    """One system on one workload."""

    model: str
    labels: int
    workload: str
    system: str
    words: int
    cpu_seconds: float
    wall_seconds: float
    cpu_ratio: float
    """Median over turns of this system's CPU time by that of ``glinermt``."""
    cpu_ratio_low: float
    cpu_ratio_high: float
    same_answers: bool | None
    """Whether the spans are those of the package; None for the systems that round."""


def systems(contest: Contest, *, rounded: bool = True) -> dict[str, Run]:
    """Load every system that takes part, by name; ours first, bf16 where the processor has it."""
    runs: dict[str, Run] = {OURS: ours(contest.ours())}
    package = contest.theirs()
    if rounded and has_bf16():
        runs[OURS_BF16] = ours(contest.ours("bf16"))
        runs[THEIR_BF16] = theirs(copy.deepcopy(package).to(torch.bfloat16), 1)
    if rounded:
        runs[OURS_INT8] = ours(contest.ours("int8"))
        quantized = copy.deepcopy(package)
        quietly(quantized.quantize)("int8")
        runs[THEIR_INT8] = theirs(quantized, 1)
    runs[THEIR_1] = theirs(package, 1)
    runs[THEIR_8] = theirs(package, 8)
    return runs


def measure(
    model: str,
    runs: dict[str, Run],
    workload: Workload,
    labels: Sequence[str],
    *,
    threshold: float,
    turns: int,
) -> list[Row]:
    """Return a row a system, from ``turns`` turns after one that does not count."""
    if workload.one_by_one:
        runs = {name: run for name, run in runs.items() if name != THEIR_8}
    found: dict[str, Found] = {}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    wall: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            gc.collect()
            start = time.process_time(), time.perf_counter()
            found[name] = _answers(run, workload, labels, threshold)
            if turn:
                cpu[name].append(time.process_time() - start[0])
                wall[name].append(time.perf_counter() - start[1])
    reference = found[THEIR_1]
    rows = []
    for name in runs:
        ratios = sorted(a / b for a, b in zip(cpu[name], cpu[OURS], strict=True))
        same = None if name in ROUNDED else not disagreements(found[name], reference, threshold)
        rows.append(
            Row(
                model, len(labels), workload.name, name, workload.num_words,
                statistics.median(cpu[name]), statistics.median(wall[name]),
                statistics.median(ratios), ratios[0], ratios[-1], same,
            )
        )  # fmt: skip
    return rows


def usual_threshold(run: Run, texts: Sequence[str], labels: Sequence[str]) -> float:
    """Return a threshold at which about one word in eight begins a span.

    Random weights know no 0.5; where each word is an entity, decoding would be all that is
    measured.
    """
    found = run(texts, labels, 0.02)
    scores = sorted((s for spans in found for s in spans.values()), reverse=True)
    wanted = sum(len(text.split()) for text in texts) // 8
    return 0.5 if len(scores) <= wanted else min(0.95, scores[wanted])


def disagreements(ours: Found, theirs: Found, threshold: float) -> list[str]:
    """Say what only one found, or scored otherwise; a score at the threshold may go either way."""
    problems = []
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        for place in sorted(a.keys() | b.keys()):
            one, other = a.get(place, 0.0), b.get(place, 0.0)
            near = place not in a or place not in b
            if near and abs(max(one, other) - threshold) < _TOLERANCE:
                continue
            if abs(one - other) > _TOLERANCE:
                problems.append(f"text {i}, {place}: {one:.5f} and {other:.5f}")
    return problems


def _answers(run: Run, workload: Workload, labels: Sequence[str], threshold: float) -> Found:
    if not workload.one_by_one:
        return run(workload.texts, labels, threshold)
    return [spans for text in workload.texts for spans in run([text], labels, threshold)]


def ours(model: GlinerMT) -> Run:
    """Return our model as a system."""

    def run(texts: Sequence[str], labels: Sequence[str], threshold: float) -> Found:
        queries = [Query(text, tuple(labels)) for text in texts]
        found = model.extract(queries, threshold=threshold, span_score="min")
        return [{(s.start, s.end, s.label): s.score for s in spans} for spans in found]

    return run


def theirs(model: object, batch_size: int) -> Run:
    """Return the package's model as a system."""
    infer = quietly(model.inference)  # type: ignore[attr-defined]

    def run(texts: Sequence[str], labels: Sequence[str], threshold: float) -> Found:
        found = infer(list(texts), list(labels), threshold=threshold, batch_size=batch_size)
        return [{(s["start"], s["end"], s["label"]): s["score"] for s in spans} for spans in found]

    return run
