"""The measurement of balance and hard negatives: what it scores, and what its table says."""

import pytest

from glinermt.training.shipped.skewed_labels import Outcome, outcome, rare_labels, report, split
from glinermt.types import Example, Query, Span
from tests.stub import StubExtractor


def row(text: str, **named: str) -> Example:
    """An example that has each named piece under its label."""
    spans = [Span(at := text.index(s), at + len(s), s, label) for label, s in named.items()]
    return Example(Query(text, ("person", "city")), tuple(spans))


def test_rare_labels_are_scored_apart_from_all() -> None:
    rows = [row("Ann left Rome.", person="Ann", city="Rome"), row("Bo came.", person="Bo")]
    rare = rare_labels(rows, 0.6)
    assert rare == {"city"}
    model = StubExtractor(
        lambda query: [(s, "person", 0.9) for s in ("Ann", "Bo", "Rome") if s in query.text]
    )
    one = outcome("none", 1, model, rows, rare)
    assert (one.precision, one.recall) == pytest.approx((2 / 3, 2 / 3))
    assert one.rare_f1 == 0
    assert one.macro_f1 == pytest.approx((4 / 5 + 0) / 2)


def test_the_held_rows_are_never_drawn() -> None:
    rows = [row(f"Ann {number}.", person="Ann") for number in range(10)]
    pool, held = split(rows, 4)
    assert len(held) == 4
    assert {r.query.text for r in pool} == {r.query.text for r in rows} - {
        r.query.text for r in held
    }


def test_the_table_has_means_and_each_seed() -> None:
    points = [
        Outcome("before", 0, 0.5, 0.5, 0.5, 0.1, 0.2),
        Outcome("none", 1, 0.6, 0.6, 0.6, 0.2, 0.3),
        Outcome("none", 2, 0.8, 0.8, 0.8, 0.4, 0.5),
    ]
    rows = report(points).splitlines()
    assert rows[2] == "| before | 50.0 | 50.0 | 50.0 | 10.0 | 20.0 |"
    assert rows[3] == "| none | 70.0 | 70.0 | 70.0 (60.0, 80.0) | 30.0 (20.0, 40.0) | 40.0 |"
