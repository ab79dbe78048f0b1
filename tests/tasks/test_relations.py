"""Relations: what is asked, and how the spans found become relations between places."""

import re
from dataclasses import replace
from typing import Any

import pytest

from glinermt.config import TaskSettings
from glinermt.tasks import TASKS, extract_relations, relations
from glinermt.types import Query, Relation, Span
from tests.stub import StubExtractor
from tests.tasks.acme import ENTITIES, TEXT, places, scripted, triples


def test_each_name_is_asked_once_with_each_relation() -> None:
    model = scripted({"Acme <> founder": [("Ann Lee", 0.8)]})
    extract_relations(TEXT, ["founder", "seat"], entities=ENTITIES, model=model)
    (query,) = model.queries
    names = ("Acme", "Ann Lee", "Bob Ray", "Bonn")
    assert query.labels == tuple(f"{n} <> {r}" for r in ("founder", "seat") for n in names)
    assert query.prompt == TASKS["relations"].prompt
    assert model.calls[0]["multi_label"] is True
    assert model.calls[0]["overlap"] == "nested"


def test_a_relation_has_places_and_the_tails_score() -> None:
    model = scripted({"Acme <> founder": [("Ann Lee", 0.8)]})
    (found,) = extract_relations(TEXT, ["founder"], entities=ENTITIES, model=model)
    assert found == Relation(ENTITIES[0], "founder", places("Ann Lee", "person")[0], 0.8)
    for span in (found.head, found.tail):
        assert TEXT[span.start : span.end] == span.text


def test_the_mention_of_the_head_nearest_to_the_tail_is_chosen() -> None:
    model = scripted({"Acme <> employee": [("Bob Ray", 0.8), places("Ann Lee")[1]]})
    found = extract_relations(TEXT, ["employee"], entities=ENTITIES, model=model)
    acme = places("Acme")
    assert [(r.head.start, r.tail.text) for r in found] == [
        (acme[1].start, "Bob Ray"),
        (acme[2].start, "Ann Lee"),
    ]


def test_the_mention_in_the_tails_sentence_is_chosen_before_a_nearer_one() -> None:
    text = "Bob left Acme. Ann of the old town by the river joined Acme."
    model = scripted({"Acme <> member": [("Ann", 0.8)]})
    (found,) = extract_relations(text, ["member"], entities=places("Acme", "", text), model=model)
    assert found.head.start == text.rindex("Acme")


LONG = " ".join(f"Then Ann{i:02} of the old town met Bob{i:02} again." for i in range(40))
"""Of 400 words."""


def long_entities() -> list[Span]:
    return [span for i in range(40) for name in ("Ann", "Bob") for span in _pair(name, i)]


def _pair(name: str, number: int) -> list[Span]:
    return places(f"{name}{number:02}", "person", LONG)


def test_a_head_of_a_long_text_is_asked_in_the_stretches_around_its_mentions() -> None:
    def script(query: Query) -> list[tuple[str, str, float]]:
        asked = {label.split(" <> ")[0] for label in query.labels}
        return [(f"Bob{h[3:]}", f"{h} <> met", 0.8) for h in asked if h.startswith("Ann")]

    model = StubExtractor(script)
    found = extract_relations(LONG, ["met"], entities=long_entities(), model=model)
    assert triples(found) == [(f"Ann{i:02}", "met", f"Bob{i:02}") for i in range(40)]
    for r in found:
        assert LONG[r.head.start : r.head.end] == r.head.text
        assert LONG[r.tail.start : r.tail.end] == r.tail.text
    assert max(len(query.text.split()) for query in model.queries) <= relations.WORDS_AROUND
    assert sum(len(query.labels) for query in model.queries) == 80
    for query in model.queries:
        assert all(label.split(" <> ")[0] in query.text for label in query.labels)


def test_a_text_of_few_words_is_asked_whole() -> None:
    text = " ".join(LONG.split()[: relations.WORDS_AROUND])
    model = scripted({})
    heads = [span for span in long_entities() if span.end <= len(text)]
    extract_relations(text, ["met"], entities=heads, model=model)
    assert [query.text for query in model.queries] == [text]


def test_an_entity_across_a_sentence_border_is_not_cut() -> None:
    starts = [match.start() for match in re.finditer("Then", LONG)]
    across = [Span(s - 7, s + 4, LONG[s - 7 : s + 4], "x") for s in starts[1:]]
    model = scripted({})
    extract_relations(LONG, ["met"], entities=across, model=model)
    assert sum(len(query.labels) for query in model.queries) == 1
    assert [query.text for query in model.queries] == [LONG]


def test_of_mentions_equally_near_the_first_is_chosen() -> None:
    text = "Ann Bob Ann"
    model = scripted({"Ann <> met": [("Bob", 0.8)]})
    entities = places("Ann", "", text) + places("Bob", "", text)
    (found,) = extract_relations(text, ["met"], entities=entities, model=model)
    assert found.head.start == 0


def test_labels_are_mapped_back_through_a_table() -> None:
    text = "C <> D met <> and Ann."
    entities = places("C <> D", "x", text) + places("<>", "y", text)[1:] + places("Ann", "z", text)
    tails: dict[str, list[Span | tuple[str, float]]] = {
        "C <> D <> met <> often": [("Ann", 0.9)],
        "<> <> met <> often": [("Ann", 0.8)],
    }
    found = extract_relations(text, ["met <> often"], entities=entities, model=scripted(tails))
    assert triples(found) == [("C <> D", "met <> often", "Ann"), ("<>", "met <> often", "Ann")]


def test_pairs_that_happen_to_read_the_same_are_both_given() -> None:
    text = "A and A <> b and Ann."
    entities = [Span(0, 1, "A", "x"), Span(6, 12, "A <> b", "x"), Span(17, 20, "Ann", "z")]
    model = scripted({"A <> b <> c": [("Ann", 0.6)]})
    kinds: dict[str, Any] = {"c": {}, "b <> c": {}}
    found = extract_relations(text, kinds, entities=entities, model=model)
    assert triples(found) == [("A", "b <> c", "Ann"), ("A <> b", "c", "Ann")]
    kinds["c"] = {"threshold": 0.7}
    found = extract_relations(text, kinds, entities=entities, model=model)
    assert triples(found) == [("A", "b <> c", "Ann")]


def test_braces_in_a_head_are_text() -> None:
    text = "{relation} met Ann."
    entities = places("{relation}", "x", text)
    model = scripted({"{relation} <> met": [("Ann", 0.9)]})
    assert triples(extract_relations(text, ["met"], entities=entities, model=model)) == [
        ("{relation}", "met", "Ann")
    ]


def test_a_tail_is_snapped_to_the_entity_it_shares_most_with() -> None:
    model = scripted({"Acme <> founder": [("by Ann", 0.8)], "Acme <> seat": [("Lee in Bonn", 0.7)]})
    found = extract_relations(TEXT, ["founder", "seat"], entities=ENTITIES, model=model)
    assert triples(found) == [("Acme", "founder", "Ann Lee"), ("Acme", "seat", "Bonn")]
    assert [r.tail.label for r in found] == ["person", "city"]


def test_a_tail_that_is_no_entity_is_kept_as_its_own_span() -> None:
    model = scripted({"Acme <> joined": [("later", 0.8)]})
    (found,) = extract_relations(TEXT, ["joined"], entities=ENTITIES, model=model)
    start = TEXT.index("later")
    assert found.tail == Span(start, start + 5, "later", "", 0.8)


def test_two_tails_on_one_entity_are_one_relation_with_the_better_score() -> None:
    model = scripted({"Acme <> founder": [("Ann", 0.8), ("Lee", 0.9)]})
    (found,) = extract_relations(TEXT, ["founder"], entities=ENTITIES, model=model)
    assert (found.tail.text, found.score) == ("Ann Lee", 0.9)


def test_nothing_is_related_to_itself() -> None:
    model = scripted({"Acme <> owner": [places("Acme")[1], ("Acme was", 0.9)]})
    assert extract_relations(TEXT, ["owner"], entities=ENTITIES, model=model) == []
    tails: dict[str, list[Span | tuple[str, float]]] = {"Acme <> owner": [("was founded", 0.9)]}
    wide = [Span(0, 16, "Acme was founded", "x"), *places("Acme", "y")[:1]]
    found = extract_relations(TEXT, ["owner"], entities=wide, model=scripted(tails))
    assert found == []  # the tail snaps to what holds the head


def test_things_are_told_apart_by_their_place_and_type_not_by_their_name() -> None:
    text = "Paris was born in Paris."
    person, city = Span(0, 5, "Paris", "person"), Span(18, 23, "Paris", "city")
    for entities in ([person, city], [replace(person, label=""), replace(city, label="")]):
        model = scripted({"Paris <> born in": [Span(18, 23, "Paris", "", 0.9)]})
        (found,) = extract_relations(text, ["born in"], entities=entities, model=model)
        assert (found.head, found.tail) == tuple(entities)


def test_of_two_directions_between_equal_names_the_surer_is_kept() -> None:
    text = "Paris was born in Paris."
    both: list[Span | tuple[str, float]] = [
        Span(18, 23, "Paris", "", 0.9),
        Span(0, 5, "Paris", "", 0.6),
    ]
    entities = [Span(0, 5, "Paris", "person"), Span(18, 23, "Paris", "city")]
    model = scripted({"Paris <> born in": both})
    (found,) = extract_relations(text, ["born in"], entities=entities, model=model)
    assert (found.head.start, found.tail.start) == (0, 18)


def test_a_mention_is_not_related_to_its_own_longer_name() -> None:
    text = "Sarah Bush married Tom. Sarah was happy. The Bush Times wrote of it."
    person = [Span(0, 10, "Sarah Bush", "person"), Span(24, 29, "Sarah", "person")]
    paper = Span(45, 55, "Bush Times", "newspaper")
    tails: dict[str, list[Span | tuple[str, float]]] = {
        "Sarah <> spouse": [("Sarah Bush", 0.9), ("Tom", 0.8)],
        "Sarah Bush <> spouse": [person[1], ("Bush Times", 0.7)],
    }
    found = extract_relations(text, ["spouse"], entities=[*person, paper], model=scripted(tails))
    assert triples(found) == [
        ("Sarah Bush", "spouse", "Bush Times"),
        ("Sarah", "spouse", "Tom"),
    ]


def test_a_head_is_sought_where_it_stands_as_a_word() -> None:
    far = "Nothing happened on that day, as the people of the town will tell you. " * 40
    text = f"Ann lived here. {far} The Annual report was printed in Bonn. {far} Ann's son left."
    model = scripted({"Ann <> lives in": []})
    ann = Span(0, 3, "Ann", "person")
    extract_relations(text, ["lives in"], entities=[ann], model=model)
    asked = " ".join(query.text for query in model.queries)
    assert "Ann lived" in asked
    assert "Ann's son" in asked
    assert "Annual" not in asked


def test_types_bind_heads_and_tails() -> None:
    tails: dict[str, list[Span | tuple[str, float]]] = {
        f"{head} <> founder": [("Acme", 0.9), ("Ann Lee", 0.8), ("Bonn", 0.7), ("later", 0.6)]
        for head in ("Acme", "Ann Lee", "Bonn")
    }
    kinds = {"founder": {"head": ["organization"], "tail": ["person", "animal"]}}
    model = scripted(tails)
    found = extract_relations(TEXT, kinds, entities=ENTITIES, model=model)
    assert triples(found) == [("Acme", "founder", "Ann Lee")]
    assert model.queries[0].labels == ("Acme <> founder",)


def test_of_a_name_with_two_types_only_the_allowed_one_is_head() -> None:
    text = "Paris met Bob. Paris is big."
    entities = [Span(0, 5, "Paris", "person"), Span(15, 20, "Paris", "city")]
    model = scripted({"Paris <> area": [("big", 0.9)]})
    kinds = {"area": {"head": ["person"]}}
    (found,) = extract_relations(text, kinds, entities=entities, model=model)
    assert found.head.start == 0


def test_a_tail_is_snapped_only_to_an_entity_of_an_allowed_type() -> None:
    nested = [*ENTITIES, Span(31, 35, "Bonn", "venue"), Span(28, 35, "in Bonn", "phrase")]
    model = scripted({"Acme <> seat": [("in Bonn", 0.7)]})
    kinds = {"seat": {"tail": ["city"]}}
    (found,) = extract_relations(TEXT, kinds, entities=nested, model=model)
    assert (found.tail.text, found.tail.label) == ("Bonn", "city")


def test_a_symmetric_relation_is_given_once() -> None:
    tails: dict[str, list[Span | tuple[str, float]]] = {
        "Ann Lee <> knows": [("Bob Ray", 0.7)],
        "Bob Ray <> knows": [places("Ann Lee")[1]],
    }
    kinds: dict[str, Any] = {"knows": {"symmetric": True}}
    model = scripted(tails)
    (found,) = extract_relations(TEXT, kinds, entities=ENTITIES, model=model)
    assert (found.head.text, found.score) == ("Bob Ray", 0.9)
    both = extract_relations(TEXT, ["knows"], entities=ENTITIES, model=model)
    assert triples(both) == [("Ann Lee", "knows", "Bob Ray"), ("Bob Ray", "knows", "Ann Lee")]


def test_relations_stand_in_the_order_of_their_heads() -> None:
    tails: dict[str, list[Span | tuple[str, float]]] = {
        "Bob Ray <> b": [("Bonn", 0.7)],
        "Acme <> b": [("Bonn", 0.6), ("Ann Lee", 0.9)],
        "Acme <> a": [("Ann Lee", 0.8)],
    }
    found = extract_relations(TEXT, ["b", "a"], entities=ENTITIES, model=scripted(tails))
    keys = [(r.head.start, r.tail.start, r.label) for r in found]
    assert keys == sorted(keys)
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("saved", "given", "own", "expected"),
    [
        ({}, None, None, 0.5),
        ({"relations": 0.3}, None, None, 0.3),
        ({"relations": 0.3}, 0.6, None, 0.6),
        ({"relations": 0.3}, 0.6, 0.2, 0.2),
        ({}, 0.6, 0, 0),
    ],
)
def test_the_threshold_is_the_relations_own_else_the_callers_else_the_models(
    saved: dict[str, float], given: float | None, own: float | None, expected: float
) -> None:
    model = scripted({}, settings=TaskSettings(thresholds=saved))
    kinds: dict[str, Any] = {"founder": {"threshold": own}}
    extract_relations(TEXT, kinds, entities=ENTITIES[:1], threshold=given, model=model)
    assert model.calls[-1]["threshold"] == {"Acme <> founder": expected}


def test_a_description_is_read_and_the_name_returned() -> None:
    model = scripted({"Acme <> founder: who began it": [("Ann Lee", 0.8)]})
    kinds = {"founder": "who began it"}
    found = extract_relations(TEXT, kinds, entities=ENTITIES, model=model)
    assert triples(found) == [("Acme", "founder", "Ann Lee")]


def test_the_models_wordings_are_used() -> None:
    settings = TaskSettings(
        prompts={"relations": "Relate:"}, labels={"relations": "{relation} of {head}"}
    )
    model = scripted({"founder of Acme": [("Ann Lee", 0.8)]}, settings=settings)
    found = extract_relations(TEXT, ["founder"], entities=ENTITIES, model=model)
    assert triples(found) == [("Acme", "founder", "Ann Lee")]
    assert model.queries[0].prompt == "Relate:"
