"""Classification on any folder of texts with labels, one or several a text, or none."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glinermt.config import TaskSettings
from glinermt.errors import DataError
from glinermt.eval.data.cases import ClassCase
from glinermt.eval.data.readers import field, find_test_sets
from glinermt.eval.metrics.entities import FloatArray, Totals, ratio, total
from glinermt.eval.protocol import Baseline, Entry, Prediction
from glinermt.jsonl import JSONL_ENDS, read_jsonl
from glinermt.tasks.classification import CLASSIFY, classify
from glinermt.types import Extractor


@dataclass(frozen=True)
class ClassBenchmark:
    """Each file is a set; every text is asked all classes of its file."""

    name: str = "classification"
    headline: str = "accuracy"
    averaged: bool = True
    plain: frozenset[str] = frozenset()
    protocol: tuple[str, ...] = (
        "Every file below the folder that is called NAME.test or test is a set: JSON lines "
        "with text and labels. Every text is asked all labels of its file, zero-shot.",
        "Where each text of a set has one label, the likeliest is the answer (softmax). Else all "
        "labels at or above the threshold saved with the model (0.5 if none) are (sigmoid).",
        "accuracy: the very labels of the text, no more and no less. micro_f1 over all labels "
        "given; macro_f1 is the mean over the labels that occur.",
        "most frequent: the labels that most texts of the set have. named in the text: the labels "
        "whose words stand in the text, else the most frequent.",
    )

    def load(self, folder: Path) -> list[ClassCase]:
        found = find_test_sets(folder, JSONL_ENDS)
        return [case for path, name in found for case in read_classes(path, name)]

    def settings(self, saved: TaskSettings) -> dict[str, Any]:
        return {"threshold": saved.thresholds.get(CLASSIFY.name, CLASSIFY.threshold)}

    def predict(self, model: Extractor, cases: Sequence[ClassCase]) -> list[Prediction]:
        found: dict[str, Prediction] = {}
        for multi_label in (False, True):
            chosen = [case for case in cases if case.several == multi_label]
            answers = classify(
                [case.text for case in chosen],
                [list(case.labels) for case in chosen],
                multi_label=multi_label,
                model=model,
            )
            for case, answer in zip(chosen, answers, strict=True):
                found[case.id] = {"labels": list(answer.labels)}
        return [found[case.id] for case in cases]

    def baselines(self) -> Mapping[str, Baseline]:
        return {"most frequent": _most_frequent, "named in the text": _named}

    def score(
        self,
        case: ClassCase,
        prediction: Prediction,
        settings: Mapping[str, Any],  # noqa: ARG002  # the threshold has acted already
    ) -> dict[str, float]:
        given = set(prediction["labels"])
        return {
            "texts": 1,
            "exact": float(given == case.classes),
            **{f"gold:{name}": 1 for name in case.classes},
            **{f"given:{name}": 1 for name in given},
            **{f"right:{name}": 1 for name in given & case.classes},
        }

    def measure(self, totals: Totals) -> dict[str, FloatArray]:
        names = [name.removeprefix("gold:") for name in totals if name.startswith("gold:")]
        others = [
            name
            for name in totals
            if name.startswith("given:") and name.removeprefix("given:") not in names
        ]
        gold, given, right = (
            np.array([total(totals, f"{kind}:{name}") for name in names])
            for kind in ("gold", "given", "right")
        )
        there = gold > 0
        wrong = sum((total(totals, name) for name in others), start=np.zeros(gold.shape[1:]))
        return {
            "accuracy": ratio(total(totals, "exact"), total(totals, "texts")),
            "macro_f1": ratio(
                (there * ratio(2 * right, gold + given)).sum(0), there.sum(0).astype(float)
            ),
            "micro_f1": ratio(2 * right.sum(0), gold.sum(0) + given.sum(0) + wrong),
        }

    def extras(
        self,
        cases: Sequence[ClassCase],
        predictions: Sequence[Prediction],
        settings: Mapping[str, Any],  # noqa: ARG002  # the threshold has acted already
    ) -> dict[str, Any]:
        counts: dict[str, Counter[str]] = {}
        for case, prediction in zip(cases, predictions, strict=True):
            own = counts.setdefault(case.group, Counter())
            own.update(f"gold {name}" for name in case.classes)
            own.update(f"given {name}" for name in prediction["labels"])
            own.update(f"right {name}" for name in case.classes & set(prediction["labels"]))
        labels = {case.group: case.labels for case in cases}
        return {"labels": {g: [_row(own, name) for name in labels[g]] for g, own in counts.items()}}


def _row(counts: Mapping[str, int], name: str) -> dict[str, Any]:
    right, given, gold = (counts.get(f"{kind} {name}", 0) for kind in ("right", "given", "gold"))
    f1 = 2 * right / (given + gold) if given + gold else 0.0
    return {"label": name, "f1": f1, "gold": gold, "given": given}


def _usual(cases: Sequence[ClassCase]) -> dict[str, list[str]]:
    """Return the labels that most texts of each set have, together."""
    counts: dict[str, Counter[tuple[str, ...]]] = {}
    for case in cases:
        counts.setdefault(case.group, Counter())[tuple(sorted(case.classes))] += 1
    return {group: list(own.most_common(1)[0][0]) for group, own in counts.items()}


def _most_frequent(cases: Sequence[ClassCase]) -> list[Prediction | None]:
    usual = _usual(cases)
    return [{"labels": usual[case.group]} for case in cases]


def _named(cases: Sequence[ClassCase]) -> list[Prediction | None]:
    usual = _usual(cases)
    predictions: list[Prediction | None] = []
    for case in cases:
        words = f" {' '.join(_words(case.text))} "
        named = [name for name in case.labels if f" {' '.join(_words(name))} " in words]
        named = named if case.several else named[:1]
        predictions.append({"labels": named or usual[case.group]})
    return predictions


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


ENTRY = Entry(lambda _: ClassBenchmark(), own_data=True)


def read_classes(path: Path, group: str) -> list[ClassCase]:
    """Read every text of the file; each case carries the file's full list of classes.

    Raises:
        DataError: a row without text or labels, or fewer than two classes in the file.
    """
    cases = []
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        text, given = field(row, "text", str, where), field(row, "labels", list, where)
        if not text.strip():
            raise DataError(f"{where}: the text is empty")
        if not all(isinstance(name, str) and name.strip() for name in given):
            raise DataError(f"{where}: labels should be non-empty strings, got {given!r:.80}")
        cases.append(ClassCase(f"{group}/{number}", group, text, (), frozenset(given)))
    labels = tuple(sorted({name for case in cases for name in case.classes}))
    if len(labels) < 2:
        raise DataError(f"{path}: {len(labels)} classes in {len(cases)} texts; two are needed")
    several = any(len(case.classes) != 1 for case in cases)
    return [replace(case, labels=labels, several=several) for case in cases]
