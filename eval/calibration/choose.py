"""Choosing a model's thresholds on dev data, and what that changes there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from glinermt.config import TaskSettings
from glinermt.errors import DataError
from glinermt.eval.benchmarks.ner20 import ner20
from glinermt.eval.benchmarks.squad2 import Squad2
from glinermt.eval.calibration import relation_sentences
from glinermt.eval.calibration.thresholds import (
    Judged,
    best_answer_threshold,
    best_span_threshold,
    best_temperature,
    calibration_error,
)
from glinermt.eval.data.ner import read_ner
from glinermt.eval.data.qa import read_qa
from glinermt.eval.data.relations import read_relations
from glinermt.eval.data.summaries import read_summaries
from glinermt.eval.measure import limit_cases
from glinermt.eval.metrics.answers import ScoredAnswer, exact_match
from glinermt.eval.protocol import Benchmark, Options
from glinermt.eval.scores import evaluate
from glinermt.jsonl import read_jsonl
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.run import tempered
from glinermt.types import Extractor, Overlap, Query, Span, SpanScore, Threshold

FLOOR = 0.05
"""Entities and relations below this score are not looked at."""
MIN_GOLD = 50
"""Gold spans a label needs for a threshold of its own."""
BENCHMARK_FILES = ("squad_v2.dev", "dev-v2", "squad2", "fewrel.val_wiki", "val_wiki")
"""Files whose names say dev or val, but which the benchmarks score."""
KINDS = {
    "question": "answer",
    "relations": "relations",
    "summary": "summarize",
    "highlights": "summarize",
    "spans": "entities",
    "entities": "entities",
}
"""Which task a file is for, by a field of its first row."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was chosen for one task, and its effect on the dev data it was chosen on."""

    task: str
    threshold: float
    label_thresholds: Mapping[str, float]
    temperature: float
    num_cases: int
    f1_before: float
    f1_after: float
    error_before: float
    error_after: float
    judged: Sequence[Judged]

    @property
    def helps(self) -> bool:
        """Whether the choice is better when the model is really asked under it.

        The choice is made on answers found at a low threshold; under a higher one a model may
        find others, so that it can be worse.
        """
        return self.f1_after > self.f1_before


def find_dev_files(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Give the dev files below folders, and the given files; and what was left out.

    Left out of folders are the files that benchmarks score although they are called dev or val,
    and those for none of the tasks.

    Raises:
        DataError: a given file is of a test split or scored by a benchmark, or none is left.
    """
    chosen: list[Path] = []
    refused: list[Path] = []
    for path in paths:
        if path.is_file():
            if _is_scored(path):
                raise DataError(f"{path}: benchmarks score this file; calibrate on other data")
            chosen.append(path)
            continue
        found = [file for file in sorted(path.rglob("*.jsonl*")) if "dev" in file.name.split(".")]
        for file in found:
            fits = not _is_scored(file) and _task(_first_row(file))
            (chosen if fits else refused).append(file)
    if not chosen:
        raise DataError(f"no dev file (NAME.dev.jsonl) in {', '.join(map(str, paths))}")
    return chosen, refused


def read_dev(paths: Sequence[Path], *, limit: int | None) -> dict[str, list[Any]]:
    """Read each file as the task its first row shows; at most ``limit`` cases a file.

    Raises:
        DataError: a file is empty, for none of the tasks, or cannot be read.
    """
    cases: dict[str, list[Any]] = {task: [] for task in READERS}
    for path in paths:
        row = _first_row(path)
        task = _task(row)
        if task is None:
            raise DataError(
                f"{path}: expected rows with one of {', '.join(map(repr, KINDS))}, as the "
                f"benchmarks have them and Example JSONL has not; found {list(row) or 'no row'}"
            )
        cases[task] += limit_cases(READERS[task](path, path.name.split(".")[0]), limit)
    return {task: found for task, found in cases.items() if found}


def _first_row(path: Path) -> dict[str, Any]:
    return next((row for _, row in read_jsonl(path)), {})


def _task(row: Mapping[str, Any]) -> str | None:
    """Give the task a row is for; Examples say it in words only."""
    if "labels" in row or "prompt" in row:
        return None
    return next((task for name, task in KINDS.items() if name in row), None)


def _read_sentences(path: Path, group: str) -> list[relation_sentences.SentenceCase]:
    return relation_sentences.sentences(read_relations(path, group))


READERS: Mapping[str, Callable[[Path, str], list[Any]]] = {
    "entities": read_ner,
    "answer": read_qa,
    "relations": _read_sentences,
    "summarize": read_summaries,
}


def calibrate(
    model: Extractor, dev: Mapping[str, Sequence[Any]], *, per_label: bool = True
) -> list[Calibration]:
    """Choose thresholds per task, on cases that ``read_dev`` read; the model is left as it is.

    ``per_label``: also for labels with at least ``MIN_GOLD`` gold spans. Summaries have
    none: see ``lead.choose_lead``.
    """
    chosen = []
    for task, way in WAYS.items():
        cases = dev.get(task, ())
        if not cases:
            continue
        bare = _WithSettings(model, replace(model.settings, temperatures={}))
        own_threshold, own_labels, judged = way.judge(bare, cases)
        temperature = best_temperature(judged)
        threshold = tempered(own_threshold, temperature)
        labels = {
            label: tempered(limit, temperature) for label, limit in own_labels.items() if per_label
        }
        after = [(tempered(score, temperature), right) for score, right in judged]
        changed = with_choice(model.settings, task, threshold, labels, temperature)
        chosen.append(
            Calibration(
                task,
                threshold,
                labels,
                temperature,
                num_cases=len(cases),
                f1_before=way.f1(model, cases),
                f1_after=way.f1(_WithSettings(model, changed), cases),
                error_before=calibration_error(judged),
                error_after=calibration_error(after),
                judged=judged,
            )
        )
    return chosen


def with_choice(
    settings: TaskSettings,
    task: str,
    threshold: float,
    labels: Mapping[str, float],
    temperature: float,
) -> TaskSettings:
    """Give the settings with one task's choice put in; of entities, in place of all it had."""
    return replace(
        settings,
        thresholds={**settings.thresholds, task: threshold},
        label_thresholds=dict(labels) if task == ENTITIES.name else settings.label_thresholds,
        temperatures={**settings.temperatures, task: temperature},
    )


@dataclass(frozen=True)
class _WithSettings:
    """A model under other settings."""

    model: Extractor
    settings: TaskSettings

    def extract(
        self,
        queries: Sequence[Query],
        *,
        threshold: Threshold = 0.5,
        overlap: Overlap = "flat",
        multi_label: bool = False,
        span_score: SpanScore = "mean",
    ) -> list[list[Span]]:
        return self.model.extract(
            queries,
            threshold=threshold,
            overlap=overlap,
            multi_label=multi_label,
            span_score=span_score,
        )


Choice = tuple[float, Mapping[str, float], list[Judged]]
"""The best threshold, those of single labels, and what they were chosen from."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a task's threshold is chosen, and what it is worth."""

    judge: Callable[[Extractor, Sequence[Any]], Choice]
    """Asks under a low threshold."""
    f1: Callable[[Extractor, Sequence[Any]], float]
    """Asks under the model's own settings."""


def _judge_entities(model: Extractor, cases: Sequence[Any]) -> Choice:
    by_label: dict[str, list[Judged]] = {}
    golds: dict[str, int] = {}
    predictions = ner20(Options(threshold=FLOOR)).predict(model, cases)
    for case, prediction in zip(cases, predictions, strict=True):
        gold = {(span.start, span.end, span.label) for span in case.spans}
        for _, _, label in gold:
            golds[label] = golds.get(label, 0) + 1
        for raw in prediction["spans"]:
            right = (raw["start"], raw["end"], raw["label"]) in gold
            by_label.setdefault(raw["label"], []).append((raw["score"], right))
    judged = [pair for pairs in by_label.values() for pair in pairs]
    threshold, _ = best_span_threshold(judged, sum(golds.values()))
    labels = {
        label: best_span_threshold(by_label.get(label, []), count)[0]
        for label, count in sorted(golds.items())
        if count >= MIN_GOLD and any(right for _, right in by_label.get(label, []))
    }
    return threshold, labels, judged


def _judge_answers(model: Extractor, cases: Sequence[Any]) -> Choice:
    pairs = list(zip(cases, Squad2().predict(model, cases), strict=True))
    answers = [ScoredAnswer(p["text"], p["no_answer_score"], c.answers) for c, p in pairs]
    judged = [
        (p["score"], bool(c.answers) and exact_match(p["text"], c.answers) == 1)
        for c, p in pairs
        if p["text"]
    ]
    return best_answer_threshold(answers)[0], {}, judged


def _judge_relations(model: Extractor, cases: Sequence[Any]) -> Choice:
    found = relation_sentences.find(model, cases, FLOOR)
    judged = [
        (relation.score, relation_sentences.triple(relation) in case.gold)
        for case, row in zip(cases, found, strict=True)
        for relation in row
    ]
    return best_span_threshold(judged, sum(len(case.gold) for case in cases))[0], {}, judged


def _f1(benchmark: Benchmark[Any], model: Extractor, cases: Sequence[Any]) -> float:
    """Give the mean F1 over the sets."""
    predictions = benchmark.predict(model, cases)
    settings = benchmark.settings(model.settings)
    results = evaluate(benchmark, cases, {"": predictions}, settings, rounds=1)
    return results[-1].metrics["f1"].value


WAYS = {
    "entities": Way(_judge_entities, partial(_f1, ner20(Options(threshold=None)))),
    "answer": Way(_judge_answers, partial(_f1, Squad2())),
    "relations": Way(_judge_relations, relation_sentences.f1),
}


def _is_scored(path: Path) -> bool:
    return "test" in path.name.split(".") or path.name.startswith(BENCHMARK_FILES)
