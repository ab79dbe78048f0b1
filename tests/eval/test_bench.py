"""Whole benchmarks on the samples, with a scripted model: perfect, mute, interrupted."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glinermt import GlinerMT
from glinermt.config import TaskSettings
from glinermt.errors import DataError
from glinermt.eval.benchmarks import BENCHMARKS, SAMPLES, make_benchmark, sampled
from glinermt.eval.benchmarks.crossner import CROSSNER_SETS
from glinermt.eval.compare import compare
from glinermt.eval.data.cases import RelationCase, SummaryCase
from glinermt.eval.measure import MODEL, bench, limit_cases, run
from glinermt.eval.protocol import Options
from glinermt.eval.report import Report, markdown, read_reports, write_reports
from glinermt.tasks.labels import readable
from glinermt.types import Ask, Found, Query, Relation, Span
from tests.stub import StubExtractor
from tests.tiny_models import tiny_model

OPTIONS = Options(sets=CROSSNER_SETS)


def load(name: str) -> tuple[Any, list[Any]]:
    benchmark = make_benchmark(name, OPTIONS)
    return benchmark, benchmark.load(SAMPLES / name)


def mute(_: Query) -> Sequence[Span]:
    return []


def report_of(name: str, model: StubExtractor, out: Path) -> Report:
    benchmark, cases = load(name)
    return bench(benchmark, model, cases, out, model_name="stub", model_id="stub")


def value(report: Report, group: str, metric: str, system: str = MODEL) -> float:
    rows = {(row.group, row.system): row for row in report.results}
    return rows[group, system].metrics[metric].value


def oracle(name: str) -> StubExtractor:
    """Return a model that has seen the gold."""
    _, cases = load(name)
    by_text = {case.text: case for case in cases}

    def script(query: Query) -> list[Span]:
        case = by_text[query.text]
        if isinstance(case, RelationCase):
            tail = case.tail
            return [
                Span(tail.start, tail.end, tail.text, label, 0.9)
                for label in query.labels
                if label == f"{case.head.text} <> {readable(case.relation)}"
            ]
        return [Span(s.start, s.end, s.text, s.label, 0.9) for s in case.spans]

    return StubExtractor(script)


@pytest.mark.parametrize("name", ["crossner", "ner20"])
def test_a_model_that_finds_the_gold_scores_one(name: str, tmp_path: Path) -> None:
    report = report_of(name, oracle(name), tmp_path)
    for row in report.results:
        if row.system == MODEL:
            assert row.metrics["f1"].value == row.metrics["token_f1"].value == 1.0


def test_crossner_asks_every_sentence_the_whole_fixed_list(tmp_path: Path) -> None:
    model = oracle("crossner")
    report = report_of("crossner", model, tmp_path)
    lists = {query.labels for query in model.queries}
    assert len(lists) == len(CROSSNER_SETS)
    assert all("miscellaneous" not in labels for labels in lists)
    assert {len(labels) for labels in lists} == {8, 11, 12, 13, 16}
    assert [row.group for row in report.results if row.system == MODEL][-1] == "average"


def test_fewrel_scores_tails_and_the_choice_of_the_relation(tmp_path: Path) -> None:
    report = report_of("fewrel", oracle("fewrel"), tmp_path)
    assert value(report, "tail filling", "exact") == 1.0
    assert value(report, "pair choice", "accuracy") == value(report, "pair choice", "macro_f1") == 1
    assert value(report, "pair choice", "false_positive_rate") == 0.0
    frequent = value(report, "pair choice", "accuracy", "most frequent relation")
    assert frequent == pytest.approx(1 / 16)


def test_a_model_that_fires_on_company_has_a_false_positive_rate_of_one(tmp_path: Path) -> None:
    _, cases = load("fewrel")
    tails = {case.text: case.tail for case in cases}

    def everything(query: Query) -> list[Span]:
        tail = tails[query.text]
        return [Span(tail.start, tail.end, tail.text, label, 0.9) for label in query.labels]

    report = report_of("fewrel", StubExtractor(everything), tmp_path)
    assert value(report, "pair choice", "false_positive_rate") == 1.0
    assert value(report, "pair choice", "held_rate") == 1.0


class Judge(StubExtractor):
    """A model with a relation head: it sees one relation in every pair, right or wrong."""

    kinds = frozenset({"spans", "relations"})

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:  # noqa: ARG002
        return [
            Found(relations=(Relation(*_ends(query), score=0.9),) if query.relations else ())
            for query in queries
        ]


def _ends(query: Query) -> tuple[Span, str, Span]:
    head, tail = query.entities or ()
    return head, query.relations[0], tail


def test_a_pair_is_judged_by_the_relation_head_or_as_labels(tmp_path: Path) -> None:
    values = {}
    for method in (None, "pairs", "labels"):
        benchmark = make_benchmark("fewrel", Options(method=method))
        cases = benchmark.load(SAMPLES / "fewrel")
        out = tmp_path / str(method)
        report = bench(benchmark, Judge(mute), cases, out, model_name="s", model_id="s")
        values[method] = value(report, "pair choice", "accuracy")
    assert values[None] == values["pairs"] == pytest.approx(1 / 16)
    assert values["labels"] == 0.0
    with pytest.raises(ValueError, match="unknown method 'both'"):
        Options(method="both")  # type: ignore[arg-type]


def test_a_mute_model_scores_what_always_no_answer_scores(tmp_path: Path) -> None:
    report = report_of("squad2", StubExtractor(mute), tmp_path)
    for metric in ("exact", "f1", "HasAns_f1", "NoAns_f1"):
        assert value(report, "squad2", metric) == value(
            report, "squad2", metric, "always no answer"
        )
    assert value(report, "squad2", "NoAns_exact") == 1.0
    assert report.extras["best_f1"] == value(report, "squad2", "f1")


def test_lead_three_and_the_oracle_bound_a_mute_summariser(tmp_path: Path) -> None:
    document = "A cat sat. It slept. Rain fell on the roof. The dog barked at the moon. Night came."
    benchmark = make_benchmark("cnn_dm", OPTIONS)
    cases = [
        SummaryCase(f"{group}/1", group, document, "The dog barked at the moon.")
        for group in ("sentence mode", "span mode")
    ]
    report = bench(
        benchmark, StubExtractor(mute), cases, tmp_path, model_name="stub", model_id="stub"
    )
    assert value(report, "span mode", "rouge1") == 0.0
    assert value(report, "sentence mode", "rouge1", "greedy oracle") == 1.0
    assert 0 < value(report, "sentence mode", "rouge1", "lead-3") < 1


def test_an_interrupted_run_asks_only_what_is_missing(tmp_path: Path) -> None:
    benchmark, cases = load("ner20")
    path = tmp_path / "predictions.jsonl"
    first = oracle("ner20")
    whole = run(benchmark, first, cases, path, fingerprint={"model": "a"})
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:11]) + lines[11][:20], encoding="utf-8")
    second = oracle("ner20")
    again = run(benchmark, second, cases, path, fingerprint={"model": "a"})
    assert again.predictions == whole.predictions
    assert len(second.queries) == len(cases) - 10 == again.num_new
    assert path.read_text(encoding="utf-8").splitlines(keepends=True) == lines


def test_predictions_with_any_text_cut_anywhere_are_taken_up(tmp_path: Path) -> None:
    benchmark, cases = load("squad2")
    path = tmp_path / "predictions.jsonl"
    run(benchmark, StubExtractor(mute), cases[:2], path, fingerprint={})
    header, first, _ = path.read_bytes().splitlines(keepends=True)
    odd = {"text": "a\u2028b\u0085é", "score": 0.5, "no_answer_score": 0.5}
    row = json.dumps({"id": cases[0].id, "prediction": odd}, ensure_ascii=False).encode()
    for end in (b"\n" + first[:5], b"\n" + row[: row.index("é".encode()) + 1]):
        path.write_bytes(header + row + end)
        done = run(benchmark, StubExtractor(mute), cases[:2], path, fingerprint={})
        assert (done.predictions[0], done.num_new) == (odd, 1)


def test_a_file_without_predictions_is_begun_anew(tmp_path: Path) -> None:
    benchmark, cases = load("ner20")
    path = tmp_path / "predictions.jsonl"
    run(benchmark, oracle("ner20"), [], path, fingerprint={"threshold": 5})
    run(benchmark, oracle("ner20"), cases, path, fingerprint={"threshold": 0.5})
    assert json.loads(path.read_text(encoding="utf-8").split("\n")[0]) == {
        "fingerprint": {"threshold": 0.5}
    }


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (TaskSettings(lead=1.0), r"model\.lead: 0\.0 -> 1\.0"),
        (TaskSettings(temperatures={"entities": 3.0}), r"model\.temperatures: {}"),
    ],
)
def test_predictions_under_other_settings_are_not_mixed_in(
    tmp_path: Path, changed: TaskSettings, named: str
) -> None:
    report_of("ner20", StubExtractor(mute), tmp_path)
    with pytest.raises(DataError, match=rf"other conditions \({named}"):
        report_of("ner20", StubExtractor(mute, changed), tmp_path)


def test_predictions_of_another_model_are_not_mixed_in(tmp_path: Path) -> None:
    benchmark, cases = load("ner20")
    path = tmp_path / "predictions.jsonl"
    run(benchmark, oracle("ner20"), cases, path, fingerprint={"model": "a"})
    with pytest.raises(DataError, match=r"other conditions \(model: 'a' -> 'b'\)"):
        run(benchmark, oracle("ner20"), cases, path, fingerprint={"model": "b"})


def test_predictions_of_another_precision_are_not_mixed_in(tmp_path: Path) -> None:
    benchmark, cases = load("crossner")
    for precision in ("exact", "int8"):
        model = GlinerMT.from_pretrained(precision=precision)  # type: ignore[arg-type]
        how = {"model_name": "shipped", "model_id": "shipped"}
        if precision == "exact":
            report = bench(benchmark, model, cases[:2], tmp_path, **how)
            assert report.card["model.precision"] == "exact"
            continue
        with pytest.raises(DataError, match=r"model\.precision: 'exact' -> 'int8'"):
            bench(benchmark, model, cases[:2], tmp_path, **how)


def test_predictions_of_an_edited_configuration_are_not_mixed_in(tmp_path: Path) -> None:
    benchmark, cases = load("crossner")
    folder = tmp_path / "model"
    tiny_model(tmp_path / "encoder").save_pretrained(folder)
    how = {"model_name": "tiny", "model_id": "the same weights"}
    for _ in range(2):
        model = GlinerMT.from_pretrained(folder)
        bench(benchmark, model, cases[:2], tmp_path / "out", **how)  # type: ignore[arg-type]
    moved = folder.rename(tmp_path / "moved")
    bench(benchmark, GlinerMT.from_pretrained(moved), cases[:2], tmp_path / "out", **how)  # type: ignore[arg-type]
    config = json.loads((moved / "glinermt_config.json").read_text())
    config["model"]["max_labels"] = 3
    (moved / "glinermt_config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"other conditions \(model\.config: '\w+' -> '\w+'\)"):
        bench(benchmark, GlinerMT.from_pretrained(moved), cases[:2], tmp_path / "out", **how)  # type: ignore[arg-type]


def test_reports_round_trip_and_keep_benchmarks_not_run_again(tmp_path: Path) -> None:
    first = report_of("ner20", oracle("ner20"), tmp_path)
    write_reports([first], tmp_path)
    second = report_of("squad2", StubExtractor(mute), tmp_path)
    write_reports([second], tmp_path)
    assert [report.benchmark for report in read_reports(tmp_path)] == ["ner20", "squad2"]
    assert read_reports(tmp_path)[0].results == first.results
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "# ner20" in text
    assert "| wnut17 | model | 30 | 100.0 (100.0 to 100.0) |" in text


def test_the_card_says_what_the_number_depends_on(tmp_path: Path) -> None:
    report = report_of("squad2", StubExtractor(mute), tmp_path)
    assert {"protocol", "model", "data", "settings", "cases", "seed", "date", "versions"} <= set(
        report.card
    )
    assert all(sentence in markdown(report) for sentence in report.card["protocol"])


def test_comparing_a_run_with_itself_finds_no_difference_and_with_a_worse_one_a_clear_one(
    tmp_path: Path,
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    write_reports([report_of("ner20", oracle("ner20"), good)], good)
    write_reports([report_of("ner20", StubExtractor(mute), bad)], bad)
    assert {row.difference.value for row in compare(good, good)} == {0.0}
    f1 = next(row for row in compare(good, bad) if row.metric == "f1")
    assert (f1.first, f1.second, f1.difference.high) == (1.0, 0.0, -1.0)


def test_runs_over_cases_without_anything_to_find_are_compared(tmp_path: Path) -> None:
    benchmark, cases = load("crossner")
    without = [replace(case, spans=()) for case in cases[:2]]
    for folder, model in (("a", StubExtractor(mute)), ("b", oracle("crossner"))):
        report = bench(
            benchmark, model, without, tmp_path / folder, model_name="s", model_id=folder
        )
        write_reports([report], tmp_path / folder)
    rows = {row.metric: row for row in compare(tmp_path / "a", tmp_path / "b")}
    assert (rows["f1"].first, rows["f1"].second) == (0.0, 0.0)


def test_runs_on_different_data_are_not_compared(tmp_path: Path) -> None:
    benchmark, cases = load("ner20")
    for name, limit in (("a", 5), ("b", 6)):
        some = limit_cases(cases, limit)
        out = tmp_path / name
        report = bench(benchmark, StubExtractor(mute), some, out, model_name="", model_id="")
        write_reports([report], out)
    with pytest.raises(DataError, match="different data"):
        compare(tmp_path / "a", tmp_path / "b")


def test_every_case_of_every_sample_has_its_own_id() -> None:
    for name in sampled():
        ids = [case.id for case in load(name)[1]]
        assert len(set(ids)) == len(ids) > 20


def test_an_unknown_benchmark_is_named_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match="did you mean 'squad2'"):
        make_benchmark("squad", OPTIONS)
    assert set(sampled()) < set(BENCHMARKS)


def test_predictions_are_json_lines(tmp_path: Path) -> None:
    report_of("ner20", oracle("ner20"), tmp_path)
    lines = (tmp_path / "ner20" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert "fingerprint" in json.loads(lines[0])
    assert set(json.loads(lines[1])) == {"id", "prediction"}


def test_a_limit_takes_cases_from_all_over_each_set() -> None:
    _, cases = load("fewrel")
    kept = limit_cases(cases, 16)
    assert len(kept) == 32
    assert {case.relation for case in kept} == set(cases[0].relations)
    assert limit_cases(cases, 1000) == limit_cases(cases, None) == cases
