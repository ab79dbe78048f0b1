"""Entities: what is asked, with which thresholds and wordings, and what comes back."""

import pytest

from glinermt.config import TaskSettings
from glinermt.tasks import extract_entities
from glinermt.types import Query, Span
from tests.stub import StubExtractor

TEXT = "Zoë Kravitz ate 😀 pizza in Zürich; pizza, again."


def menu(query: Query) -> list[Span | tuple[str, str, float]]:
    second = query.text.rindex("pizza")
    return [
        ("Zoë Kravitz", query.labels[0], 0.9),
        ("pizza", query.labels[-1], 0.55),
        Span(second, second + 5, "pizza", query.labels[-1], 0.52),
    ]


def test_spans_carry_offsets_in_the_callers_text_in_its_order() -> None:
    model = StubExtractor(menu)
    spans = extract_entities(TEXT, ["person", "food"], model=model)
    assert [span.text for span in spans] == ["Zoë Kravitz", "pizza", "pizza"]
    assert all(TEXT[span.start : span.end] == span.text for span in spans)
    assert model.queries == [Query(TEXT, ("person", "food"))]


def test_overlap_and_labels_per_span_reach_the_model() -> None:
    model = StubExtractor(menu)
    extract_entities(TEXT, ["food"], overlap="nested", multi_label=True, model=model)
    assert model.calls[0]["overlap"] == "nested"
    assert model.calls[0]["multi_label"] is True
    assert model.calls[0]["span_score"] == "mean"


@pytest.mark.parametrize(
    ("saved", "given", "expected"),
    [
        (TaskSettings(), None, {"a": 0.5, "b": 0.5}),
        (TaskSettings(thresholds={"entities": 0.3}), None, {"a": 0.3, "b": 0.3}),
        (TaskSettings(thresholds={"answer": 0.3}), None, {"a": 0.5, "b": 0.5}),
        (
            TaskSettings(thresholds={"entities": 0.3}, label_thresholds={"b": 0.8, "c": 0.1}),
            None,
            {"a": 0.3, "b": 0.8},
        ),
        (
            TaskSettings(thresholds={"entities": 0.3}, label_thresholds={"b": 0.8}),
            0.6,
            {"a": 0.6, "b": 0.6},
        ),
        (TaskSettings(label_thresholds={"b": 0.8}), 0.0, {"a": 0.0, "b": 0.0}),
    ],
)
def test_thresholds_are_the_callers_else_the_models_else_one_half(
    saved: TaskSettings, given: float | None, expected: dict[str, float]
) -> None:
    model = StubExtractor(lambda _: [], settings=saved)
    extract_entities(TEXT, ["a", "b"], threshold=given, model=model)
    assert model.calls[0]["threshold"] == expected


def test_a_labels_own_threshold_wins_over_the_models() -> None:
    settings = TaskSettings(label_thresholds={"food": 0.9})
    model = StubExtractor(menu, settings=settings)
    assert len(extract_entities(TEXT, ["person", "food"], model=model)) == 1
    labels = {"person": {}, "food": {"threshold": 0.53}}
    assert len(extract_entities(TEXT, labels, model=model)) == 2


def test_the_models_wording_and_score_rule_are_used() -> None:
    settings = TaskSettings(prompts={"entities": "Find {all} entities:"}, span_score="min")
    model = StubExtractor(menu, settings=settings)
    extract_entities(TEXT, ["food"], model=model)
    assert model.queries[0].prompt == "Find {all} entities:"
    assert model.calls[0]["span_score"] == "min"


def test_thresholds_and_scores_are_those_after_the_models_temperature() -> None:
    model = StubExtractor(menu, settings=TaskSettings(temperatures={"entities": 2.0, "answer": 9}))
    (span,) = extract_entities(TEXT, ["person", "food"], threshold=0.7, model=model)
    assert span.text == "Zoë Kravitz"
    assert span.score == pytest.approx(0.75)  # odds of 9 to 1 become 3 to 1
    asked = model.calls[0]["threshold"]
    assert asked == {"person": pytest.approx(49 / 58), "food": pytest.approx(49 / 58)}


def test_many_texts_with_the_same_labels_are_one_call() -> None:
    model = StubExtractor(menu)
    extract_entities([TEXT] * 5, ["food"], model=model)
    assert len(model.calls) == 1
    assert len(model.queries) == 5
