"""A new benchmark is one file and one name in ``BENCHMARKS``: command and report know it then."""

import json
from pathlib import Path

import pytest

from glinermt.eval import benchmarks
from tests.eval.test_cli import SavableStub, call, first_word

TOY = '''
"""Whether the model finds any entity in a text, against the answer that there is always one."""

from dataclasses import dataclass

from glinermt.eval.data.cases import NerCase
from glinermt.eval.metrics.entities import ratio, total
from glinermt.eval.protocol import Entry
from glinermt.jsonl import read_jsonl
from glinermt.tasks.entities import extract_entities


@dataclass(frozen=True)
class Toy:
    name: str = "toy"
    headline: str = "accuracy"
    averaged: bool = False
    plain: frozenset[str] = frozenset({"texts"})
    protocol: tuple[str, ...] = ("Is there an entity?",)

    def load(self, folder):
        rows = read_jsonl(folder / "toy.jsonl")
        return [NerCase(str(n), "all", row["text"], ("name",), ()) for n, row in rows]

    def settings(self, saved):
        return {}

    def predict(self, model, cases):
        found = extract_entities([c.text for c in cases], ["name"], threshold=0.3, model=model)
        return [{"any": bool(spans)} for spans in found]

    def baselines(self):
        return {"always": lambda cases: [{"any": True} for _ in cases]}

    def score(self, case, prediction, settings):
        return {"right": float(prediction["any"]), "count": 1.0}

    def measure(self, totals):
        return {"accuracy": ratio(total(totals, "right"), total(totals, "count"))}

    def extras(self, cases, predictions, settings):
        return {"texts": float(len(cases)), "found": 0.25}


ENTRY = Entry(lambda options: Toy(), own_data=True)
'''


def test_a_toy_benchmark_runs_is_reported_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy.py").write_text(TOY, encoding="utf-8")
    monkeypatch.setattr(benchmarks, "__path__", [*benchmarks.__path__, str(tmp_path)])
    for place in ("glinermt.eval.benchmarks", "glinermt.eval.cli"):
        monkeypatch.setattr(f"{place}.BENCHMARKS", (*benchmarks.BENCHMARKS, "toy"))
    stub = SavableStub(first_word)
    monkeypatch.setattr("glinermt.default_model.load_extractor", lambda _: stub)
    (tmp_path / "toy.jsonl").write_text(json.dumps({"text": "Ann met Bo"}) + "\n" * 2)
    out = tmp_path / "out"
    assert "toy: always" in call("bench", "toy", "--data", tmp_path, "--out", out)
    report = (out / "report.md").read_text()
    assert "| all | model | 1 | 100.0 (100.0 to 100.0) |" in report
    assert "- texts: 1\n" in report
    assert "- found: 25.0\n" in report
    assert "accuracy" in call("bench", "compare", out, out)
