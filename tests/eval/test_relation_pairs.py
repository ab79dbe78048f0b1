"""Pairs of given mentions: which relation is chosen, and which are predicted at a threshold."""

from collections.abc import Sequence

import pytest

from glinermt.eval.metrics.relation_pairs import (
    best_threshold,
    choice_accuracy,
    pair_f1,
    score_pairs,
)
from glinermt.types import Ask, Example, Found, Query, Relation, Span

TEXT = "Ann hired Bob and Cid"
ANN, BOB, CID = (Span(TEXT.index(w), TEXT.index(w) + 3, w, "") for w in ("Ann", "Bob", "Cid"))
NAMES = ("employer of", "friend of")
GOLD = (Relation(ANN, "employer of", BOB), Relation(ANN, "employer of", CID))
SCORES = {
    (ANN, BOB): (0.9, 0.1),
    (ANN, CID): (0.3, 0.6),
    (BOB, CID): (0.2, 0.7),
}


class Scripted:
    """Scores as ``SCORES`` says, and 0 for the other pairs."""

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:
        assert ask.relation_threshold == 0
        found = []
        for query in queries:
            pairs = [(a, b) for a in query.entities or () for b in query.entities or () if a != b]
            relations = tuple(
                Relation(a, name, b, score)
                for a, b in pairs
                for name, score in zip(NAMES, SCORES.get((a, b), (0.0, 0.0)), strict=True)
            )
            found.append(Found(relations=relations))
        return found


def example(judged: tuple[tuple[int, int], ...] | None = None) -> Example:
    query = Query(TEXT, relations=NAMES, entities=(ANN, BOB, CID))
    return Example(query, (), "relations", relations=GOLD, judged=judged)


def test_the_best_scored_relation_of_a_related_pair_is_its_choice() -> None:
    assert choice_accuracy(score_pairs(Scripted(), [example()])) == 0.5
    assert choice_accuracy([]) == 0


def test_relations_from_the_threshold_up_count_as_predicted() -> None:
    scored = score_pairs(Scripted(), [example()])
    assert pair_f1(scored, 0.5) == pytest.approx({"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5})
    assert pair_f1(scored, 0.95)["f1"] == 0
    assert best_threshold(scored) == pytest.approx((0.9, 2 / 3))


def test_pairs_that_nobody_judged_are_left_out() -> None:
    scored = score_pairs(Scripted(), [example(judged=((0, 1), (1, 0)))])
    assert pair_f1(scored, 0.65) == pytest.approx({"precision": 1, "recall": 1 / 2, "f1": 2 / 3})


def test_mentions_have_to_be_given() -> None:
    with pytest.raises(ValueError, match="give the mentions"):
        score_pairs(Scripted(), [Example(Query(TEXT, relations=NAMES), ())])
