"""Answer metrics against the official SQuAD script as transformers carries it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.data.metrics import squad_metrics

from glinermt.eval.metrics.texts import (
    ScoredAnswer,
    answer_f1,
    average_precision,
    best_threshold,
    exact_match,
    normalize_answer,
)

words = st.lists(
    st.sampled_from(["the", "The", "a", "cat", "sat", "U.S.", "dog's", "an", "—", "10,000"]),
    max_size=5,
).map(" ".join)


@given(words, words)
def test_exact_match_and_f1_are_the_official_ones(gold: str, predicted: str) -> None:
    golds = [gold] if normalize_answer(gold) else []
    official = golds[0] if golds else ""
    assert exact_match(predicted, golds) == squad_metrics.compute_exact(official, predicted)
    assert answer_f1(predicted, golds) == pytest.approx(
        squad_metrics.compute_f1(official, predicted)
    )


@given(st.lists(st.tuples(words, st.floats(0, 1), words), min_size=1, unique_by=lambda x: x[1]))
def test_best_f1_is_the_official_one(rows: list[tuple[str, float, str]]) -> None:
    answers = [ScoredAnswer(p, s, (g,) if normalize_answer(g) else ()) for p, s, g in rows]
    ids = range(len(answers))
    official, threshold = squad_metrics.find_best_thresh(
        {i: answers[i].text for i in ids},
        {i: answer_f1(answers[i].text, answers[i].golds) for i in ids},
        {i: answers[i].no_answer_score for i in ids},
        {i: answers[i].answerable for i in ids},
    )
    best, chosen = best_threshold(answers)
    assert 100 * best == pytest.approx(official)
    assert chosen == threshold


def test_the_best_of_several_gold_answers_counts() -> None:
    assert answer_f1("October 1973", ["1973", "the October of 1973"]) == pytest.approx(0.8)
    assert exact_match("the 1973", ["October", "1973."]) == 1.0


def test_without_gold_answers_only_the_empty_answer_is_right() -> None:
    assert (exact_match("", []), answer_f1("", [])) == (1.0, 1.0)
    assert (exact_match("x", []), answer_f1("x", [])) == (0.0, 0.0)


def test_average_precision_by_hand() -> None:
    rows = [(0.1, True), (0.2, False), (0.3, True)]
    answers = [ScoredAnswer("x", score, ("x",) if has else ()) for score, has in rows]
    assert average_precision(answers) == pytest.approx(1 * 0.5 + 2 / 3 * 0.5)


def test_average_precision_does_not_depend_on_the_order_of_ties() -> None:
    answers = [ScoredAnswer("x", 0.5, ("x",) if i % 3 else ()) for i in range(9)]
    assert average_precision(answers) == pytest.approx(6 / 9)
    assert average_precision(answers[::-1]) == pytest.approx(6 / 9)
