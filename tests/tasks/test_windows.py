"""Texts longer than a window, and more questions than fit in a pass, in every task."""

import itertools
import re
from pathlib import Path

import pytest

from glinermt.tasks import (
    answer,
    answers,
    extract_entities,
    extract_matches,
    extract_relations,
    summarize,
)
from glinermt.types import Span
from tests.tasks.scripted_model import scripted_model

GAP = "the . " * 40
"""More than a window of 64 tokens."""


def test_entities_of_all_windows_are_found_each_once(tmp_path: Path) -> None:
    model, batches = scripted_model(tmp_path, lambda word, *_: 0.9 * (word == "bill"))
    text = f"bill {GAP}Bill {GAP}{GAP}, bill"
    spans = extract_entities(text, ["person"], model=model)
    assert [text[s.start : s.end] for s in spans] == ["bill", "Bill", "bill"]
    assert extract_matches(text, "people", model=model) == [
        Span(s.start, s.end, s.text, "match", s.score) for s in spans
    ]
    assert sum(batches) > 4


def test_a_relation_is_found_in_a_later_window_that_mentions_the_head(tmp_path: Path) -> None:
    def score(word: str, label: str, seen: set[str]) -> float:
        if label == "org":
            return 0.9 * (word == "microsoft")
        return 0.9 * (word == "paris" and label == "microsoft<>in" and "microsoft" in seen)

    model, _ = scripted_model(tmp_path, score)
    text = f"microsoft . {GAP}paris {GAP}microsoft , the city , paris {GAP}"
    (found,) = extract_relations(text, ["in"], entities=["org"], model=model)
    assert (found.head.start, found.tail.start) == (text.rindex("microsoft"), text.rindex("paris"))
    assert text[found.tail.start : found.tail.end] == found.tail.text == "paris"


def test_a_head_of_one_window_is_asked_about_in_all(tmp_path: Path) -> None:
    model, _ = scripted_model(
        tmp_path, lambda word, label, _: 0.9 * (word == "paris" and label == "bill<>in")
    )
    text = f"bill {GAP}paris"
    (found,) = extract_relations(text, ["in"], entities=[Span(0, 4, "bill", "x")], model=model)
    assert (found.head.text, found.tail.text) == ("bill", "paris")


def test_of_a_long_text_a_head_is_asked_only_around_its_mentions(tmp_path: Path) -> None:
    asked = 0

    def score(word: str, label: str, _: set[str]) -> float:
        nonlocal asked
        asked += 1
        return 0.9 * (word == "paris" and label.endswith("<>in"))

    def cost(num_sentences: int) -> int:
        nonlocal asked
        asked = 0
        text = " ".join(f"n{i:03} was in Paris for days and days." for i in range(num_sentences))
        heads = [Span(m.start(), m.end(), m[0], "x") for m in re.finditer(r"n\d+", text)]
        found = extract_relations(text, ["in"], entities=heads, model=model)
        places = {(r.head.start, r.tail.start) for r in found}
        assert len(places) == len(found)
        assert {(h.start, h.end + 8) for h in heads} <= places
        assert all(text[r.tail.start : r.tail.end] == "Paris" for r in found)
        return asked

    model, _ = scripted_model(tmp_path, score)
    assert cost(80) < 2.5 * cost(40)


def test_answers_are_ranked_over_all_windows(tmp_path: Path) -> None:
    scores = {"bill": 0.7, "paris": 0.9, "microsoft": 0.6, "gates": 0.3}
    model, _ = scripted_model(tmp_path, lambda word, *_: scores.get(word, 0))
    text = f"bill {GAP}gates . {GAP}paris {GAP}microsoft"
    found = answers("what?", text, top_k=5, model=model)
    assert [a.text for a in found] == ["paris", "bill", "microsoft"]
    assert all(a.no_answer_score == pytest.approx(0.1) for a in found)
    assert answer("what?", GAP, model=model).no_answer_score == 1


def test_summary_sentences_are_ranked_over_all_windows(tmp_path: Path) -> None:
    scores = {"bill": 0.7, "paris": 0.9, "microsoft": 0.6, "gates": 0.3}
    model, _ = scripted_model(tmp_path, lambda word, *_: scores.get(word, 0))
    filler = " ".join(f"Nothing happened on day {i}." for i in range(40))
    text = f"Gates! {filler} Bill! {filler} Microsoft! {filler} Paris!"
    summary = summarize(text, sentences=3, model=model)
    assert summary.text == "Bill! Microsoft! Paris!"


def test_many_heads_and_relations_take_several_passes_in_few_batches(tmp_path: Path) -> None:
    names = [a + b for a, b in itertools.product("abcdef", "012")]
    kinds = ["k", "l", "m", "n", "o"]

    def score(word: str, label: str, _: set[str]) -> float:
        return 0.9 * (word == "paris" and label in ("a0<>k", "f2<>o"))

    model, batches = scripted_model(tmp_path, score)
    text = " ".join(names) + " paris"
    entities = [Span(text.index(n), text.index(n) + 2, n, "x") for n in names]
    found = extract_relations(text, kinds, entities=entities, model=model)
    assert [(r.head.text, r.label) for r in found] == [("a0", "k"), ("f2", "o")]
    assert sum(batches) > len(batches)
    assert sum(batches) > 10
