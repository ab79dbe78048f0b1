"""Recall of personal data at a precision, worked out by hand on rows in Presidio's form."""

import json
from pathlib import Path
from typing import Any

import pytest

from glinermt.errors import DataError
from glinermt.eval.benchmarks import make_benchmark
from glinermt.eval.measure import MODEL, bench
from glinermt.eval.protocol import Options
from glinermt.types import Query
from tests.stub import StubExtractor


def row(text: str, *spans: tuple[str, str]) -> dict[str, Any]:
    return {
        "full_text": text,
        "spans": [
            {
                "entity_type": tag,
                "entity_value": value,
                "start_position": text.index(value),
                "end_position": text.index(value) + len(value),
            }
            for value, tag in spans
        ],
    }


ROWS = [
    row("Mail ann@acme.com or Ann Lee", ("ann@acme.com", "EMAIL_ADDRESS"), ("Ann Lee", "PERSON")),
    row("My number is 555-0199", ("555-0199", "PHONE_NUMBER")),
    row("Nothing personal in Rome"),
]


def script(query: Query) -> list[tuple[str, str, float]]:
    """Find a mail at 0.9, a name at 0.6, a wrong place at 0.55 and a number at 0.2."""
    found = [
        ("ann@acme.com", "email address", 0.9), ("Ann Lee", "person", 0.6),
        ("Rome", "person", 0.55), ("555-0199", "phone number", 0.2),
    ]  # fmt: skip
    return [each for each in found if each[0] in query.text]


def measured(folder: Path) -> dict[str, float]:
    benchmark = make_benchmark("pii", Options())
    cases = benchmark.load(folder)
    report = bench(
        benchmark, StubExtractor(script), cases, folder / "out", model_name="s", model_id="s"
    )
    assert report.extras["labels"]["presidio"][0]["label"] == "email address"
    result = next(r for r in report.results if r.system == MODEL)
    return {name: metric.value for name, metric in result.metrics.items()}


def test_recall_is_that_of_the_best_threshold_with_the_precision(tmp_path: Path) -> None:
    (tmp_path / "presidio.test.json").write_text(json.dumps(ROWS), encoding="utf-8")
    values = measured(tmp_path)
    # At 0.6 both of two are right; from 0.55 down one of three or four is wrong.
    assert values["recall_at_p95"] == values["recall_at_p90"] == pytest.approx(2 / 3)
    assert (values["precision"], values["recall"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert values["leaked"] == pytest.approx(8 / (12 + 7 + 8))


def test_types_with_a_form_are_found_by_the_patterns_of_redact(tmp_path: Path) -> None:
    rows = [
        row("Pay DE89 3704 0044 0532 0130 00", ("DE89 3704 0044 0532 0130 00", "IBAN_CODE")),
        row("not DE89 3704 0044 0532 0130 01"),
    ]
    (tmp_path / "presidio.test.json").write_text(json.dumps(rows), encoding="utf-8")
    benchmark = make_benchmark("pii", Options())
    cases = benchmark.load(tmp_path)
    model = StubExtractor(lambda _: [])
    report = bench(benchmark, model, cases, tmp_path / "out", model_name="s", model_id="s")
    found = {r.system: r.metrics["f1"].value for r in report.results}
    assert found[MODEL] == found["patterns"] == 1.0
    assert found["capitals and digits"] < 1


def test_types_are_asked_in_natural_words_and_places_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "presidio.test.json"
    file.write_text(json.dumps(ROWS), encoding="utf-8")
    case = make_benchmark("pii", Options()).load(tmp_path)[0]
    assert case.labels == ("email address", "person", "phone number")
    bad = row("My number is 555", ("555", "PHONE_NUMBER"))
    bad["spans"][0]["end_position"] = 99
    file.write_text(json.dumps([bad]), encoding="utf-8")
    with pytest.raises(DataError, match=r"test\.json: \[0\]: span 13:99 lies outside the text"):
        make_benchmark("pii", Options()).load(tmp_path)


def test_cases_without_any_span_are_measured_too(tmp_path: Path) -> None:
    """A limit may leave such cases only; the types are those of the whole file."""
    (tmp_path / "presidio.test.json").write_text(json.dumps(ROWS), encoding="utf-8")
    benchmark = make_benchmark("pii", Options())
    cases = benchmark.load(tmp_path)[2:]
    model = StubExtractor(lambda _: [])
    report = bench(benchmark, model, cases, tmp_path / "out", model_name="s", model_id="s")
    assert {r.metrics["leaked"].value for r in report.results} == {0.0}
