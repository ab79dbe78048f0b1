"""Thresholds, temperature and calibration error, by hand and on dev files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.config import TaskSettings, tempered
from glinermt.errors import DataError
from glinermt.eval.calibration.choose import calibrate, choose_lead, with_choice
from glinermt.eval.calibration.dev import find_dev_files, read_dev
from glinermt.eval.calibration.thresholds import (
    best_answer_threshold,
    best_span_threshold,
    best_temperature,
    calibration_error,
)
from glinermt.eval.chart import draw_reliability
from glinermt.eval.metrics.texts import ScoredAnswer, answer_f1
from glinermt.tasks.classification import classify
from glinermt.tasks.entities import extract_entities
from glinermt.tasks.keyphrases import extract_keyphrases
from glinermt.types import Ask, Found, Query
from tests.stub import StubExtractor

judged = st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), max_size=20)


def f1_at(pairs: list[tuple[float, bool]], threshold: float, num_gold: int) -> float:
    kept = [right for score, right in pairs if score >= threshold]
    return 2 * sum(kept) / max(1, len(kept) + num_gold)


@given(judged, st.integers(0, 5))
def test_no_threshold_is_better_than_the_chosen_one(
    pairs: list[tuple[float, bool]], missed: int
) -> None:
    num_gold = sum(right for _, right in pairs) + missed
    threshold, f1 = best_span_threshold(pairs, num_gold)
    assert f1 == pytest.approx(f1_at(pairs, threshold, num_gold))
    assert all(f1 >= f1_at(pairs, score, num_gold) - 1e-9 for score, _ in pairs)


def test_a_limit_holds_for_examples_of_every_task(tmp_path: Path) -> None:
    row = {"labels": ["keyphrase"], "prompt": "", "spans": [], "task": "keyphrases"}
    rows = [{"text": f"Ann {i}", **row} for i in range(10)]
    path = tmp_path / "a.dev.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (cases,) = read_dev([path], limit=3).values()
    assert [case.query.text for case in cases] == ["Ann 0", "Ann 3", "Ann 6"]


def test_the_answer_threshold_lies_between_the_right_and_the_wrong() -> None:
    answers = [
        ScoredAnswer("a", 0.2, ("a",)),
        ScoredAnswer("b", 0.6, ()),
        ScoredAnswer("c", 0.9, ()),
    ]
    threshold, f1 = best_answer_threshold(answers)
    assert threshold == pytest.approx(0.6)
    given = [answer.text if 1 - answer.no_answer_score >= threshold else "" for answer in answers]
    scores = [answer_f1(text, answer.golds) for text, answer in zip(given, answers, strict=True)]
    assert sum(scores) / 3 == f1 == 1.0


def test_calibration_error_by_hand() -> None:
    sure_and_half_right = [(0.95, True), (0.95, False)]
    assert calibration_error(sure_and_half_right) == pytest.approx(0.45)
    assert calibration_error([(1.0, True)] * 3) == 0.0
    assert calibration_error([]) == 0.0


def test_overconfident_scores_get_a_temperature_above_one() -> None:
    pairs = [(0.95, i % 10 < 7) for i in range(100)]
    assert best_temperature(pairs) == pytest.approx(3.475, abs=0.05)
    assert best_temperature([(0.7, i % 10 < 7) for i in range(100)]) == pytest.approx(1, abs=0.02)
    assert best_temperature([]) == 1.0


def dev_folder(folder: Path) -> Path:
    row = {"tokens": ["Ann", "met", "Bo"], "spans": [[0, 0, "person"], [2, 2, "person"]]}
    (folder / "a.dev.jsonl").write_text((json.dumps(row) + "\n") * 30, encoding="utf-8")
    return folder


def test_calibrating_finds_the_threshold_between_gold_and_noise(tmp_path: Path) -> None:
    def script(_: Query) -> list[tuple[str, str, float]]:
        return [("Ann", "person", 0.4), ("met", "person", 0.2), ("Bo", "person", 0.3)]

    model = StubExtractor(script, TaskSettings(thresholds={"answer": 0.7}))
    files, _ = find_dev_files([dev_folder(tmp_path)])
    [chosen] = calibrate(model, read_dev(files, limit=None))
    between = pytest.approx(tempered(0.25, chosen.temperature))
    assert chosen.threshold == between
    assert chosen.label_thresholds == {"person": between}
    assert (chosen.f1_before, chosen.f1_after) == (0.0, 1.0)
    assert chosen.error_after <= chosen.error_before
    assert model.settings.thresholds == {"answer": 0.7}
    saved = with_choice(
        model.settings, chosen.task, chosen.threshold, chosen.label_thresholds, chosen.temperature
    )
    assert saved.thresholds == {"answer": 0.7, "entities": chosen.threshold}
    [spans] = extract_entities(["Ann met Bo"], ["person"], model=StubExtractor(script, saved))
    assert [span.text for span in spans] == ["Ann", "Bo"]
    assert [span.score for span in spans] == [
        pytest.approx(tempered(score, chosen.temperature)) for score in (0.4, 0.3)
    ]
    assert all(path.stat().st_size > 1000 for path in draw_reliability([chosen], tmp_path / "r"))


def test_relations_are_calibrated_on_all_that_a_sentence_does_not_say(tmp_path: Path) -> None:
    def end(start: int, tokens: list[str]) -> dict[str, Any]:
        return {"text": tokens[start], "start": start, "end": start}

    tokens = "Ann met Bo in Rome".split()
    pairs = [(0, "met", 2), (0, "was in", 4)]
    row = {
        "tokens": tokens,
        "relations": [
            {"head": end(head, tokens), "tail": end(tail, tokens), "relation": name}
            for head, name, tail in pairs
        ],
    }
    dev = tmp_path / "people.dev.jsonl"
    dev.write_text(json.dumps(row) + "\n", encoding="utf-8")
    scores = {"Ann <> met": ("Bo", 0.9), "Ann <> was in": ("Rome", 0.7), "Rome <> met": ("Bo", 0.6)}

    def script(query: Query) -> list[tuple[str, str, float]]:
        return [
            (tail, label, score) for label, (tail, score) in scores.items() if label in query.labels
        ]

    model = StubExtractor(script)
    [chosen] = calibrate(model, read_dev([dev], limit=5))
    assert chosen.task == "relations"
    assert chosen.num_cases == 1
    assert chosen.threshold == pytest.approx(tempered(0.65, chosen.temperature))
    assert (chosen.f1_before, chosen.f1_after) == (pytest.approx(0.8), 1.0)


def test_what_benchmarks_score_is_not_calibrated_on(tmp_path: Path) -> None:
    folder = dev_folder(tmp_path)
    scored = folder / "squad_v2.dev.jsonl"
    scored.write_text("{}\n", encoding="utf-8")
    (folder / "a.test.jsonl").write_text("{}\n", encoding="utf-8")
    assert find_dev_files([folder]) == ([folder / "a.dev.jsonl"], [scored])
    for path in (scored, folder / "a.test.jsonl"):
        with pytest.raises(DataError, match="benchmarks score this file"):
            find_dev_files([path])


def test_a_folder_without_dev_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dev file"):
        find_dev_files([tmp_path])


def test_a_path_without_dev_data_is_named_beside_one_with_it(tmp_path: Path) -> None:
    good, empty = tmp_path / "a.dev.jsonl", tmp_path / "empty"
    good.write_text(json.dumps({"tokens": ["Bo"], "spans": [[0, 0, "person"]]}), encoding="utf-8")
    empty.mkdir()
    assert find_dev_files([good, tmp_path]) == ([good], [])
    with pytest.raises(DataError, match=r"typo: no such file or folder"):
        find_dev_files([good, tmp_path / "typo"])
    with pytest.raises(DataError, match=r"no dev file \(NAME.dev.jsonl\) in .*empty"):
        find_dev_files([good, empty])


def test_the_lead_is_chosen_that_makes_the_best_summaries(tmp_path: Path) -> None:
    text = "Storm hits coast. It rained a lot. People like cake. Cats sleep. Dogs run. Birds sing."
    dev = tmp_path / "news.dev.jsonl"
    row = {"id": "1", "document": text, "summary": "Storm hits coast. It rained a lot."}
    dev.write_text(json.dumps(row) + "\n", encoding="utf-8")
    model = StubExtractor(lambda _: [("Cats sleep.", "summary", 0.5), ("Dogs", "summary", 0.5)])
    cases = read_dev([dev], limit=None)
    assert calibrate(model, cases) == []
    choice = choose_lead(model, cases["summarize"])
    assert 0 < choice.lead <= 1
    assert choice.scores[choice.lead] > choice.scores[0.0]
    assert model.settings.lead == 0


def test_calibrating_again_drops_the_label_thresholds_of_before(tmp_path: Path) -> None:
    def script(_: Query) -> list[tuple[str, str, float]]:
        return [("Ann", "person", 0.4), ("met", "person", 0.2), ("Bo", "person", 0.3)]

    before = TaskSettings(label_thresholds={"person": 0.95, "gone": 0.9})
    cases = read_dev([dev_folder(tmp_path) / "a.dev.jsonl"], limit=None)
    [chosen] = calibrate(StubExtractor(script, before), cases, per_label=False)
    assert (chosen.f1_before, chosen.f1_after) == (0.0, 1.0)
    saved = with_choice(before, "entities", 0.4, {}, 1.0)
    assert saved.label_thresholds == {}
    assert with_choice(before, "answer", 0.4, {}, 1.0).label_thresholds == before.label_thresholds


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("", "no row"),
        ('{"text": "a b"}', "'text'"),
        ('{"text": "a", "labels": ["x"], "prompt": ""}', "'labels', 'prompt'"),
    ],
)
def test_dev_files_for_no_task_are_named(tmp_path: Path, rows: str, found: str) -> None:
    dev = dev_folder(tmp_path) / "odd.dev.jsonl"
    dev.write_text(rows, encoding="utf-8")
    with pytest.raises(DataError, match=rf"odd\.dev\.jsonl: expected Examples, or rows .*{found}"):
        read_dev([dev], limit=None)
    assert find_dev_files([tmp_path]) == ([tmp_path / "a.dev.jsonl"], [dev])


def test_examples_of_every_span_task_are_calibrated(tmp_path: Path) -> None:
    def line(task: str, prompt: str, label: str, quote: str) -> str:
        text = "Ann met Bo in Rome"
        start = text.index(quote)
        span = {"start": start, "end": start + len(quote), "label": label}
        row = {"text": text, "labels": [label], "prompt": prompt, "spans": [span], "task": task}
        return json.dumps(row) + "\n"

    def script(query: Query) -> list[tuple[str, str, float]]:
        right = {"person": "Ann", "answer": "Bo", "Ann <> met": "Bo", "match": "Rome"}
        label = query.labels[0]
        return [(right[label], label, 0.4), ("in", label, 0.2)]

    rows = [
        line("entities", "", "person", "Ann"),
        line("answer", "Whom did Ann meet?", "answer", "Bo"),
        line("relations", "Identify:", "Ann <> met", "Bo"),
        line("open_entities", "Find the towns", "match", "Rome"),
        line("matches", "Find where it was", "match", "Rome"),
    ]
    folder = tmp_path / "generated"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    (folder / "part-00000.jsonl").write_text("".join(rows))
    files, _ = find_dev_files([folder])
    model = StubExtractor(script)
    chosen = {c.task: c for c in calibrate(model, read_dev(files, limit=None))}
    assert chosen.keys() == {"entities", "answer", "relations", "open_entities", "matches"}
    for each in chosen.values():
        assert (each.f1_before, each.f1_after) == (0.0, 1.0), each.task
        assert 0.1 < each.threshold <= tempered(0.4, each.temperature)


def test_a_bad_example_is_named_with_its_line(tmp_path: Path) -> None:
    row = {"text": "a", "labels": ["x"], "spans": [{"start": 0, "end": 9, "label": "x"}]}
    dev = tmp_path / "a.dev.jsonl"
    dev.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.dev\.jsonl:1: span 0:9 lies outside"):
        read_dev([dev], limit=None)


class Reader(StubExtractor):
    """Finds classes too: the first of those asked is rather unlikely, the others more so."""

    kinds = frozenset({"spans", "classes"})

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:  # noqa: ARG002
        return [
            Found(classes={name: -0.4 - i for i, name in enumerate(query.classes)})
            for query in queries
        ]


def test_classes_fields_and_key_phrases_are_calibrated_as_they_are_asked(tmp_path: Path) -> None:
    text = "Ann met Bo in Rome"

    def line(task: str, labels: list[str], *quotes: tuple[str, str], **more: Any) -> str:
        spans = [
            {"start": text.index(q), "end": text.index(q) + len(q), "label": label}
            for q, label in quotes
        ]
        return json.dumps(
            {"text": text, "labels": labels, "prompt": "", "spans": spans, "task": task, **more}
        )

    classes = {"class_labels": ["meeting: people meet", "war", "sport"]}
    rows = [
        line("classify", [], **classes, classes=["meeting: people meet"], multi_label=True),
        line("classify", [], **classes, classes=["meeting: people meet"]),
        line("records", ["town", "host"], ("Rome", "town")),
        line("keyphrases", ["keyphrase"], ("Bo", "keyphrase"), ("Rome", "keyphrase")),
    ]
    (tmp_path / "a.dev.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = {
        "town": [("Rome", "town", 0.4), ("in Rome", "town", 0.3), ("met", "host", 0.2)],
        "keyphrase": [(q, "keyphrase", s) for q, s in (("Bo", 0.4), ("Rome", 0.3), ("met", 0.2))],
    }  # fmt: skip
    model = Reader(lambda query: found[query.labels[0]])
    chosen = {c.task: c for c in calibrate(model, read_dev([tmp_path / "a.dev.jsonl"], limit=None))}
    assert {task: (c.f1_before, c.f1_after) for task, c in chosen.items()} == {
        "classify": (pytest.approx(2 / 3), 1.0),
        "records": (0.0, 1.0),
        "keyphrases": (pytest.approx(0.8), 1.0),
    }
    settings = model.settings
    for each in chosen.values():
        settings = with_choice(settings, each.task, each.threshold, {}, each.temperature)
    ready = Reader(model.script, settings)
    several = classify(text, classes["class_labels"], multi_label=True, model=ready)
    assert several.labels == ("meeting: people meet",)
    assert [span.text for span in extract_keyphrases(text, model=ready)] == ["Bo", "Rome"]
