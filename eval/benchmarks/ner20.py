"""Any folder of entity sets: the 20-set and UniversalNER benchmarks, MultiCoNER's languages."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.config import TaskSettings
from glinermt.eval.data.cases import NerCase
from glinermt.eval.data.readers import find_test_sets, read_ner
from glinermt.eval.metrics.entities import (
    Counts,
    FloatArray,
    Totals,
    label_table,
    span_counts,
    span_measure,
)
from glinermt.eval.protocol import Baseline, Benchmark, Entry, Options, Prediction
from glinermt.jsonl import PACKED
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
        return {"labels": label_tables(self, cases, predictions, settings)}


def label_tables(
    benchmark: Benchmark[NerCase],
    cases: Sequence[NerCase],
    predictions: Sequence[Prediction],
    settings: Mapping[str, Any],
) -> dict[str, list[dict[str, object]]]:
    """Return a table of its labels for each set."""
    counts: dict[str, list[Counts]] = {}
    for case, prediction in zip(cases, predictions, strict=True):
        counts.setdefault(case.group, []).append(benchmark.score(case, prediction, settings))
    labels = {case.group: case.labels for case in cases}
    return {group: label_table(own, labels[group]) for group, own in counts.items()}


def capitalised_words(cases: Sequence[NerCase]) -> list[Prediction | None]:
    """Take each run of capitalised words for an entity of its set's most frequent gold label."""
    usual = usual_labels(cases)
    return [
        {"spans": [span.to_dict() for span in capitalised(case.text, usual[case.group])]}
        for case in cases
    ]


def usual_labels(cases: Sequence[NerCase]) -> dict[str, str]:
    """Return the most frequent gold label of each set; its first label where no case has one."""
    first = {case.group: case.labels[0] for case in cases}
    gold: dict[str, Counter[str]] = {group: Counter() for group in first}
    for case in cases:
        gold[case.group].update(span.label for span in case.spans)
    return {
        group: max(counts, key=counts.__getitem__, default=first[group])
        for group, counts in gold.items()
    }


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


ENDS = tuple(
    f"{end}{packed}" for end in (".jsonl", ".txt", ".bio", ".conll", ".iob2") for packed in PACKED
)


def ner20(options: Options) -> EntityBenchmark:
    """Return the benchmark."""
    return EntityBenchmark(
        name="ner20",
        protocol=(
            "Every file below the folder that is called NAME.test or test is a set, CoNLL/BIO "
            "columns or JSONL; tokens joined by one space.",
            "Every text is asked all labels its whole file has, as they are written there.",
            "Sets with overlapping gold spans are asked for nested spans.",
            "A span is right if its characters and label are (strict); micro P/R/F1 a set, and "
            "the plain mean over the sets.",
        ),
        read=_read,
        threshold=options.threshold,
        choices={},
    )


def _read(folder: Path) -> list[NerCase]:
    found = find_test_sets(folder, ENDS)
    return [case for path, name in found for case in read_ner(path, name)]


ENTRY = Entry(ner20, own_data=True, options=("threshold",))
