"""How far results move with the order of the labels, worked out by hand."""

import pytest

from glinermt.eval.data.cases import NerCase
from glinermt.eval.label_order import invariant_f1, orders_of, spread
from glinermt.types import Query, Span
from tests.stub import StubExtractor

ANN, BONN = Span(0, 3, "Ann", "person"), Span(8, 12, "Bonn", "city")
CASE = NerCase("a", "a", "Ann, in Bonn", ("person", "city"), (ANN, BONN))


def script(query: Query) -> list[tuple[str, str, float]]:
    """Find Ann always, Bonn only where its label stands first."""
    first = query.labels[0]
    return [("Ann", "person", 0.9 if first == "person" else 0.7)] + (
        [("Bonn", "city", 0.6)] if first == "city" else []
    )


def test_mentions_scores_and_f1_of_all_orders() -> None:
    found = spread(StubExtractor(script), [CASE], 24)
    assert (found.mentions, found.always) == (2, 1)
    assert found.ranges == (pytest.approx(0.2),)
    assert sorted(found.f1) == [pytest.approx(2 / 3), 1.0]
    assert "2 mentions, 50% found in every order" in str(found)
    assert 0 < invariant_f1(StubExtractor(script), [CASE]) <= 1


def test_few_labels_have_all_their_orders_and_many_have_drawn_ones() -> None:
    assert len({tuple(order) for order in orders_of(tuple("abcd"), 24)}) == 24
    many = orders_of(tuple("abcdefg"), 24)
    assert len(many) == 24
    assert many == orders_of(tuple("abcdefg"), 24)
