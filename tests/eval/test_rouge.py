"""ROUGE by hand and the greedy oracle."""

import pytest

from glinermt.eval.metrics.texts import greedy_oracle, rouge


def test_rouge_by_hand() -> None:
    scores = rouge("the cat sat down", "the cat ran")
    assert scores["rouge1"] == pytest.approx(2 * 2 / 7)
    assert scores["rouge2"] == pytest.approx(2 * 1 / 5)
    assert scores["rougeL"] == pytest.approx(2 * 2 / 7)


def test_an_empty_summary_scores_zero() -> None:
    assert set(rouge("the cat sat", "").values()) == {0.0}


def test_the_oracle_picks_the_sentences_of_the_summary_in_order() -> None:
    sentences = ["Rain fell.", "The cat sat on the mat.", "Nothing else.", "Dogs barked at night."]
    gold = "dogs barked at night. the cat sat on the mat."
    assert greedy_oracle(sentences, gold, limit=3) == [1, 3]
    assert greedy_oracle(sentences, gold, limit=1) == [1]


def test_the_oracle_of_no_sentences_is_empty() -> None:
    assert greedy_oracle([], "anything", limit=3) == []
