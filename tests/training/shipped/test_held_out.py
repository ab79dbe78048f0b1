"""How the texts that nothing trains on are scored."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from glinermt.training.shipped.held_out import question_scores, relation_scores
from glinermt.training.shipped.written.passages import read_domain
from glinermt.types import Query, Relation
from tests.stub import StubExtractor
from tests.tasks.heads_model import HeadsModel

DOMAIN = """\
type: person < person
type: town < location
rel: born in | inverse: birthplace of
rel: lives in | inverse: home of
rel: married to | symmetric
---
[Ann|person|a] and [Bo|person|b] live in [Rome|town|r], where [Ann|person|a] was born.
a > born in > r
b > lives in > r
a > married to > b
"""
TOPIC = """\
---
Ann went to Rome by ship.
Q: How did Ann travel? | by ship
N: How did Bo travel?
"""


def related(scores: Mapping[tuple[str, str, str], float]) -> HeadsModel:
    def relations(query: Query) -> list[Relation]:
        ends = query.entities or ()
        return [
            Relation(head, name, tail, scores.get((head.text, name, tail.text), 0.01))
            for head in ends
            for tail in ends
            for name in query.relations
        ]

    return HeadsModel(lambda _: (), relations=relations)


def test_relations_are_chosen_among_those_of_the_domain_and_ranked_against_all_pairs(
    tmp_path: Path,
) -> None:
    (tmp_path / "home.txt").write_text(DOMAIN, encoding="utf-8")
    domain = read_domain(tmp_path / "home.txt")
    model = related(
        {
            ("Ann", "born in", "Rome"): 0.9,
            ("Ann", "lives in", "Rome"): 0.8,  # false, and above half of what holds
            ("Bo", "lives in", "Rome"): 0.7,
            ("Ann", "married to", "Bo"): 0.6,
            ("Bo", "married to", "Ann"): 0.5,
            ("Bo", "born in", "Ann"): 0.55,  # false
        }
    )
    scores = relation_scores(model, domain, "home")
    assert scores.relations == 4  # a marriage counts both ways
    assert scores.choosing == pytest.approx(75)  # Bo's, to Ann, loses to a birth
    assert scores.best_f1 == pytest.approx(100 * 2 * 4 / (6 + 4))
    assert scores.false_at_half == pytest.approx(100 * 1 / (6 * 3 - 4))


def answering(**scores: float) -> StubExtractor:
    """A model that has an answer to each question, scored by the name in it."""
    words = {"Ann": "by ship", "Bo": "Rome"}
    return StubExtractor(
        lambda query: [
            (words[name], "answer", score) for name, score in scores.items() if name in query.prompt
        ]
    )


def test_questions_are_scored_whatever_the_threshold(tmp_path: Path) -> None:
    topic = tmp_path / "trips.txt"
    topic.write_text(TOPIC, encoding="utf-8")
    told_apart = question_scores(answering(Ann=0.3, Bo=0.1), topic)
    assert (told_apart.questions, told_apart.unanswerable) == (2, 1)
    assert told_apart.best_f1 == pytest.approx(100)
    assert told_apart.average_precision == pytest.approx(100)
    turned = question_scores(answering(Ann=0.1, Bo=0.3), topic)
    assert turned.best_f1 == pytest.approx(50)  # that of no answer at all
    assert turned.average_precision == pytest.approx(50)
