"""Numbers of the relation benchmark, by hand."""

import pytest

from glinermt.eval.benchmarks.fewrel import FewRel
from glinermt.eval.scores import interval, point, replicates


def pair(gold: str, chosen: str) -> dict[str, float]:
    right = float(gold == chosen)
    return {"pairs": 1, f"gold:{gold}": 1, f"right:{gold}": right, f"chosen:{chosen}": 1}


def test_macro_f1_is_the_mean_over_relations() -> None:
    scores = [pair("a", "a"), pair("a", "b"), pair("b", "b"), pair("c", "d")]
    assert point(scores, FewRel().measure)["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_relations_that_a_resample_misses_do_not_lower_macro_f1() -> None:
    scores = [pair(name, name) for name in "abcdefgh"]
    assert interval(replicates(scores, FewRel().measure)["macro_f1"]) == (1.0, 1.0)
