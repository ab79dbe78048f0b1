"""Relations by pairs: all entities against all relations in one pass."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from glinermt.config import TaskSettings
from glinermt.errors import ConfigError
from glinermt.tasks import extract_entities, extract_relations
from glinermt.tasks.labels import read_labels
from glinermt.tasks.relations import PAIRS, Paired
from glinermt.tasks.task import example
from glinermt.types import Query, Relation, Span
from tests.stub import StubExtractor
from tests.tasks.acme import ENTITIES, TEXT, triples
from tests.tasks.heads_model import HeadsModel

ACME, ANN, BOB, BONN = (
    next(span for span in ENTITIES if span.text == name)
    for name in ("Acme", "Ann Lee", "Bob Ray", "Bonn")
)


def paired(*found: tuple[Span, str, Span, float], spans: Sequence[Span] = ()) -> HeadsModel:
    """Find these relations where their labels are asked, and these spans."""

    def relations(query: Query) -> list[Relation]:
        return [Relation(*each) for each in found if each[1] in query.relations]

    return HeadsModel(
        lambda query: [s for s in spans if s.label in query.labels], relations=relations
    )


def test_given_entities_and_all_relations_are_one_query() -> None:
    model = paired((ACME, "founded by", ANN, 0.9))
    found = extract_relations(TEXT, ["founded by", "seat"], entities=ENTITIES, model=model)
    assert found == [Relation(ACME, "founded by", ANN, 0.9)]
    (query,) = model.queries
    assert query == Query(TEXT, relations=("founded by", "seat"), entities=tuple(ENTITIES))


def test_types_and_relations_are_asked_in_the_same_pass() -> None:
    model = paired((ACME, "founded by", ANN, 0.9), spans=ENTITIES)
    kinds = {"founded by": {"description": "its maker", "head": ["organization"]}}
    model.relations = lambda query: [Relation(ACME, query.relations[0], ANN, 0.9)]
    found = extract_relations(
        TEXT, kinds, entities=["organization", "person"], entity_threshold=0.3, model=model
    )
    assert triples(found) == [("Acme", "founded by", "Ann Lee")]
    (query,) = model.queries
    assert query.labels == ("organization", "person")
    assert query.relations == ("founded by: its maker",)
    assert model.asks[0].threshold == {"organization": 0.3, "person": 0.3}
    assert model.asks[0].relation_threshold == {"founded by: its maker": 0.5}


def test_the_way_can_be_chosen() -> None:
    model = paired((ACME, "seat", BONN, 0.9))
    extract_relations(TEXT, ["seat"], entities=ENTITIES, method="labels", model=model)
    assert model.queries[0].labels[0] == "Acme <> seat"
    plain = StubExtractor(lambda _: [])
    assert extract_relations(TEXT, ["seat"], entities=ENTITIES, model=plain) == []
    with pytest.raises(ValueError, match="method 'pairs' needs a model with a relation head"):
        extract_relations(TEXT, ["seat"], entities=ENTITIES, method="pairs", model=plain)
    wrong: Any = "pair"
    with pytest.raises(ValueError, match=r"unknown method 'pair' \(did you mean 'pairs'"):
        extract_relations(TEXT, ["seat"], entities=ENTITIES, method=wrong, model=model)


def test_types_bind_heads_and_tails() -> None:
    model = paired((ACME, "seat", BONN, 0.9), (ANN, "seat", BONN, 0.8), (ACME, "seat", ANN, 0.7))
    kinds = {"seat": {"head": ["organization"], "tail": ["city"]}}
    found = extract_relations(TEXT, kinds, entities=ENTITIES, model=model)
    assert triples(found) == [("Acme", "seat", "Bonn")]


def test_a_relation_chooses_between_the_types_of_an_entity() -> None:
    person = replace(ACME, label="person", score=0.8)
    firm = replace(ACME, label="organization", score=0.6)
    model = paired(
        (person, "founded by", ANN, 0.9),
        (person, "spouse", ANN, 0.7),
        spans=[person, firm, ANN],
    )
    kinds = {
        "founded by": {"head": ["organization"], "tail": ["person"]},
        "spouse": {"head": ["person"], "tail": ["person"]},
    }
    found = extract_relations(TEXT, kinds, model=model)
    assert [(r.head.label, r.label) for r in found] == [("organization", "founded by")]


def test_nothing_is_related_to_itself_or_to_its_longer_name() -> None:
    text = "Sarah Bush met Tom. Sarah left. Paris was born in Paris."
    long, short = Span(0, 10, "Sarah Bush", "person"), Span(20, 25, "Sarah", "person")
    inner = Span(6, 10, "Bush", "family")
    man, city = Span(32, 37, "Paris", "person"), Span(50, 55, "Paris", "city")
    model = paired(
        (short, "knows", long, 0.9),
        (inner, "knows", long, 0.9),
        (man, "knows", city, 0.8),
        (city, "knows", man, 0.6),
    )
    entities = [long, short, inner, man, city]
    (found,) = extract_relations(text, ["knows"], entities=entities, model=model)
    assert (found.head, found.tail) == (man, city)


def test_symmetric_relations_are_given_once_and_a_head_as_many_as_allowed() -> None:
    model = paired(
        (ANN, "met", BOB, 0.7),
        (BOB, "met", ANN, 0.8),
        (ACME, "seat", BONN, 0.9),
        (ACME, "seat", ANN, 0.6),
    )
    kinds = {"met": {"symmetric": True}, "seat": {"max_per_head": 1}}
    found = extract_relations(TEXT, kinds, entities=ENTITIES, model=model)
    assert triples(found) == [("Acme", "seat", "Bonn"), ("Bob Ray", "met", "Ann Lee")]
    with pytest.raises(ValueError, match="'seat': max_per_head must be at least 1, got 0"):
        extract_relations(TEXT, {"seat": {"max_per_head": 0}}, entities=ENTITIES, model=model)


def test_thresholds_hold_for_relations_and_temperatures_only_for_them() -> None:
    settings = TaskSettings(thresholds={"relations": 0.6}, temperatures={"relations": 2.0})
    model = paired((ACME, "seat", BONN, 0.9), (ACME, "part of", BONN, 0.55), spans=ENTITIES)
    model.settings = settings
    kinds = {"seat": {}, "part of": {"threshold": 0.5}}
    found = extract_relations(TEXT, kinds, entities=["organization", "city"], model=model)
    assert [(r.label, round(r.score, 2), r.head.score) for r in found] == [
        ("part of", 0.53, 0.9),
        ("seat", 0.75, 0.9),
    ]
    assert extract_relations(TEXT, ["seat"], threshold=0.8, entities=ENTITIES, model=model) == []


def test_no_entities_have_no_relations() -> None:
    model = paired((ACME, "seat", BONN, 0.9))
    model.relations = lambda _: []
    assert extract_relations(TEXT, ["seat"], entities=[], model=model) == []


def test_examples_hold_relations_and_the_entities_that_are_asked() -> None:
    relations = tuple(read_labels({"founded by": "its maker"}, what="relation"))
    given = Paired(relations, (), tuple(ENTITIES))
    model = paired()
    extract_relations(TEXT, {"founded by": "its maker"}, entities=ENTITIES, model=model)
    made = example(PAIRS, TEXT, given, [Relation(ACME, "founded by", ANN)])
    assert [made.query] == model.queries
    assert [r.label for r in made.relations] == ["founded by: its maker"]
    assert (made.spans, made.task) == ((), "relations")
    typed = Paired(relations, tuple(read_labels(["organization", "person"])))
    made = example(PAIRS, TEXT, typed, [ACME, ANN, Relation(ACME, "founded by", ANN)])
    assert made.spans == (ACME, ANN)
    with pytest.raises(ValueError, match="'seat' is not among what is asked: founded by"):
        example(PAIRS, TEXT, given, [Relation(ACME, "seat", BONN)])


def test_a_sure_relation_raises_a_type_that_it_names() -> None:
    founder = replace(ANN, label="person", score=0.3)
    kinds = {"founded by": {"head": ["organization"], "tail": ["person"]}}
    firm = replace(ANN, label="organization", score=0.7)
    spans = [ACME, firm, founder]

    def tails(score: float, **options: Any) -> list[str]:
        model = paired((ACME, "founded by", ANN, score), spans=spans)
        found = extract_relations(
            TEXT, kinds, entities=["organization", "person"], model=model, **options
        )
        return [f"{r.tail.label} {r.tail.score}" for r in found]

    assert tails(0.9) == []
    assert tails(0.9, joint=True) == ["person 0.3"]
    assert tails(0.6, joint=True) == []  # odds of 0.3 times 0.6: below those of 0.5 times 0.5
    spans[1] = replace(firm, score=0.95)
    assert tails(0.9, joint=True) == []  # surely a firm


def test_types_below_their_threshold_are_not_raised_without_a_relation_that_names_them() -> None:
    model = paired((ACME, "met", ANN, 0.9), spans=[ACME, replace(ANN, label="person", score=0.3)])
    assert extract_relations(TEXT, ["met"], entities=["person"], joint=True, model=model) == []
    with pytest.raises(TypeError, match="joint must be True or False, got 'no'"):
        extract_relations(TEXT, ["met"], joint="no", model=model)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="joint needs method 'pairs'"):
        extract_relations(TEXT, ["met"], joint=True, method="labels", model=model)


def test_ends_have_the_temperature_and_thresholds_of_entities() -> None:
    """As ``extract_entities`` finds them with the same model."""
    cool = TaskSettings(temperatures={"entities": 2.0}, thresholds={"entities": 0.6})
    spans = [replace(ACME, score=0.9), replace(ANN, score=0.68)]
    model = paired((ACME, "founded by", ANN, 0.9), spans=spans)
    model.settings = cool
    types = ["organization", "person"]
    assert [s.text for s in extract_entities(TEXT, types, model=model)] == ["Acme"]
    assert extract_relations(TEXT, ["founded by"], entities=types, model=model) == []
    model = paired((ACME, "founded by", ANN, 0.9), spans=[spans[0], replace(ANN, score=0.7)])
    model.settings = cool
    (found,) = extract_relations(TEXT, ["founded by"], entities=types, model=model)
    assert found.head.score == extract_entities(TEXT, types, model=model)[0].score


def test_a_pair_with_other_entities_nearer_to_its_ends_is_doubted() -> None:
    text = "Ann Lee founded Acme, Bob Ray leads Zeta."
    ann, acme, bob, zeta = (
        Span(text.index(name), text.index(name) + len(name), name, label, 0.9)
        for name, label in (
            ("Ann Lee", "person"), ("Acme", "organization"),
            ("Bob Ray", "person"), ("Zeta", "organization"),
        )
    )  # fmt: skip
    everything = [ann, acme, bob, zeta]

    def scores(nearness: float, entities: Sequence[Span]) -> dict[tuple[str, str], float]:
        model = paired(*((o, "founded by", p, 0.9) for o in (acme, zeta) for p in (ann, bob)))
        model.settings = TaskSettings(nearness=nearness)
        found = extract_relations(
            text, ["founded by"], entities=entities, threshold=0.1, model=model
        )
        return {(r.head.text, r.tail.text): r.score for r in found}

    assert set(scores(0.0, everything).values()) == {0.9}
    doubted = scores(1.0, everything)
    assert doubted["Acme", "Bob Ray"] == 0.9
    # Bob Ray is nearer to Acme than Ann Lee is, Acme nearer to Bob Ray than Zeta is.
    once = pytest.approx(1 / (1 + math.exp(1) / 9))
    assert doubted["Acme", "Ann Lee"] == doubted["Zeta", "Bob Ray"] == once
    assert doubted["Zeta", "Ann Lee"] == pytest.approx(1 / (1 + math.exp(4) / 9))
    assert scores(1.0, [ann, zeta]) == {("Zeta", "Ann Lee"): 0.9}  # others were not asked for
    with pytest.raises(ConfigError, match="nearness"):
        TaskSettings(nearness=-1)
