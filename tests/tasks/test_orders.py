"""Asking in several orders: the order in which labels are given changes nothing."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glinermt.tasks import extract_entities
from glinermt.tasks.entities import chosen
from glinermt.types import Query, Span
from tests.stub import StubExtractor

TEXT = "Ann met Bob in Bonn."
NAMES = {"Ann": "person", "Bob": "person", "Bonn": "city", "met Bob": "event"}
LABELS = ["person", "city", "event", "river"]


def fickle(query: Query) -> list[Span]:
    """Score a name the less the further behind its label stands."""
    found = []
    for name, label in NAMES.items():
        if label in query.labels:
            start = query.text.index(name)
            score = 0.9 - 0.12 * query.labels.index(label)
            found.append(Span(start, start + len(name), name, label, score))
    return found


def spans(labels: list[str], **options: Any) -> list[Span]:
    return extract_entities(TEXT, labels, model=StubExtractor(fickle), **options)


@settings(deadline=None)
@given(st.permutations(LABELS))
def test_results_are_the_same_for_every_order(labels: list[str]) -> None:
    assert spans(labels, order="invariant") == spans(LABELS, order="invariant")


def test_scores_are_means_over_four_orders_each_asked_in_one_call() -> None:
    model = StubExtractor(fickle)
    found = extract_entities(TEXT, LABELS, order="invariant", model=model)
    assert len(model.calls) == 1
    assert [sorted(query.labels) for query in model.queries] == [sorted(LABELS)] * 4
    assert len({query.labels for query in model.queries}) > 2
    places = [query.labels.index("city") for query in model.queries]
    (bonn,) = [span for span in found if span.text == "Bonn"]
    assert bonn.score == pytest.approx(sum(0.9 - 0.12 * place for place in places) / 4)


def test_overlaps_and_thresholds_are_as_without() -> None:
    flat = spans(LABELS, order="invariant", threshold=0.3)
    assert all(not a.overlaps(b) for a in flat for b in flat if a is not b)
    nested = spans(LABELS, order="invariant", threshold=0.3, overlap="nested")
    assert {span.text for span in nested} == set(NAMES)
    assert nested == sorted(nested, key=lambda span: (span.start, span.end))
    assert spans(LABELS, order="invariant", threshold=0.95) == []
    assert spans([*LABELS, "x"], order="invariant", threshold={"person": 1, "event": 1}) == [
        span for span in spans([*LABELS, "x"], order="invariant") if span.label == "city"
    ]


PLACES = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9), st.floats(0.1, 1)), max_size=30)


@given(PLACES)
def test_the_surest_spans_are_kept_that_cross_none(drawn: list[tuple[int, int, float]]) -> None:
    given_spans = [Span(start, start + size, "x" * size, "a", s) for start, size, s in drawn]
    kept: list[Span] = []
    for span in sorted(given_spans, key=lambda s: (-s.score, s.start, s.end)):
        crossed = any(
            a.start < b.start < a.end < b.end for o in kept for a, b in ((span, o), (o, span))
        )
        if not crossed and (span.start, span.end) not in [(o.start, o.end) for o in kept]:
            kept.append(span)
    found = chosen(given_spans, overlap="nested", multi_label=False)
    assert found == sorted(kept, key=lambda s: (s.start, s.end))


def test_each_text_gets_its_own_result() -> None:
    model = StubExtractor(fickle)
    found = extract_entities([TEXT, TEXT], [["city"], ["person"]], order="invariant", model=model)
    assert [[span.text for span in each] for each in found] == [["Bonn"], ["Ann", "Bob"]]


def test_an_unknown_order_is_refused() -> None:
    wrong: Any = "random"
    with pytest.raises(ValueError, match="unknown order 'random'"):
        spans(LABELS, order=wrong)


@pytest.mark.parametrize("order", ["given", "invariant"])
def test_an_unknown_overlap_or_flag_is_refused_in_every_order(order: Any) -> None:
    with pytest.raises(ValueError, match="unknown overlap 'any': choose from 'flat', 'nested'"):
        spans(LABELS, order=order, overlap="any")
    with pytest.raises(TypeError, match="multi_label must be True or False, got 'no'"):
        spans(LABELS, order=order, multi_label="no")
