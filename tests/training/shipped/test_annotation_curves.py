"""The simulation of annotators: what its table says."""

import pytest

from glinermt.tasks.active_learning import STRATEGIES
from glinermt.training.shipped.annotation_curves import RANDOM, Point, needed, report


def curve(strategy: str, *scores: float, seed: int = 1) -> list[Point]:
    return [
        Point(strategy, seed, size, 2 * size, score)
        for size, score in zip((10, 20, 40), scores, strict=True)
    ]


def test_the_sentences_needed_lie_between_the_points_of_the_mean_curve() -> None:
    points = [*curve("margin", 0.2, 0.4, 0.6), *curve("margin", 0.2, 0.6, 0.8, seed=2)]
    assert needed(points, 0.6) == pytest.approx(30)
    assert needed(points, 0.1) == 10
    assert needed(points, 0.9) is None


def test_the_table_says_what_is_not_reached() -> None:
    points = curve(RANDOM, 0.2, 0.4, 0.6)
    for strategy in STRATEGIES:
        points += curve(strategy, 0.2, 0.3, 0.5)
    rows = report(points, 0.1).splitlines()
    assert rows[0] == "Without fine-tuning: F1 10.0."
    assert rows[4] == "| random | 20.0 | 40.0 | 60.0 | 80 | 20 | 40 |"
    assert rows[5] == "| margin | 20.0 | 30.0 | 50.0 | 80 | 30 | not reached |"
