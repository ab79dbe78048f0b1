"""The benchmark both ``crossner`` and ``ner20`` are: fixed label lists, strict span scores."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.config import TaskSettings
from glinermt.eval.data.cases import NerCase
from glinermt.eval.metrics.entities import (
    FloatArray,
    Totals,
    label_table,
    span_counts,
    span_measure,
)
from glinermt.eval.protocol import Baseline, Prediction
from glinermt.tasks.entities import ENTITIES, extract_entities
from glinermt.types import Extractor, Span


@dataclass(frozen=True)
class EntityBenchmark:
    """Entities of sets with a fixed label list each."""

    name: str
    protocol: tuple[str, ...]
    read: Callable[[Path], list[NerCase]]
    threshold: float | None
    choices: Mapping[str, Any]
    headline: str = "f1"
    averaged: bool = True
    plain: frozenset[str] = frozenset()

    def load(self, folder: Path) -> list[NerCase]:
        return self.read(folder)

    def settings(self, saved: TaskSettings) -> dict[str, Any]:
        thresholds: dict[str, Any] = {"threshold": self.threshold}
        if self.threshold is None:
            thresholds = {
                "threshold": saved.thresholds.get(ENTITIES.name, ENTITIES.threshold),
                "label_thresholds": dict(saved.label_thresholds),
            }
        return {**thresholds, "span_score": saved.span_score, **self.choices}

    def predict(self, model: Extractor, cases: Sequence[NerCase]) -> list[Prediction]:
        predictions: list[Prediction] = []
        for group in _runs(cases):
            found = extract_entities(
                [case.text for case in group],
                [list(case.labels) for case in group],
                threshold=self.threshold,
                overlap="nested" if any(case.nested for case in group) else "flat",
                model=model,
            )
            predictions.extend({"spans": [span.to_dict() for span in spans]} for spans in found)
        return predictions

    def baselines(self) -> Mapping[str, Baseline]:
        return {"capitalised words": capitalised_words}

    def score(
        self,
        case: NerCase,
        prediction: Prediction,
        settings: Mapping[str, Any],  # noqa: ARG002  # the thresholds have acted already
    ) -> dict[str, float]:
        return span_counts(case.text, case.spans, _spans(prediction))

    def measure(self, totals: Totals) -> dict[str, FloatArray]:
        return span_measure(totals)

    def extras(
        self,
        cases: Sequence[NerCase],
        predictions: Sequence[Prediction],
        settings: Mapping[str, Any],
    ) -> dict[str, Any]:
        tables: dict[str, Any] = {}
        for name in dict.fromkeys(case.group for case in cases):
            pairs = [pair for pair in zip(cases, predictions, strict=True) if pair[0].group == name]
            counts = [self.score(case, prediction, settings) for case, prediction in pairs]
            tables[name] = label_table(counts, pairs[0][0].labels)
        return {"labels": tables}


def capitalised_words(cases: Sequence[NerCase]) -> list[Prediction | None]:
    """Take each run of capitalised words for an entity of its set's most frequent gold label."""
    gold: dict[str, Counter[str]] = {}
    for case in cases:
        gold.setdefault(case.group, Counter()).update(span.label for span in case.spans)
    usual = {group: counts.most_common(1)[0][0] if counts else "" for group, counts in gold.items()}
    return [
        {
            "spans": [
                span.to_dict()
                for span in capitalised(case.text, usual[case.group] or case.labels[0])
            ]
        }
        for case in cases
    ]


def capitalised(text: str, label: str) -> list[Span]:
    """Return each run of capitalised words as a span of the label."""
    runs = re.finditer(r"(?<!\S)[A-Z]\S*(?: [A-Z]\S*)*", text)
    return [Span(run.start(), run.end(), run.group(), label) for run in runs]


def _spans(prediction: Prediction) -> list[Span]:
    return [Span.from_dict(span) for span in prediction["spans"]]


def _runs(cases: Sequence[NerCase]) -> list[list[NerCase]]:
    """Split into runs of cases of one group, which share labels."""
    runs: list[list[NerCase]] = []
    for case in cases:
        if not runs or runs[-1][0].group != case.group:
            runs.append([])
        runs[-1].append(case)
    return runs
