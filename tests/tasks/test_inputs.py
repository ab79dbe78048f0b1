"""One text gives one result, a list a list, an iterable a lazy iterator, in every task."""

import json
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glinermt.tasks import (
    TASKS,
    answer,
    classify,
    extract_entities,
    extract_keyphrases,
    extract_matches,
    extract_open_entities,
    extract_records,
    extract_relations,
    summarize,
)
from glinermt.tasks.inputs import CHUNK
from glinermt.types import Answer, Classification, Query, Relation, Span, Summary
from tests.stub import StubExtractor
from tests.tasks.heads_model import HeadsModel

ANN = Span(0, 3, "Ann", "")
TEXTS = ["Ann met Bob.", "", "Bob left. Ann stayed. Cid slept. Dan ate.", "none"]


@dataclass
class Named:
    """What records hold here."""

    name: str


def capitals(query: Query) -> list[Span]:
    """Find each capitalised word, as the first label, scored by its length."""
    found, place = [], 0
    for word in query.text.split() if query.labels else ():
        start = query.text.index(word, place)
        place = start + len(word)
        if word[0].isupper():
            found.append(Span(start, place, word, query.labels[0], 1 - 1 / (len(word) + 2)))
    return found


def run(task: str, text: Any, model: StubExtractor) -> Any:
    """Call a task by its name with arguments that suit any text."""
    calls: dict[str, Callable[[], Any]] = {
        "entities": lambda: extract_entities(text, ["name"], model=model),
        "open_entities": lambda: extract_open_entities(text, "all names", model=model),
        "relations": lambda: extract_relations(
            text, ["met"], entities=["name"], method="labels", model=model
        ),
        "answer": lambda: answer("Who?", text, model=model),
        "summarize": lambda: summarize(text, sentences=2, model=model),
        "matches": lambda: extract_matches(text, "all names", model=model),
        "classify": lambda: classify(text, ["good", "bad"], model=model),
        "records": lambda: extract_records(text, Named, model=model),
        "keyphrases": lambda: extract_keyphrases(text, model=model),
    }
    return calls[task]()


@pytest.fixture
def model() -> StubExtractor:
    return HeadsModel(capitals)


@pytest.mark.parametrize("task", TASKS)
@settings(deadline=None)
@given(texts=st.lists(st.sampled_from([*TEXTS, "Ann. Bob? Ann!", "Ärger mit Öl"]), max_size=6))
def test_a_list_gives_what_its_texts_give_one_by_one(task: str, texts: list[str]) -> None:
    model = HeadsModel(capitals)
    together = run(task, texts, model)
    assert isinstance(together, list)
    assert together == [run(task, text, model) for text in texts]
    assert list(run(task, iter(texts), model)) == together
    assert run(task, tuple(texts), model) == together


@pytest.mark.parametrize(
    "several",
    [
        np.array(TEXTS[:1]),
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS, index=[7, 3, 5, 1]),
        deque(TEXTS),
        dict.fromkeys(TEXTS).keys(),
        {1: TEXTS[0], 2: TEXTS[2]}.values(),
    ],
    ids=lambda several: type(several).__name__,
)
@pytest.mark.parametrize("task", TASKS)
def test_whatever_has_a_length_gives_a_list(task: str, several: Any, model: StubExtractor) -> None:
    assert run(task, several, model) == run(task, list(several), model)
    assert isinstance(run(task, several[:0] if hasattr(several, "dtype") else [], model), list)


@pytest.mark.parametrize("task", TASKS)
def test_an_iterable_is_read_lazily_in_bounded_portions(task: str, model: StubExtractor) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for i in range(10 * CHUNK):
            read += 1
            yield f"Ann met Bob{i}."

    results = run(task, texts(), model)
    assert read == 0
    for taken, _ in enumerate(results, start=1):
        assert read <= taken + CHUNK
    assert taken == read == 10 * CHUNK


@pytest.mark.parametrize("task", TASKS)
def test_no_texts_give_no_results(task: str, model: StubExtractor) -> None:
    assert run(task, [], model) == []
    assert list(run(task, iter([]), model)) == []


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_text_gives_an_empty_result(task: str, text: str, model: StubExtractor) -> None:
    result = run(task, text, model)
    unclassified = Classification(None, (), {"good": 0.0, "bad": 0.0})
    assert result in ([], Summary(()), Answer(None, 0.0, 1.0), unclassified)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "text must be str or several of them, got NoneType"),
        (3, "text must be str or several of them, got int"),
        (b"Ann", "got bytes; decode it first"),
        ({"a": "Ann"}, "got dict, which would be read as its keys"),
        ({"Ann", "Bob"}, "got set, which has no order; pass a list"),
        (pd.DataFrame({"a": ["Ann"]}), "got DataFrame of 2 dimensions; pass one column"),
        (np.array([["Ann"]]), "got ndarray of 2 dimensions"),
        (["Ann", None], "text 1 must be str, got NoneType; leave out what has no text"),
        (["Ann", math.nan], "text 1 must be str, got float; leave out what has no text"),
        (["Ann", b"Bob"], "text 1 must be str, got bytes; decode it first"),
    ],
)
def test_a_text_that_is_no_string_is_named(
    task: str, text: object, message: str, model: StubExtractor
) -> None:
    with pytest.raises(TypeError, match=message):
        run(task, text, model)


def test_a_bad_text_of_an_iterator_is_named_when_it_is_reached(model: StubExtractor) -> None:
    texts: list[Any] = ["Ann", 5]
    results = extract_entities(iter(texts), ["name"], model=model)
    with pytest.raises(TypeError, match="text 1 must be str, got int"):
        list(results)


def test_each_text_may_have_its_own_arguments(model: StubExtractor) -> None:
    texts = ["Ann met Bob.", "Bob left."]
    spans = extract_entities(texts, [["girl"], {"boy": {}}], model=model)
    assert [{s.label for s in found} for found in spans] == [{"girl"}, {"boy"}]
    answers = answer(["Who met Bob?", "Who left?"], texts, model=model)
    assert isinstance(answers, list)
    assert [query.prompt for query in model.queries[-2:]] == ["Who met Bob?", "Who left?"]
    extract_matches(texts, iter(["girls", "boys"]), model=model)
    assert [query.prompt for query in model.queries[-2:]] == ["girls", "boys"]
    model = StubExtractor(capitals)
    extract_relations(texts, [["met"], ["left"]], entities=[["girl"], ["boy"]], model=model)
    assert [query.labels for query in model.queries[-4:-2]] == [("girl",), ("boy",)]
    assert {label.split(" <> ")[1] for label in model.queries[-1].labels} == {"left"}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (
            lambda texts, values, m: extract_entities(texts, [[v] for v in values], model=m),
            "labels",
        ),
        (lambda texts, values, m: extract_open_entities(texts, values, model=m), "instruction"),
        (lambda texts, values, m: extract_matches(texts, values, model=m), "instruction"),
        (lambda texts, values, m: answer(values, texts, model=m), "question"),
        (lambda texts, values, m: extract_relations(texts, [values, values], model=m), "relations"),
        (
            lambda texts, values, m: extract_relations(
                texts, ["x"], entities=[[v] for v in values], model=m
            ),
            "entities",
        ),
    ],
)
def test_another_number_of_arguments_than_of_texts_is_an_error(
    call: Callable[..., Any], name: str, model: StubExtractor
) -> None:
    texts, values = ["Ann", "Bob", "Cid"], ["a", "b"]
    with pytest.raises(ValueError, match=f"3 texts but 2 values of {name}"):
        call(texts, values, model)
    with pytest.raises(ValueError, match=f"{name} ran out after 2 values"):
        list(call(iter(texts), values, model))
    with pytest.raises(ValueError, match=f"more values of {name} than texts"):
        list(call(iter(texts[:1]), values, model))


def test_one_text_takes_one_of_each_argument(model: StubExtractor) -> None:
    with pytest.raises(ValueError, match="one text, but several values of question"):
        answer(["Who?", "When?"], "Ann", model=model)
    with pytest.raises(ValueError, match="one text, but several values of labels"):
        extract_entities("Ann", [["a"], ["b"]], model=model)


def test_arguments_of_one_text_are_no_generators_or_arrays(model: StubExtractor) -> None:
    wrong: Any
    for wrong in (np.array(["a"]), (name for name in ["a"])):
        with pytest.raises(TypeError, match="labels must be a list of names or a mapping, got "):
            extract_entities("Ann", wrong, model=model)
        with pytest.raises(TypeError, match="relations must be a list of names or a mapping, got "):
            extract_relations("Ann", wrong, model=model)
        with pytest.raises(TypeError, match="question must be str, got "):
            answer(wrong, "Ann", model=model)


@pytest.mark.parametrize("task", TASKS)
def test_results_survive_json(task: str, model: StubExtractor) -> None:
    result = run(task, TEXTS[2], model)
    items = result if isinstance(result, list) else [result]
    if task == "records":  # their values are the caller's own type
        assert json.loads(json.dumps(items[0].to_dict()))["value"] == {"name": items[0].value.name}
        return
    kinds: dict[str, Any] = {
        "relations": Relation,
        "answer": Answer,
        "summarize": Summary,
        "classify": Classification,
    }
    kind = kinds.get(task, Span)
    assert items
    for item in items:
        assert kind.from_dict(json.loads(json.dumps(item.to_dict()))) == item


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"classify", "records"}))
def test_the_rule_of_scores_can_be_chosen(task: str) -> None:
    model = StubExtractor(capitals)
    functions: dict[str, Callable[..., Any]] = {
        "entities": partial(extract_entities, TEXTS[0], ["name"]),
        "open_entities": partial(extract_open_entities, TEXTS[0], "all names"),
        "relations": partial(
            extract_relations, TEXTS[0], ["met"], entities=[Span(0, 3, "Ann", "")]
        ),
        "answer": partial(answer, "Who?", TEXTS[0]),
        "summarize": partial(summarize, TEXTS[0]),
        "matches": partial(extract_matches, TEXTS[0], "all names"),
        "keyphrases": partial(extract_keyphrases, TEXTS[0]),
    }
    for rule in ("mean", "min"):
        functions[task](span_score=rule, model=model)
        assert model.calls[-1]["span_score"] == rule
    with pytest.raises(ValueError, match="unknown span_score 'max'"):
        functions[task](span_score="max", model=model)
