"""Classification: scores for every label, the best one or all that fit, in either way of asking."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.config import TaskSettings
from glinermt.tasks import TASKS, classify
from glinermt.tasks.classification import CLASSES_AT_ONCE, MARKED_CLASSES, Classes
from glinermt.tasks.labels import read_labels
from glinermt.tasks.task import example
from glinermt.types import Classification, Query, Span
from tests.stub import StubExtractor
from tests.tasks.heads_model import HeadsModel

TEXT = "The battery lasts two days, but the screen is dim."
MARKED = TaskSettings(prompts={"classify": "Classify text into the following classes: {classes}"})


def nothing(_: Query) -> list[Span]:
    return []


def model(**classes: float) -> HeadsModel:
    return HeadsModel(nothing, classes=classes)


def test_the_likeliest_label_is_given_with_a_score_for_each() -> None:
    found = classify(TEXT, ["praise", "blame", "spam"], model=model(praise=2.0, blame=1.0))
    total = math.exp(2) + math.exp(1) + math.exp(-1)
    assert (found.label, found.labels) == ("praise", ("praise",))
    assert list(found.scores) == ["praise", "blame", "spam"]
    assert found.scores["blame"] == pytest.approx(math.exp(1) / total)
    assert sum(found.scores.values()) == pytest.approx(1)


def test_several_labels_fit_each_by_its_own_score() -> None:
    labels = ["praise", "blame", "spam"]
    found = classify(TEXT, labels, multi_label=True, model=model(praise=0.5, blame=2.0))
    assert (found.label, found.labels) == ("blame", ("blame", "praise"))
    assert found.scores["spam"] == pytest.approx(1 / (1 + math.e))
    none = classify(TEXT, labels, multi_label=True, model=model())
    assert (none.label, none.labels) == (None, ())


def test_labels_are_read_with_their_descriptions_and_named_without() -> None:
    heads = HeadsModel(nothing, classes={"praise: says it is good": 3.0})
    found = classify(TEXT, {"praise": "says it is good", "blame": {}}, model=heads)
    assert heads.queries[0] == Query(TEXT, classes=("praise: says it is good", "blame"))
    assert (found.label, set(found.scores)) == ("praise", {"praise", "blame"})


@pytest.mark.parametrize(
    ("threshold", "own", "labels"),
    [
        (None, {}, ("a", "b")),
        (0.8, {}, ("a",)),
        ({"a": 0.99, "b": 0.1}, {}, ("b",)),
        (0.8, {"b": {"threshold": 0.6}}, ("a", "b")),
        (1, {}, ()),
    ],
)
def test_thresholds_are_the_labels_own_or_the_callers(
    threshold: Any, own: dict[str, Any], labels: tuple[str, ...]
) -> None:
    asked = {"a": {}, "b": {}, **own}
    found = classify(TEXT, asked, multi_label=True, threshold=threshold, model=model(a=2.0, b=0.8))
    assert found.labels == labels


def test_a_text_may_have_no_label_where_the_best_is_unsure() -> None:
    unsure = model(a=0.1, b=0.0)
    assert classify(TEXT, ["a", "b"], model=unsure).label == "a"
    assert classify(TEXT, ["a", "b"], threshold=0.6, model=unsure).label is None
    saved = HeadsModel(nothing, TaskSettings(thresholds={"classify": 0.6}), classes={"a": -0.9})
    assert classify(TEXT, ["a", "b", "c"], model=saved).labels == ()


def test_the_models_temperature_softens_the_scores() -> None:
    settings = TaskSettings(temperatures={"classify": 4.0})
    warm = HeadsModel(nothing, settings, classes={"a": 4.0, "b": 0.0})
    cold = classify(TEXT, ["a", "b"], multi_label=True, model=model(a=1.0, b=0.0))
    assert classify(TEXT, ["a", "b"], multi_label=True, model=warm).scores == cold.scores


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_text_without_words_has_no_label(text: str) -> None:
    found = classify(text, ["a", "b"], model=model(a=1.0))
    assert found == Classification(None, (), {"a": 0.0, "b": 0.0})


def test_each_text_may_have_its_own_labels() -> None:
    heads = model(a=1.0, b=1.0)
    found = classify([TEXT, TEXT], [["a"], ["b"]], model=heads)
    assert [each.label for each in found] == ["a", "b"]
    assert len(heads.asks) == 1


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_the_labels_changes_nothing(labels: list[str]) -> None:
    found = classify(TEXT, labels, model=model(a=1.0, b=0.5, c=2.0))
    assert found.label == "c"
    assert found.scores == pytest.approx(
        classify(TEXT, sorted(labels), model=model(a=1.0, b=0.5, c=2.0)).scores
    )


def test_results_survive_json() -> None:
    found = classify(TEXT, ["a", "b"], model=model(a=1.0))
    assert Classification.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_model_that_cannot_classify_says_so() -> None:
    with pytest.raises(ValueError, match="this model cannot classify: it has no class head"):
        classify(TEXT, ["a"], model=StubExtractor(nothing))
    wrong: Any = "yes"
    with pytest.raises(TypeError, match="multi_label must be True or False, got 'yes'"):
        classify(TEXT, ["a"], multi_label=wrong, model=model())


def marks(query: Query) -> list[Span]:
    """Mark "blame" where it stands in the prompt, and the same word where it stands in the text."""
    found = []
    for name, score in (("blame", 0.9), ("praise", 0.4), ("praise, blame", 0.95)):
        start = query.text.find(name)
        while start >= 0:
            found.append(Span(start, start + len(name), name, query.labels[0], score))
            start = query.text.find(name, start + 1)
    return found


def test_published_models_mark_a_class_in_the_prompt() -> None:
    published = StubExtractor(marks, MARKED)
    found = classify(TEXT, ["praise", "blame", "spam"], multi_label=True, model=published)
    prompt = "Classify text into the following classes: praise, blame, spam"
    assert published.queries == [Query(f"{prompt} \n {TEXT}", ("match",))]
    assert found.labels == ("blame",)
    assert found.scores["blame"] == pytest.approx(0.9)
    assert found.scores["praise"] == pytest.approx(0.4)
    assert found.scores["spam"] < 0.01
    assert classify(TEXT, ["praise", "blame"], model=published).label == "blame"


def test_a_class_that_stands_in_the_text_is_not_taken_for_a_mark() -> None:
    def in_text(query: Query) -> list[Span]:
        start = query.text.rindex("blame")
        return [Span(start, start + 5, "blame", query.labels[0], 0.9)]

    published = StubExtractor(in_text, MARKED)
    found = classify("Do not blame us.", ["blame", "praise"], multi_label=True, model=published)
    assert found.labels == ()


def test_long_texts_and_lists_take_several_prompts_and_a_mean() -> None:
    def second_half(query: Query) -> list[Span]:
        start = query.text.find("class 30,")
        if start < 0 or "last" not in query.text:
            return []
        return [Span(start, start + 8, "class 30", query.labels[0], 0.8)]

    published = StubExtractor(second_half, MARKED)
    labels = [f"class {i}" for i in range(CLASSES_AT_ONCE + 10)]
    text = "One sentence has five words. " * 50 + "Five words stand at last. " * 50
    found = classify(text, labels, model=published)
    assert len(published.queries) == 4
    assert found.label == "class 30"
    assert len(found.scores) == len(labels)


def test_examples_say_the_classes_in_the_words_that_are_asked() -> None:
    asked = Classes(tuple(read_labels({"praise": "says it is good", "blame": ""})), True)
    made = example(TASKS["classify"], TEXT, asked, ["praise"])
    heads = model()
    classify(TEXT, {"praise": "says it is good", "blame": ""}, multi_label=True, model=heads)
    assert [made.query] == heads.queries
    assert (made.classes, made.task) == (("praise: says it is good",), "classify")
    with pytest.raises(ValueError, match="class 'spam' is not among praise, blame"):
        example(TASKS["classify"], TEXT, asked, ["spam"])
    marked = example(MARKED_CLASSES, TEXT, Classes(tuple(read_labels(["a", "bc"]))), ["bc"], MARKED)
    (span,) = marked.spans
    assert marked.query.text[span.start : span.end] == span.text == "bc"
