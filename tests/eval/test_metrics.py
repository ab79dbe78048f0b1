"""Span metrics, worked by hand and against seqeval and nervaluate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nervaluate import Evaluator
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities

from glinermt.eval.metrics.entities import label_table, num_matched, span_counts, span_measure
from glinermt.eval.scores import Metric, interval, point, replicates, summarise
from glinermt.types import Span

TEXT = "Bill Gates founded Microsoft in Seattle"


def span(text: str, label: str) -> Span:
    start = TEXT.index(text)
    return Span(start, start + len(text), text, label)


def metrics(gold: list[Span], predicted: list[Span]) -> dict[str, float]:
    return point([span_counts(TEXT, gold, predicted)], span_measure)


def test_strict_needs_the_same_characters_and_label() -> None:
    gold = [span("Bill Gates", "person"), span("Microsoft", "organization")]
    predicted = [span("Gates", "person"), span("Microsoft", "organization")]
    found = metrics(gold, predicted)
    assert found["precision"] == found["recall"] == found["f1"] == 0.5
    assert found["partial_f1"] == 1.0
    assert found["token_f1"] == pytest.approx(2 * 2 / (2 + 3))


def test_a_right_place_with_a_wrong_label_is_wrong_in_every_scheme() -> None:
    found = metrics([span("Seattle", "city")], [span("Seattle", "person")])
    assert set(found.values()) == {0.0}


def test_nothing_to_find_and_nothing_found_scores_zero_not_nan() -> None:
    assert set(metrics([], []).values()) == {0.0}


def test_duplicate_spans_count_once() -> None:
    gold = [span("Seattle", "city")]
    assert metrics(gold, gold * 3)["precision"] == 1.0
    assert metrics(gold * 2, gold)["recall"] == 1.0


def test_partial_matches_each_gold_span_once() -> None:
    gold = [span("Bill Gates", "person")]
    predicted = [span("Bill", "person"), span("Gates", "person")]
    assert num_matched(gold, predicted) == 1
    assert metrics(gold, predicted)["partial_f1"] == pytest.approx(2 / 3)


def test_partial_finds_the_largest_matching_where_greedy_would_not() -> None:
    gold = [Span(0, 4, "", "x"), Span(0, 10, "", "x")]
    predicted = [Span(2, 8, "", "x"), Span(5, 10, "", "x")]
    assert num_matched(gold, predicted) == num_matched(gold[::-1], predicted) == 2


def test_label_table_lists_labels_without_gold() -> None:
    counts = span_counts(TEXT, [span("Seattle", "city")], [span("Bill", "person")])
    rows = {str(row["label"]): row for row in label_table([counts], ["city", "person", "river"])}
    assert (rows["city"]["gold"], rows["city"]["predicted"]) == (1, 0)
    assert (rows["person"]["gold"], rows["person"]["predicted"]) == (0, 1)
    assert rows["river"]["f1"] == 0.0


WORDS = [f"w{i}" for i in range(12)]
LINE = " ".join(WORDS)
tags = st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), min_size=12, max_size=12)


def spans_of(tag_list: list[str]) -> list[Span]:
    offsets = [(i * 3 if i < 10 else 30 + (i - 10) * 4) for i in range(12)]
    return [
        Span(offsets[first], offsets[last] + len(WORDS[last]), "", label)
        for label, first, last in get_entities(tag_list)
    ]


@given(st.lists(st.tuples(tags, tags), min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:.*seems not to be NE tag:UserWarning")
def test_strict_f1_is_seqevals(pairs: list[tuple[list[str], list[str]]]) -> None:
    scores = [span_counts(LINE, spans_of(gold), spans_of(guess)) for gold, guess in pairs]
    expected = f1_score([gold for gold, _ in pairs], [guess for _, guess in pairs], zero_division=0)
    assert point(scores, span_measure)["f1"] == pytest.approx(float(expected))


def test_partial_is_nervaluates_type_scheme_where_no_span_is_shared() -> None:
    gold = ["B-a", "I-a", "O", "B-b", "I-b", "I-b", "O", "B-a", "O", "O", "O", "O"]
    guess = ["O", "B-a", "O", "B-b", "I-b", "O", "O", "B-b", "O", "B-a", "O", "O"]
    result = Evaluator([gold], [guess], tags=["a", "b"], loader="list").evaluate()
    counts = span_counts(LINE, spans_of(gold), spans_of(guess))
    assert point([counts], span_measure)["partial_f1"] == pytest.approx(
        result["overall"]["ent_type"].f1
    )


def test_bootstrap_replicates_are_paired_and_seeded() -> None:
    good = [{"strict/right": 1.0, "strict/predicted": 1.0, "strict/gold": 1.0}] * 5
    mixed = good + [{"strict/right": 0.0, "strict/predicted": 1.0, "strict/gold": 1.0}] * 5
    first = replicates(mixed, span_measure, rounds=200, seed=3)["f1"]
    again = replicates(mixed, span_measure, rounds=200, seed=3)["f1"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, replicates(mixed, span_measure, rounds=200, seed=4)["f1"])


def test_bootstrap_interval_of_a_share_is_the_binomial_one() -> None:
    counts = [
        {"strict/right": float(i % 2), "strict/predicted": 1, "strict/gold": 1} for i in range(400)
    ]
    low, high = interval(replicates(counts, span_measure, rounds=2000)["f1"])
    half = 1.96 * 0.5 / 20
    assert low == pytest.approx(0.5 - half, abs=0.01)
    assert high == pytest.approx(0.5 + half, abs=0.01)


@pytest.mark.parametrize("order", [("empty", "full"), ("full", "empty")])
def test_the_interval_of_an_average_holds_sets_without_anything_to_count(
    order: tuple[str, str],
) -> None:
    gold = span("Microsoft", "organization")
    groups = {"empty": [span_counts(TEXT, [], [])], "full": [span_counts(TEXT, [gold], [gold])]}
    results = summarise(
        "model", {name: groups[name] for name in order}, span_measure, averaged=True
    )
    assert results[-1].metrics["f1"] == Metric(0.5, 0.5, 0.5)
