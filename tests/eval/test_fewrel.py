"""Numbers of the relation benchmark, by hand."""

import pytest

from glinermt.eval.benchmarks.fewrel import TAIL, FewRel
from glinermt.eval.data.cases import RelationCase
from glinermt.eval.scores import interval, point, replicates
from glinermt.types import Span
from tests.stub import StubExtractor


def pair(gold: str, chosen: str) -> dict[str, float]:
    right = float(gold == chosen)
    return {"pairs": 1, f"gold:{gold}": 1, f"right:{gold}": right, f"chosen:{chosen}": 1}


def test_macro_f1_is_the_mean_over_relations() -> None:
    scores = [pair("a", "a"), pair("a", "b"), pair("b", "b"), pair("c", "d")]
    assert point(scores, FewRel().measure)["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_relations_that_a_resample_misses_do_not_lower_macro_f1() -> None:
    scores = [pair(name, name) for name in "abcdefgh"]
    assert interval(replicates(scores, FewRel().measure)["macro_f1"]) == (1.0, 1.0)


def test_a_head_is_not_its_own_tail() -> None:
    text = "Ada Lovelace met Charles Babbage"
    head, tail = Span(0, 12, "Ada Lovelace", ""), Span(17, 32, "Charles Babbage", "")
    case = RelationCase("1", TAIL, text, head, tail, "met", ("met",))
    found = [("Ada Lovelace", 0.9), ("Lovelace", 0.8), ("Charles Babbage", 0.7)]
    model = StubExtractor(lambda query: [(name, query.labels[0], score) for name, score in found])
    assert FewRel().predict(model, [case]) == [{"text": "Charles Babbage", "score": 0.7}]
