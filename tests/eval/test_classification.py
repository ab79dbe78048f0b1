"""Classification on made files: one label a text, several, or none."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from glinermt.config import TaskSettings
from glinermt.errors import DataError
from glinermt.eval.benchmarks import make_benchmark
from glinermt.eval.measure import MODEL, bench
from glinermt.eval.protocol import Options
from glinermt.eval.report import Report
from glinermt.types import Ask, Found, Query
from tests.stub import StubExtractor

SINGLE = [
    {"text": "I want my money back", "labels": ["refund"]},
    {"text": "Where is my parcel, the greeting said today", "labels": ["delivery"]},
    {"text": "The refund has come, thanks", "labels": ["greeting"]},
    {"text": "Please refund it", "labels": ["refund"]},
]
SEVERAL = [
    {"text": "Great food, rude waiter", "labels": ["praise", "complaint"]},
    {"text": "The menu has four pages", "labels": []},
]


class Classifier(StubExtractor):
    """A model with a class head whose logits are scripted by text."""

    kinds = frozenset({"spans", "classes"})

    def __init__(self, logits: dict[str, dict[str, float]]) -> None:
        super().__init__(lambda _: [], TaskSettings())
        self.logits = logits

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:  # noqa: ARG002
        return [
            Found(classes={n: self.logits.get(q.text, {}).get(n, -5.0) for n in q.classes})
            for q in queries
        ]


def write(folder: Path, **sets: list[dict[str, Any]]) -> None:
    for name, rows in sets.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.test.jsonl").write_text(text, encoding="utf-8")


def measured(folder: Path, model: StubExtractor) -> Report:
    benchmark = make_benchmark("classification", Options())
    cases = benchmark.load(folder)
    return bench(benchmark, model, cases, folder / "out", model_name="s", model_id="s")


def value(report: Report, group: str, metric: str, system: str = MODEL) -> float:
    rows = {(row.group, row.system): row for row in report.results}
    return rows[group, system].metrics[metric].value


def test_who_knows_all_labels_has_all_right(tmp_path: Path) -> None:
    write(tmp_path, single=SINGLE, several=SEVERAL)
    right = {row["text"]: dict.fromkeys(row["labels"], 5.0) for row in [*SINGLE, *SEVERAL]}
    report = measured(tmp_path, Classifier(right))
    for group in ("single", "several", "average"):
        for metric in ("accuracy", "macro_f1", "micro_f1"):
            assert value(report, group, metric) == 1.0


def test_wrong_labels_are_counted_by_hand(tmp_path: Path) -> None:
    write(tmp_path, single=SINGLE)
    always = {row["text"]: {"refund": 5.0} for row in SINGLE}
    report = measured(tmp_path, Classifier(always))
    assert value(report, "single", "accuracy") == value(report, "single", "micro_f1") == 0.5
    # F1 of refund is 2*2/(4+2); the two others have none.
    assert value(report, "single", "macro_f1") == pytest.approx(2 / 3 / 3)
    assert value(report, "single", "accuracy", "most frequent") == 0.5
    # "refund" and "greeting" are named where they are wrong.
    assert value(report, "single", "accuracy", "named in the text") == 0.5


def test_a_text_without_any_label_is_right_when_none_is_given(tmp_path: Path) -> None:
    write(tmp_path, several=SEVERAL)
    report = measured(tmp_path, Classifier({}))
    assert value(report, "several", "accuracy") == 0.5
    assert value(report, "several", "micro_f1") == 0.0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "a"}, r"x\.test\.jsonl:1: expected a field 'labels'"),
        ({"text": " ", "labels": ["a"]}, r"x\.test\.jsonl:1: the text is empty"),
        ({"text": "a", "labels": [""]}, r"x\.test\.jsonl:1: labels should be non-empty strings"),
        ({"text": "a", "labels": ["b"]}, "1 classes in 1 texts; two are needed"),
    ],
)
def test_bad_rows_are_named(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    write(tmp_path, x=[row])
    with pytest.raises(DataError, match=message):
        make_benchmark("classification", Options()).load(tmp_path)
