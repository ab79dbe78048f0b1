"""Entities and relations end to end, on made rows in the three forms of file."""

import json
from pathlib import Path
from typing import Any

import pytest

from glinermt.errors import DataError
from glinermt.eval.benchmarks import make_benchmark
from glinermt.eval.data.relations import read_documents
from glinermt.eval.measure import MODEL, bench
from glinermt.eval.protocol import Options
from glinermt.eval.report import Report
from glinermt.types import Query, Relation, Span
from tests.stub import StubExtractor
from tests.tasks.heads_model import HeadsModel

TOKENS = "Ann Lee works for Acme in Rome .".split()
OURS = {
    "tokens": TOKENS,
    "spans": [[0, 1, "person"], [4, 4, "organization"], [6, 6, "location"]],
    "relations": [
        {"head": {"start": 0, "end": 1}, "tail": {"start": 4, "end": 4}, "relation": "works for"},
        {"head": {"start": 4, "end": 4}, "tail": {"start": 6, "end": 6}, "relation": "located in"},
        {"head": {"start": 0, "end": 1}, "tail": {"start": 6, "end": 6}, "relation": "no relation"},
    ],
}
SPERT = {
    "tokens": TOKENS,
    "entities": [
        {"type": "Peop", "start": 0, "end": 2},
        {"type": "Org", "start": 4, "end": 5},
        {"type": "Loc", "start": 6, "end": 7},
    ],
    "relations": [
        {"type": "Work_For", "head": 0, "tail": 1},
        {"type": "Located_In", "head": 1, "tail": 2},
    ],
}
CROSSRE = {
    "doc_key": "x-1",
    "sentence": TOKENS,
    "ner": [[0, 1, "person"], [4, 4, "organisation"], [6, 6, "location"]],
    "relations": [
        [0, 1, 4, 4, "works-for", "", False, False],
        [4, 4, 6, 6, "located-in", "", False, False],
    ],
}
WORDS = {"Peop": "person", "Org": "organization", "Loc": "location", "Work_For": "works for",
         "organisation": "organization"}  # fmt: skip


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.test.jsonl", json.dumps(OURS)),
        ("a-test.json", json.dumps([SPERT])),
        ("a-test.json", json.dumps(CROSSRE) + "\n" + json.dumps(CROSSRE)),
    ],
)
def test_the_three_forms_say_the_same(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    case = read_documents(path, "a", types=WORDS)[0]
    assert case.text == " ".join(TOKENS)
    assert [(s.text, s.label) for s in case.spans] == [
        ("Ann Lee", "person"), ("Acme", "organization"), ("Rome", "location")
    ]  # fmt: skip
    assert [(r.head.text, r.label, r.tail.text) for r in case.relations] == [
        ("Ann Lee", "works for", "Acme"), ("Acme", "located in", "Rome")
    ]  # fmt: skip
    assert case.labels == ("location", "organization", "person")
    assert case.names == ("located in", "works for")


def measured(folder: Path, script: Any) -> Report:
    benchmark = make_benchmark("relations", Options())
    cases = benchmark.load(folder)
    out = folder / "out"
    return bench(benchmark, StubExtractor(script), cases, out, model_name="s", model_id="s")


def value(report: Report, what: str, metric: str, system: str = MODEL) -> float:
    rows = {(row.group, row.system): row for row in report.results}
    return rows[f"a, {what}", system].metrics[metric].value


ENTITIES = [("Ann Lee", "person", 0.9), ("Acme", "organization", 0.9), ("Rome", "location", 0.9)]


def finds_all(query: Query) -> list[tuple[str, str, float]]:
    if "person" in query.labels:
        return ENTITIES
    tails = {"Ann Lee <> works for": "Acme", "Acme <> located in": "Rome"}
    return [(tails[label], label, 0.9) for label in query.labels if label in tails]


def test_who_finds_everything_scores_one_in_everything(tmp_path: Path) -> None:
    write(tmp_path / "a.test.jsonl", OURS)
    report = measured(tmp_path, finds_all)
    for what in ("end to end", "gold entities"):
        for metric in ("f1", "precision", "recall", "boundaries_f1", "entity_f1"):
            assert value(report, what, metric) == 1.0


def test_a_wrong_type_costs_the_strict_score_only(tmp_path: Path) -> None:
    def script(query: Query) -> list[tuple[str, str, float]]:
        found = finds_all(query)
        return [(t, "person" if t == "Rome" and s == "location" else s, p) for t, s, p in found]

    write(tmp_path / "a.test.jsonl", OURS)
    report = measured(tmp_path, script)
    assert value(report, "end to end", "boundaries_f1") == 1.0
    assert value(report, "end to end", "f1") == 0.5
    assert value(report, "end to end", "entity_f1") == pytest.approx(2 / 3)
    assert value(report, "gold entities", "f1") == 1.0


def test_types_of_conll_relations_rule_out_other_ends(tmp_path: Path) -> None:
    names = "Work_For Located_In OrgBased_In Live_In Kill".split()
    row = {**SPERT, "relations": [{"type": name, "head": 0, "tail": 1} for name in names]}
    (tmp_path / "conll04_test.json").write_text(json.dumps([row]), encoding="utf-8")
    ann, acme = Span(0, 7, "Ann Lee", "person", 0.9), Span(18, 22, "Acme", "person", 0.7)
    model = HeadsModel(
        lambda query: [span for span in (ann, acme) if span.label in query.labels],
        relations=lambda _: [Relation(ann, "works for", acme, 0.9)],
    )  # fmt: skip
    benchmark = make_benchmark("relations", Options())
    cases = benchmark.load(tmp_path)
    found = dict(zip([case.group for case in cases], benchmark.predict(model, cases), strict=True))
    tails = {
        group: [relation["tail"]["label"] for relation in prediction["relations"]]
        for group, prediction in found.items()
    }
    assert tails["conll04, end to end, typed"] == []
    assert tails["conll04, end to end"] == ["person"]


def test_the_neighbours_of_the_baseline_are_related_as_is_usual(tmp_path: Path) -> None:
    write(tmp_path / "a.test.jsonl", OURS)
    report = measured(tmp_path, lambda _: [])
    assert value(report, "gold entities", "f1", "neighbours") == 1.0
    assert value(report, "end to end", "boundaries_f1", "neighbours") == 0.5
    assert value(report, "gold entities", "f1") == 0.0


def test_the_baseline_knows_which_way_relations_run(tmp_path: Path) -> None:
    ends = {"head": {"start": 1, "end": 1}, "tail": {"start": 0, "end": 0}}
    row = {"tokens": ["Stata", "12"], "relations": [{**ends, "relation": "version of"}]}
    write(tmp_path / "a.test.jsonl", row)
    report = measured(tmp_path, lambda _: [])
    assert value(report, "gold entities", "f1", "neighbours") == 1.0


def test_sets_without_types_are_scored_by_borders(tmp_path: Path) -> None:
    untyped = {**OURS, "spans": []}
    write(tmp_path / "a.test.jsonl", untyped)
    report = measured(tmp_path, finds_all)
    assert value(report, "end to end", "f1") == value(report, "end to end", "boundaries_f1") == 1.0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a"], "relations": []}, "no text has a relation"),
        ({"tokens": ["a"]}, r"a\.test\.jsonl:1: no entities and relations of a known form"),
        ({"text": "a"}, r"a\.test\.jsonl:1: expected a field 'tokens'"),
        ({"tokens": ["a"], "relations": [{"head": {"start": 0, "end": 7}}]}, "outside the 1 tok"),
    ],
)
def test_bad_rows_are_named(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_documents(write(tmp_path / "a.test.jsonl", row), "a")


def test_spans_are_places_of_the_text(tmp_path: Path) -> None:
    (case,) = read_documents(write(tmp_path / "a.test.jsonl", OURS), "a")
    ends = [end for r in case.relations for end in (r.head, r.tail)]
    assert all(isinstance(s, Span) and case.text[s.start : s.end] == s.text for s in ends)
