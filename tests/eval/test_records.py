"""The forty documents: records come out exactly where a model finds the right spans."""

from pathlib import Path
from typing import Any

import pytest

from glinermt.errors import DataError
from glinermt.eval.benchmarks import SAMPLES, make_benchmark
from glinermt.eval.data.cases import RecordCase
from glinermt.eval.data.readers import read_records
from glinermt.eval.measure import MODEL, bench
from glinermt.eval.protocol import Options
from glinermt.tasks import extract_records, read
from glinermt.types import Query, Span
from tests.stub import StubExtractor

CASES = read_records(SAMPLES / "records" / "documents.toml")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def knowing(*cases: RecordCase) -> StubExtractor:
    """Return a model that finds what is marked, and nothing else."""
    known = {case.text: case for case in cases}

    def script(query: Query) -> list[Span]:
        spans = []
        for record in known[query.text].spans:
            for name, own in record.items():
                label = next(a for a in query.labels if a.split(":")[0] == name.replace("_", " "))
                spans += [Span(s.start, s.end, s.text, label, 0.9) for s in own]
        return spans

    return StubExtractor(script)


def filled(value: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in value.items() if one not in (None, [])}


def test_there_are_four_documents_of_each_of_ten_kinds() -> None:
    kinds = [case.group for case in CASES]
    assert len(set(kinds)) == 10
    assert all(kinds.count(kind) == 4 for kind in kinds)
    assert all("{{" not in case.text and case.records for case in CASES)


@each_case
def test_the_records_of_a_document_are_exact(case: RecordCase) -> None:
    many = case.anchor is not None
    found = extract_records(
        case.text, case.schema, many=many, anchor=case.anchor, model=knowing(case)
    )
    assert [filled(record.value) for record in found] == list(case.records)
    for record, spans in zip(found, case.spans, strict=True):
        places = {n: [(s.start, s.end) for s in own] for n, own in record.spans.items()}
        assert places == {n: [(s.start, s.end) for s in own] for n, own in spans.items()}


def test_reading_gives_the_same_records() -> None:
    for case in CASES[::5]:
        schema: dict[str, Any] = {"schema": case.schema}
        if case.anchor:
            schema |= {"many": True, "anchor": case.anchor}
        found = read(case.text, {"records": {"it": schema}}, model=knowing(case)).records["it"]
        assert [filled(record.value) for record in found] == list(case.records)


def test_the_benchmark_counts_documents_and_fields(tmp_path: Path) -> None:
    benchmark = make_benchmark("records", Options())
    cases = benchmark.load(SAMPLES / "records")
    model = knowing(*cases)
    report = bench(benchmark, model, cases, tmp_path / "a", model_name="s", model_id="s")
    values = [r.metrics for r in report.results if r.system == MODEL]
    assert all(
        v["exact"].value == v["field_f1"].value == v["evidence_f1"].value == 1 for v in values
    )
    nothing = StubExtractor(lambda _: [])
    report = bench(benchmark, nothing, cases, tmp_path / "b", model_name="s", model_id="s")
    lines = {r.group: r.metrics for r in report.results if r.system == "named lines"}
    assert 0 < lines["product"]["field_f1"].value < 1
    assert all(r.metrics["exact"].value == 0 for r in report.results if r.system == MODEL)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("[kinds.k]\nmany = true", "kind 'k': expected a field 'schema', found 'many'"),
        ("[kinds.k.schema]\ntitle = 'x'", "its schema: expected a field 'properties'"),
    ],
)
def test_a_kind_without_fields_is_named(kind: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(f"{kind}\n[[documents]]\nkind = 'k'\ntext = 'Ann'\n")
    with pytest.raises(DataError, match=message):
        read_records(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "no TOML with kinds and documents"),
        ("{{name|Ann}}", r"\[0\]: field 'name' is not in the schema"),
        ("{{a|Ann|oops}}", r"\[0\]: a 'oops' is not JSON"),
        ("{{a|Ann", r"\[0\]: a mark cannot be read"),
    ],
)
def test_a_wrong_document_is_named(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(
        text
        if "{{" not in text
        else '[kinds.k.schema.properties]\na = {type = "string"}\n[[documents]]\nkind = "k"\n'
        f"text = '{text}'\n"
    )
    with pytest.raises(DataError, match=message):
        read_records(file)
