"""Labels are names, names with descriptions, or names with options; what is wrong is named."""

from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from glinermt.errors import UsageError
from glinermt.tasks import (
    answer,
    classify,
    extract_entities,
    extract_keyphrases,
    extract_matches,
    extract_open_entities,
    extract_records,
    extract_relations,
    read,
    redact,
    summarize,
)
from glinermt.types import Query
from tests.stub import StubExtractor
from tests.tasks.heads_model import HeadsModel

TEXT = "Ann met Bob in Bonn."


def all_names(query: Query) -> list[tuple[str, str, float]]:
    """Find three names with the query's labels in turn, at scores 0.9, 0.6 and 0.3."""
    names = (("Ann", 0.9), ("Bob", 0.6), ("Bonn", 0.3))
    labels = query.labels * 3
    return [(name, labels[i], score) for i, (name, score) in enumerate(names)]


@pytest.fixture
def model() -> StubExtractor:
    return StubExtractor(all_names)


def found(labels: Any, model: StubExtractor, **options: Any) -> list[tuple[str, str]]:
    return [(s.text, s.label) for s in extract_entities(TEXT, labels, model=model, **options)]


def test_a_description_is_read_and_the_name_returned(model: StubExtractor) -> None:
    spans = found({"person": "a human being", "city": ""}, model)
    assert model.queries[0].labels == ("person: a human being", "city")
    assert spans == [("Ann", "person"), ("Bob", "city")]


def test_a_description_may_stand_among_the_options(model: StubExtractor) -> None:
    found({"person": {"description": "a human being", "threshold": 0.7}}, model)
    assert model.queries[0].labels == ("person: a human being",)
    assert model.calls[0]["threshold"] == {"person: a human being": 0.7}


def test_a_labels_own_threshold_wins_over_the_callers(model: StubExtractor) -> None:
    labels = {"person": {"threshold": 0.95}, "other": {}, "city": {"threshold": 0.2}}
    assert found(labels, model, threshold=0.7) == [("Bonn", "city")]
    assert found(labels, model, threshold=0.6) == [("Bob", "other"), ("Bonn", "city")]


def test_a_threshold_of_zero_is_a_threshold(model: StubExtractor) -> None:
    assert len(found({"person": {"threshold": 0}}, model, threshold=0.95)) == 3
    assert len(found(["person"], model, threshold=0.0)) == 3


def test_a_name_given_twice_counts_once(model: StubExtractor) -> None:
    found(["person", "city", "person"], model)
    assert model.queries[0].labels == ("person", "city")


@pytest.mark.parametrize("empty", [[], {}, ()])
@pytest.mark.parametrize("shape", [str, lambda text: [text, text], lambda text: iter([text])])
@pytest.mark.parametrize(
    "ask",
    [
        extract_entities,
        lambda text, none, model: extract_open_entities(text, "names", labels=none, model=model),
        extract_relations,
        classify,
        redact,
        lambda text, none, model: read(text, {"classes": {"mood": none}}, model=model),
    ],
    ids=["entities", "open entities", "relations", "classify", "redact", "read"],
)
def test_who_names_nothing_to_look_for_is_told(ask: Any, shape: Any, empty: Any) -> None:
    model = HeadsModel(lambda _: [])
    with pytest.raises(UsageError, match=r"expected at least one, got .* name what to look for"):
        ask(shape(TEXT), empty, model=model)


@pytest.mark.parametrize("threshold", [None, {"person": 0.5}])
def test_a_generator_of_names_is_told_from_one_of_lists(
    threshold: Any, model: StubExtractor
) -> None:
    specs = ([name] for name in ("person", "city"))
    found = extract_entities([TEXT, TEXT], specs, threshold=threshold, model=model)
    assert [{span.label for span in spans} for spans in found] == [{"person"}, {"city"}]
    message = r"labels: generator has one value for each text, .* pass list\(labels\)"
    with pytest.raises(TypeError, match=message):
        extract_entities(
            [TEXT, TEXT], (n for n in ("person", "city")), threshold=threshold, model=model
        )


def test_one_of_several_texts_may_be_asked_for_nothing_and_there_may_be_no_text() -> None:
    quiet = StubExtractor(lambda query: [("Ann", query.labels[0], 1.0)] if query.labels else [])
    assert extract_entities([], [], model=quiet) == []
    first, second = extract_entities([TEXT, TEXT], [["person"], []], model=quiet)
    assert [span.text for span in first] == ["Ann"]
    assert second == []


def test_texts_whose_labels_have_contrary_thresholds_keep_their_own(model: StubExtractor) -> None:
    specs = [{"x": {"threshold": limit}} for limit in (0.2, 0.5, 0.8, 0.2)]
    results = extract_entities([TEXT] * 4, specs, model=model)
    assert [len(spans) for spans in results] == [3, 2, 1, 3]
    assert len(model.calls) == 3


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (
            "person",
            TypeError,
            r"labels must be a list or a mapping, got 'person'; write \['person'\]",
        ),
        ("person, city", TypeError, r"got 'person, city'; write \['person', 'city'\]"),
        (b"person", TypeError, "labels must be a list or a mapping, got b'person'"),
        ({"person"}, TypeError, r"labels must be a list or a mapping, got \{'person'\}"),
        ({"person": ""}.keys(), TypeError, "labels must be a list or a mapping, got dict_keys"),
        (None, TypeError, "labels must be a list or a mapping, got None"),
        (["person", 3], TypeError, "a label must be str, got int: 3"),
        (["person", " "], ValueError, "a label is empty"),
        ({"": "nothing"}, ValueError, "a label is empty"),
        ({"person": 3}, TypeError, "label 'person': expected a description or a mapping, got 3"),
        ({"mood": ["good", "bad"]}, TypeError, r"go to read\(text, \{\"classes\""),
        ({"mood": {"labels": ["good"]}}, ValueError, r"go to read\(text, \{\"classes\""),
        ({"person": {"description": 3}}, TypeError, "label 'person': description must be str"),
        ({"person": {"treshold": 0.1}}, ValueError, "unknown option 'treshold'; choose from desc"),
        ({"person": {"threshold": 2}}, ValueError, r"threshold 2 lies outside \[0, 1\]"),
        ({"person": {"threshold": float("nan")}}, ValueError, r"nan lies outside \[0, 1\]"),
        ({"person": {"threshold": "0.5"}}, TypeError, "threshold must be a number, got '0.5'"),
        ({"person": {"threshold": True}}, TypeError, "threshold must be a number, got True"),
        (["a: b", "a"], None, ""),
        ({"a: b": {}, "a": "b"}, ValueError, "labels 'a: b' and 'a' both read 'a: b'; reword one"),
    ],
)
def test_a_bad_specification_is_named(
    labels: Any, error: type[Exception] | None, message: str, model: StubExtractor
) -> None:
    if error is None:
        assert found(labels, model)
        return
    with pytest.raises(error, match=message):
        found(labels, model)


@pytest.mark.parametrize(
    ("relations", "error", "message"),
    [
        ("met", TypeError, r"relations must be a list or a mapping, got 'met'; write \['met'\]"),
        ([""], ValueError, "a relation is empty"),
        (
            [("person", "met", "city")],
            ValueError,
            "give one, which is a list of names or a mapping",
        ),
        ({"met": ["person", "city"]}, TypeError, r"types of its ends are \{\"head\": "),
        ({"met": {"heads": ["person"]}}, ValueError, "relation 'met': unknown option 'heads'"),
        ({"met": {"head": "person"}}, TypeError, "'met': head must be a list of entity types"),
        ({"met": {"head": iter(["person"])}}, TypeError, "'met': head must be a list of entity"),
        ({"met": {"tail": 3}}, TypeError, "'met': tail must be a list of entity types, got 3"),
        ({"met": {"tail": [3]}}, TypeError, "'met': tail must be a list of entity types"),
        ({"met": {"symmetric": "no"}}, TypeError, "'met': symmetric must be True or False"),
    ],
)
def test_a_bad_relation_is_named(
    relations: Any, error: type[Exception], message: str, model: StubExtractor
) -> None:
    with pytest.raises(error, match=message):
        extract_relations(TEXT, relations, model=model)


def test_a_relation_that_can_never_hold_is_refused(model: StubExtractor) -> None:
    met = {"met": {"head": ["Person"], "tail": ["citty", "town"]}}
    message = r"'met' can never hold: none of its tail's types .* 'citty' \(did you mean 'city'\?\)"
    with pytest.raises(ValueError, match=message):
        extract_relations(TEXT, met, entities=["person", "city"], model=model)
    extract_relations(TEXT, met, entities=["person", "town"], model=model)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_outside_0_to_1_is_refused(threshold: float, model: StubExtractor) -> None:
    with pytest.raises(ValueError, match=r"lies outside \[0, 1\]"):
        found(["person"], model, threshold=threshold)


@pytest.mark.parametrize("threshold", [True, "0.5", np.True_])
def test_a_threshold_that_is_no_number_is_refused(threshold: Any, model: StubExtractor) -> None:
    with pytest.raises(TypeError, match="threshold must be a number, got "):
        found(["person"], model, threshold=threshold)


def test_a_threshold_may_be_numpys(model: StubExtractor) -> None:
    found(["person"], model, threshold=np.float32(0.25))
    found({"person": {"threshold": np.float32(0.75)}}, model)
    assert [call["threshold"] for call in model.calls] == [{"person": 0.25}, {"person": 0.75}]


def test_thresholds_may_be_given_by_label(model: StubExtractor) -> None:
    labels = {"person": "a human being", "city": {"threshold": 0.25}, "river": ""}
    found(labels, model, threshold={"person": 0.75, "city": 0.5})
    asked = {"person: a human being": 0.75, "city": 0.25, "river": 0.5}
    assert model.calls[0]["threshold"] == asked
    with pytest.raises(
        ValueError, match=r"threshold: unknown label 'persn' \(did you mean 'person'"
    ):
        found(labels, model, threshold={"persn": 0.7})
    with pytest.raises(ValueError, match=r"label 'person': threshold 7 lies outside \[0, 1\]"):
        found(labels, model, threshold={"person": 7})


class City(BaseModel):
    name: str


THRESHOLD = {"persn": 0.4}


@pytest.mark.parametrize(
    "call",
    [
        lambda m: extract_entities(
            [TEXT] * 2, [["person"], ["city"]], threshold=THRESHOLD, model=m
        ),
        lambda m: extract_entities(
            [TEXT] * 2, iter([["person"], ["city"]]), threshold=THRESHOLD, model=m
        ),
        lambda m: redact(TEXT, ["person"], threshold=THRESHOLD, model=m),
        lambda m: extract_records(TEXT, City, threshold=THRESHOLD, model=m),
        lambda m: extract_relations(TEXT, ["met"], entity_threshold=THRESHOLD, model=m),
        lambda m: extract_relations(
            TEXT, ["met"], entities=["person"], entity_threshold=THRESHOLD, model=m
        ),
        lambda m: extract_relations(
            TEXT, ["met"], entities=iter(["person"]), entity_threshold=THRESHOLD, model=m
        ),
        lambda m: extract_relations([TEXT] * 2, [["met"]] * 2, entity_threshold=THRESHOLD, model=m),
        lambda m: extract_relations(
            [TEXT] * 2,
            ["met"],
            entities=[["person"], ["city"]],
            entity_threshold=THRESHOLD,
            model=m,
        ),
        lambda m: extract_relations(iter([TEXT]), ["met"], entity_threshold=THRESHOLD, model=m),
        lambda m: list(
            extract_relations(
                iter([TEXT] * 2),
                ["met"],
                entities=iter([["person"], ["city"]]),
                entity_threshold=THRESHOLD,
                model=m,
            )
        ),
    ],
)
def test_a_threshold_for_a_label_that_no_text_is_asked_for_is_refused(
    call: Any, model: StubExtractor
) -> None:
    with pytest.raises(ValueError, match="threshold: unknown label 'persn'"):
        call(model)


def test_a_threshold_for_a_type_of_one_of_the_texts_holds(model: StubExtractor) -> None:
    types = [["person"], ["city"]]
    limits = {"person": 0.25}
    extract_relations(
        [TEXT] * 2, ["met"], entities=types, entity_threshold=limits, method="labels", model=model
    )
    assert model.calls[0]["threshold"]["person"] == 0.25
    spans = extract_entities(TEXT, ["person"], model=model)
    extract_relations(TEXT, ["met"], entities=spans, entity_threshold=limits, model=model)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: extract_keyphrases(TEXT, threshold=THRESHOLD, model=m),
        lambda m: extract_matches(TEXT, "all names", threshold=THRESHOLD, model=m),
        lambda m: answer("Who?", TEXT, threshold=THRESHOLD, model=m),
        lambda m: summarize(iter([TEXT]), unit="span", threshold=THRESHOLD, model=m),
    ],
)
def test_where_findings_have_one_label_thresholds_by_label_are_refused(
    call: Any, model: StubExtractor
) -> None:
    with pytest.raises(TypeError, match=r"threshold must be a number, got \{'persn': 0\.4\}"):
        call(model)


def test_a_threshold_is_for_the_name_that_findings_have(model: StubExtractor) -> None:
    with pytest.raises(ValueError, match=r"unknown label 'person' .*choose from 'Person'"):
        found(["Person", "person"], model, threshold={"person": 0.4})
    specs = [["person"], ["city"]]
    spans, _ = extract_entities([TEXT] * 2, specs, threshold={"person": 0.25}, model=model)
    assert len(spans) == 3


@pytest.mark.parametrize("name", [" City", "CITY", "city_", "City!", "(city)", "  city  "])
def test_the_model_reads_a_label_in_its_usual_form_and_the_user_gets_his_own(
    name: str, model: StubExtractor
) -> None:
    assert {label for _, label in found([name], model)} == {name}
    assert model.queries[0].labels == ("city",)


def test_labels_that_differ_only_in_form_are_asked_once_and_called_as_the_first(
    model: StubExtractor,
) -> None:
    spans = found(["Birth_Place", "birth place", "person", "Person "], model)
    assert model.queries[0].labels == ("birth place", "person")
    assert spans == [("Ann", "Birth_Place"), ("Bob", "person")]


def test_words_and_signs_inside_a_label_stay(model: StubExtractor) -> None:
    found(["C++", "C#", "date/time", "Q&A", "!!!"], model)
    assert model.queries[0].labels == ("c++", "c#", "date/time", "q&a", "!!!")
    labels = {"City": "a large place", "city": "a small place"}
    found(labels, model)
    assert model.queries[1].labels == ("city: a large place", "city: a small place")


def test_types_of_relations_are_told_apart_by_their_words_not_their_form() -> None:
    def script(query: Query) -> list[tuple[str, str, float]]:
        if " <> " in query.labels[0]:
            return [("Bonn", query.labels[0], 0.9)]
        return [("Ann", query.labels[0], 0.9), ("Bonn", query.labels[1], 0.9)]

    kinds = {"lives_in": {"head": ["Person"], "tail": ["City"]}, "x": {"head": ["person "]}}
    stub = StubExtractor(script)
    (first,) = extract_relations(TEXT, kinds, entities=["person", "city"], model=stub)
    assert (first.label, first.head.label, first.tail.label) == ("lives_in", "person", "city")
    assert stub.queries[-1].labels == ("Ann <> lives in", "Ann <> x")
