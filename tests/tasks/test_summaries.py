"""Summaries: sentences within a budget, or the paper's pieces; in the order of the text."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.config import TaskSettings
from glinermt.tasks import summarize
from glinermt.types import Query, Summary
from tests.stub import StubExtractor

SENTENCES = [
    "Storms hit the coast.",  # 4 words
    "Dr. Smith from the institute measured record winds on Monday night.",  # 11 words
    "Some people like cake.",  # 4 words
    "Trains stopped running in the whole north.",  # 7 words
    "It rained.",  # 2 words
]
TEXT = " ".join(SENTENCES)
SCORES = dict(zip(SENTENCES, (0.5, 0.9, 0.02, 0.7, 0.6), strict=True))


def scripted(scores: dict[str, float], settings: TaskSettings | None = None) -> StubExtractor:
    def script(query: Query) -> list[tuple[str, str, float]]:
        return [(text, query.labels[0], s) for text, s in scores.items() if text in query.text]

    return StubExtractor(script, settings=settings or TaskSettings())


def chosen(**options: Any) -> list[int]:
    """Return the numbers of the sentences in the summary."""
    summary = summarize(TEXT, model=scripted(SCORES), **options)
    assert all(TEXT[span.start : span.end] == span.text for span in summary.spans)
    return [SENTENCES.index(span.text) for span in summary.spans]


def test_the_best_sentences_are_given_in_the_order_of_the_text() -> None:
    assert chosen(sentences=2) == [1, 3]
    assert chosen(sentences=4) == [0, 1, 3, 4]


def test_three_sentences_are_the_default() -> None:
    assert chosen() == [1, 3, 4]


def test_the_text_of_a_summary_joins_its_sentences() -> None:
    summary = summarize(TEXT, sentences=2, model=scripted(SCORES))
    assert summary.text == f"{SENTENCES[1]} {SENTENCES[3]}"
    assert [span.score for span in summary.spans] == [0.9, 0.7]
    assert {span.label for span in summary.spans} == {"summary"}


@pytest.mark.parametrize(
    ("words", "numbers"), [(1, [1]), (11, [1]), (14, [1, 4]), (18, [1, 3]), (20, [1, 3, 4])]
)
def test_a_budget_of_words_is_kept_but_for_a_first_sentence(words: int, numbers: list[int]) -> None:
    assert chosen(words=words) == numbers


def test_a_ratio_is_of_the_texts_words() -> None:
    assert chosen(ratio=18 / 28) == [1, 3]
    assert chosen(ratio=0.01) == [1]


@pytest.mark.parametrize("budget", [{"sentences": 5}, {"sentences": 99}, {"words": 28}])
def test_a_budget_as_large_as_the_text_gives_the_text(budget: dict[str, Any]) -> None:
    assert chosen(**budget) == [0, 1, 2, 3, 4]
    assert chosen(ratio=1) == [0, 1, 2, 3, 4]
    twice = summarize("Yes. Yes. Yes.", model=scripted({}), **budget)
    assert twice.text == "Yes. Yes. Yes."


@pytest.mark.parametrize("text", ["One sentence only", "  Hello there.\n", "😀"])
def test_a_text_of_one_sentence_gives_it(text: str) -> None:
    for options in ({}, {"words": 1}, {"ratio": 0.1}, {"sentences": 1}):
        assert summarize(text, model=scripted({}), **options).text == text.strip()


def test_nothing_found_gives_the_first_sentences() -> None:
    summary = summarize(TEXT, sentences=2, model=scripted({}))
    assert [span.text for span in summary.spans] == SENTENCES[:2]
    assert [span.score for span in summary.spans] == [0, 0]


def test_a_sentence_that_repeats_a_chosen_one_is_passed_over() -> None:
    first, again = "Trains stopped in the whole north.", "In the north, trains stopped again."
    text = f"{first} {again} It rained."
    model = scripted({first: 0.9, again: 0.8, "It rained.": 0.3})
    assert summarize(text, sentences=2, model=model).text == f"{first} It rained."


def test_a_piece_counts_for_the_part_of_a_sentence_that_it_covers() -> None:
    model = scripted({"cake": 0.99, "Trains stopped running in the whole": 0.6})
    summary = summarize(TEXT, sentences=1, model=model)
    assert summary.spans[0].text == SENTENCES[3]
    assert summary.spans[0].score == pytest.approx(0.6 * 35 / 42)


def test_the_pieces_of_a_sentence_add_up() -> None:
    model = scripted({"Trains stopped": 0.6, "in the whole north": 0.5, "It": 0.9})
    (span,) = summarize(TEXT, sentences=1, model=model).spans
    assert span.text == SENTENCES[3]
    assert span.score == pytest.approx((0.6 * 14 + 0.5 * 18) / 42)


def test_pieces_that_rank_sentences_must_start_and_end_well() -> None:
    model = scripted({})
    summarize(TEXT, model=model)
    summarize(TEXT, unit="span", model=model)
    assert [call["span_score"] for call in model.calls] == ["min", "mean"]


def test_a_piece_over_two_sentences_counts_for_both() -> None:
    piece = "measured record winds on Monday night. Some people like cake."
    summary = summarize(TEXT, sentences=2, model=scripted({piece: 0.8, "It rained.": 0.3}))
    assert [span.text for span in summary.spans] == SENTENCES[1:3]


def test_sentences_are_ranked_over_the_whole_of_a_long_text() -> None:
    text = TEXT * 100 + " The very last sentence matters most."
    model = scripted(SCORES | {"The very last sentence matters most.": 0.95})
    summary = summarize(text, sentences=2, model=model)
    assert summary.spans[-1].text == "The very last sentence matters most."


def test_pieces_are_the_papers_spans_above_a_tenth() -> None:
    model = scripted({"Storms": 0.11, "record winds": 0.5, "cake": 0.09})
    summary = summarize(TEXT, unit="span", model=model)
    assert summary.text == "Storms record winds"
    assert summarize(TEXT, unit="span", threshold=0.3, model=model).text == "record winds"
    assert summarize("Nothing here.", unit="span", model=model) == Summary(())


def test_the_models_lead_lets_early_sentences_count() -> None:
    def scores(lead: float) -> list[float]:
        model = scripted(SCORES, TaskSettings(lead=lead))
        return [span.score for span in summarize(TEXT, sentences=5, model=model).spans]

    assert scores(0.0) == list(SCORES.values())
    assert scores(1.0) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert scores(0.5)[1] == pytest.approx((0.9 + 0.8) / 2)
    best = summarize(TEXT, sentences=1, model=scripted(SCORES, TaskSettings(lead=0.8)))
    assert best.text == SENTENCES[0]


def test_the_models_settings_are_used() -> None:
    settings = TaskSettings(
        thresholds={"summarize": 0.4}, prompts={"summarize": "TL;DR"}, labels={"summarize": "gist"}
    )
    model = scripted({"Storms": 0.11, "record winds": 0.5}, settings)
    summary = summarize(TEXT, unit="span", model=model)
    assert summary.text == "record winds"
    assert summary.spans[0].label == "summary"
    assert model.queries == [Query(TEXT, ("gist",), "TL;DR", across_lines=True)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sentences": 0}, ValueError, "sentences must be at least 1, got 0"),
        ({"words": -3}, ValueError, "words must be at least 1, got -3"),
        ({"ratio": 0}, ValueError, "ratio must be above 0 and at most 1, got 0"),
        ({"ratio": 1.2}, ValueError, "ratio must be above 0 and at most 1, got 1.2"),
        ({"ratio": float("nan")}, ValueError, "ratio must be above 0"),
        ({"ratio": "half"}, TypeError, "ratio must be a number, got 'half'"),
        ({"sentences": 2.5}, TypeError, "sentences must be a whole number, got 2.5"),
        ({"words": True}, TypeError, "words must be a whole number, got True"),
        ({"sentences": 2, "words": 9}, ValueError, "give one budget, not sentences and words"),
        ({"sentences": 2, "unit": "span"}, ValueError, "sentences is a budget of sentences"),
        ({"unit": "word"}, ValueError, "unit 'word' is not known: choose from 'sentence', 'span'"),
        ({"threshold": 2, "unit": "span"}, ValueError, r"threshold 2 lies outside \[0, 1\]"),
        ({"threshold": 0.9}, ValueError, "threshold is for unit='span'; sentences are ranked"),
    ],
)
def test_a_bad_budget_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        summarize(TEXT, model=scripted(SCORES), **options)


def test_numbers_may_be_numpys() -> None:
    assert chosen(sentences=np.int64(2)) == chosen(sentences=2)
    assert chosen(words=np.int32(12)) == chosen(words=12)
    assert chosen(ratio=np.float32(0.5)) == chosen(ratio=0.5)


PIECES = ["It rained. ", "Dr. No left!\n\n", "再见。", "Cats, dogs; birds ", "e.g. this? ", "\t"]


@given(
    text=st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    sentences=st.integers(1, 6),
)
def test_any_summary_is_disjoint_sorted_and_within_its_budget(text: str, sentences: int) -> None:
    spans = summarize(text, sentences=sentences, model=scripted({"Cats": 0.4})).spans
    assert len(spans) <= sentences
    assert bool(spans) == bool(text.strip())
    for span in spans:
        assert text[span.start : span.end] == span.text == span.text.strip()
        assert 0 <= span.score <= 1
    assert all(a.end <= b.start for a, b in pairwise(spans))


def test_a_lone_surrogate_is_kept_and_shifts_nothing() -> None:
    text = "One \ud800 two. " + TEXT
    whole = summarize(text, sentences=99, model=scripted({}))
    assert [text[s.start : s.end] for s in whole.spans] == [s.text for s in whole.spans]
    assert whole.spans[0].text == "One \ud800 two."
