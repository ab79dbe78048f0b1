"""The entities of relation extraction: given, of types given, or of any; and not of other texts."""

from typing import Any

import pytest

from glinermt.tasks import extract_relations, relations
from glinermt.types import Span
from tests.tasks.acme import ENTITIES, TEXT, scripted, triples

TAILS: dict[str, list[Span | tuple[str, float]]] = {"Acme <> founder": [("Ann Lee", 0.8)]}


def test_entity_types_are_looked_for_first() -> None:
    model = scripted(TAILS, ENTITIES)
    found = extract_relations(
        TEXT, ["founder"], entities=["organization", "person"], entity_threshold=0.7, model=model
    )
    assert triples(found) == [("Acme", "founder", "Ann Lee")]
    assert [query.labels for query in model.queries] == [
        ("organization", "person"),
        ("Acme <> founder", "Ann Lee <> founder", "Bob Ray <> founder"),
    ]
    assert model.calls[0]["threshold"] == {"organization": 0.7, "person": 0.7}


def test_entity_types_may_have_descriptions() -> None:
    model = scripted(TAILS, [])
    extract_relations(TEXT, ["founder"], entities={"firm": "a company"}, model=model)
    assert model.queries[0].labels == ("firm: a company",)


@pytest.mark.parametrize(
    ("kinds", "types"),
    [
        ({"founder": {}}, relations.ANY_ENTITY),
        ({"founder": {"head": ["firm"], "tail": ["person"]}}, ("firm", "person")),
        ({"founder": {"head": ["firm"]}}, ("firm",)),
        ({"a": {"head": ["firm"]}, "b": {}}, ("firm", *relations.ANY_ENTITY)),
        ({"founder": {"tail": ["person"]}}, ("person", *relations.ANY_ENTITY[1:])),
    ],
)
def test_without_entities_the_types_of_the_relations_are_looked_for_or_any(
    kinds: dict[str, Any], types: tuple[str, ...]
) -> None:
    model = scripted(TAILS, [])
    assert extract_relations(TEXT, kinds, model=model) == []
    assert model.queries[0].labels == types


def test_no_entities_have_no_relations_and_cost_no_question() -> None:
    model = scripted(TAILS)
    assert extract_relations(TEXT, ["founder"], entities=[], model=model) == []
    assert not any(query.labels for query in model.queries)


def test_entities_may_come_from_an_iterator() -> None:
    found = extract_relations(TEXT, ["founder"], entities=iter(ENTITIES), model=scripted(TAILS))
    assert triples(found) == [("Acme", "founder", "Ann Lee")]


def test_several_texts_take_a_list_of_entities_each() -> None:
    model = scripted(TAILS)
    found = extract_relations([TEXT, TEXT], ["founder"], entities=[ENTITIES, []], model=model)
    assert [triples(each) for each in found] == [[("Acme", "founder", "Ann Lee")], []]


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        (Span(1, 5, "Acme", "x"), "entity 'Acme' is not at 1:5, where the text has 'cme '; pass"),
        (Span(-5, -1, "Acme", "x"), "entity 'Acme' is not at -5:-1"),
        (Span(4, 4, "", "x"), "entity '' is not at 4:4"),
        (Span(500, 504, "Acme", "x"), "entity 'Acme' is not at 500:504"),
    ],
)
def test_entities_of_another_text_are_refused(entity: Span, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extract_relations(TEXT, ["founder"], entities=[entity], model=scripted(TAILS))


def test_entities_and_types_cannot_be_mixed() -> None:
    mixed: Any = [ENTITIES[0], "person"]
    with pytest.raises(TypeError, match="entities must be all Spans or all types"):
        extract_relations(TEXT, ["founder"], entities=mixed, model=scripted(TAILS))


def test_entities_as_json_has_them_are_named() -> None:
    rows: Any = [ENTITIES[0].to_dict()]
    with pytest.raises(TypeError, match=r"must be Spans or types, got \{.*Span.from_dict makes"):
        extract_relations(TEXT, ["founder"], entities=rows, model=scripted(TAILS))


@pytest.mark.parametrize("entities", ["person", {"person", "city"}, 3])
def test_types_are_a_list_or_a_mapping_as_labels_are(entities: Any) -> None:
    with pytest.raises(TypeError, match="labels must be a list or a mapping, got "):
        extract_relations(TEXT, ["founder"], entities=entities, model=scripted(TAILS))


def test_a_set_of_entities_is_read_in_the_order_of_the_text() -> None:
    model = scripted(TAILS)
    found = extract_relations(TEXT, ["founder"], entities=set(ENTITIES), model=model)
    assert triples(found) == [("Acme", "founder", "Ann Lee")]
    names = ("Acme", "Ann Lee", "Bonn", "Bob Ray")
    assert model.queries[0].labels == tuple(f"{name} <> founder" for name in names)


def test_types_of_a_relation_may_be_a_set() -> None:
    model = scripted(TAILS, [])
    extract_relations(TEXT, {"founder": {"head": {"firm", "band", "club"}}}, model=model)
    assert model.queries[0].labels == ("band", "club", "firm")
