"""Answers: ranked, whole, not overlapping, and none where the text does not answer."""

import math
from typing import Any

import numpy as np
import pytest

from glinermt.config import TaskSettings
from glinermt.errors import ConfigError
from glinermt.tasks import answer, answers
from glinermt.types import Answer, Query, Span
from tests.stub import StubExtractor

TEXT = "Ada Lovelace wrote the first program in 1843, in London. Byron was her father."


def scripted(*found: tuple[str, float], settings: TaskSettings | None = None) -> StubExtractor:
    def script(query: Query) -> list[tuple[str, str, float]]:
        return [(text, query.labels[0], score) for text, score in found]

    return StubExtractor(script, settings=settings or TaskSettings())


def test_the_best_span_is_the_answer() -> None:
    model = scripted(("1843", 0.7), ("London", 0.9), ("Byron", 0.8))
    found = answer("Where?", TEXT, model=model)
    assert found == Answer(Span(49, 55, "London", "answer", 0.9), 0.9, 1.0 - 0.9)
    assert found.text == "London"
    assert model.queries == [Query(TEXT, ("answer",), "Where?", across_lines=True)]


def test_the_question_comes_first_as_in_the_docstring() -> None:
    model = scripted(("1843", 0.7))
    answer("When was {it}?", TEXT, model=model)
    assert (model.queries[0].prompt, model.queries[0].text) == ("When was {it}?", TEXT)


def test_a_text_without_answer_gives_none_and_says_how_surely() -> None:
    assert answer("Who?", TEXT, model=scripted()) == Answer(None, 0.0, 1.0)
    unsure = answer("Who?", TEXT, model=scripted(("Byron", 0.45)))
    assert unsure == Answer(None, 0.0, 0.55)
    assert unsure.text == ""


def test_no_answer_scores_do_not_depend_on_the_threshold() -> None:
    model = scripted(("Byron", 0.45), ("1843", 0.3))
    scores = {answer("Who?", TEXT, threshold=t, model=model).no_answer_score for t in (0, 0.4, 1)}
    assert scores == {0.55}


@pytest.mark.parametrize(
    ("saved", "given", "found"),
    [
        ({}, None, False),
        ({"answer": 0.4}, None, True),
        ({"answer": 0.4}, 0.6, False),
        ({}, 0, True),
    ],
)
def test_the_threshold_is_the_callers_else_the_models_else_one_half(
    saved: dict[str, float], given: float | None, found: bool
) -> None:
    model = scripted(("Byron", 0.45), settings=TaskSettings(thresholds=saved))
    given_answer = answer("Who?", TEXT, threshold=given, model=model)
    assert (given_answer.span is not None) == found


def test_several_answers_are_ranked_and_do_not_overlap() -> None:
    model = scripted(
        ("Ada Lovelace", 0.7), ("Lovelace", 0.9), ("London", 0.8), ("Byron", 0.6), ("1843", 0.2)
    )
    found = answers("Who?", TEXT, top_k=3, model=model)
    assert [a.text for a in found] == ["Lovelace", "London", "Byron"]
    assert [a.score for a in found] == [0.9, 0.8, 0.6]
    assert [a.no_answer_score for a in found] == [pytest.approx(0.1)] * 3
    assert len(answers("Who?", TEXT, top_k=9, threshold=0.0, model=model)) == 4
    assert answers("Who?", TEXT, top_k=1, model=model) == found[:1]


def test_several_answers_of_which_none_counts_are_one_that_abstains() -> None:
    assert answers("Who?", TEXT, top_k=3, model=scripted()) == [Answer(None, 0.0, 1.0)]


def test_the_number_of_answers_is_a_whole_number_from_one_on() -> None:
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        answers("Who?", TEXT, top_k=0, model=scripted())
    wrong: Any
    for wrong in (2.5, True, "2"):
        with pytest.raises(TypeError, match="top_k must be a whole number, got "):
            answers("Who?", TEXT, top_k=wrong, model=scripted())
    assert len(answers("Who?", TEXT, top_k=np.int64(2), model=scripted())) == 1  # type: ignore[call-overload]


def test_top_k_of_answer_still_works_for_a_version_with_a_warning() -> None:
    model = scripted(("Byron", 0.6), ("London", 0.8))
    old: Any = answer
    with pytest.warns(DeprecationWarning, match=r"call answers\(question, text, top_k=...\)"):
        assert old("Who?", TEXT, top_k=2, model=model) == answers("Who?", TEXT, model=model)
    with pytest.warns(DeprecationWarning, match="top_k"):
        assert old("Who?", TEXT, top_k=1, model=model) == answer("Who?", TEXT, model=model)


def test_question_and_text_may_be_given_by_name_in_any_order() -> None:
    model = scripted(("London", 0.6))
    first = answer("Where?", TEXT, model=model)
    assert answer(text=TEXT, question="Where?", model=model) == first
    assert answer(question="Where?", model=model, text=[TEXT]) == [first]
    assert answers(text=TEXT, question="Where?", model=model) == [first]


def test_a_threshold_of_zero_finds_the_least_likely_answer() -> None:
    model = scripted(("Byron", 0.004))
    assert answer("Who?", TEXT, model=model).span is None
    assert answer("Who?", TEXT, threshold=0, model=model).text == "Byron"


def test_a_whole_answer_wins_over_its_part_when_they_tie() -> None:
    model = scripted(("Lovelace", 0.9), ("Ada Lovelace", 0.89), ("Byron", 0.895))
    first, second = answers("Who?", TEXT, top_k=2, model=model)
    assert (first.text, first.score) == ("Ada Lovelace", 0.9)
    assert (second.text, second.score) == ("Byron", 0.895)
    assert answer("Who?", TEXT, model=model) == first


def test_a_whole_answer_that_scores_clearly_less_does_not_win() -> None:
    model = scripted(("Lovelace", 0.9), ("Ada Lovelace wrote the first program", 0.7))
    assert answer("Who?", TEXT, model=model).text == "Lovelace"


def test_answers_are_ranked_over_the_whole_of_a_text() -> None:
    text = TEXT * 50 + "The treasure lies under the oak. " + TEXT * 50
    model = scripted(("London", 0.6), ("under the oak", 0.8), ("Byron", 0.7))
    assert answer("Where is the treasure?", text, model=model).text == "under the oak"


def test_candidates_may_lie_within_one_another_and_must_start_and_end_well() -> None:
    model = scripted(("London", 0.6))
    answer("Where?", TEXT, model=model)
    assert model.calls[0]["overlap"] == "nested"
    assert model.calls[0]["span_score"] == "min"


def test_the_models_wordings_are_used_and_answers_named_alike() -> None:
    settings = TaskSettings(prompts={"answer": "Q: {question}"}, labels={"answer": "match"})
    model = scripted(("London", 0.6), settings=settings)
    found = answer("Where is {question}?", TEXT, model=model)
    assert model.queries == [Query(TEXT, ("match",), "Q: Where is {question}?", across_lines=True)]
    assert found.span is not None
    assert found.span.label == "answer"


@pytest.mark.parametrize(
    ("question", "error", "message"),
    [
        ("", ValueError, "question is empty"),
        ("  ", ValueError, "question is empty"),
        (None, TypeError, "question must be str, got NoneType"),
        (b"Who?", TypeError, "question must be str, got bytes"),
    ],
)
def test_a_question_that_asks_nothing_is_refused(
    question: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        answer(question, TEXT, model=scripted())


def test_an_answer_away_from_the_words_of_its_question_is_doubted() -> None:
    text = "The bridge was built in 1871. It burnt. The mill was painted in 1902 by Ida Voss."
    found = [("1871", 0.8), ("1902", 0.7)]
    settings = TaskSettings(evidence=2.0)

    def asked(question: str, evidence: TaskSettings) -> list[tuple[str, float]]:
        given = answers(question, text, model=scripted(*found, settings=evidence))
        return [(each.text, round(each.score, 3)) for each in given]

    assert asked("When was the mill painted?", TaskSettings()) == found
    # "mill" and "painted" stand elsewhere: two of three words of four letters or more.
    assert asked("When was the mill painted?", settings) == [("1902", 0.7), ("1871", 0.513)]
    assert asked("When did they build ships?", settings) == found  # nothing of it is in the text
    assert answer(
        "When was the mill painted?", text, model=scripted(("1871", 0.6), settings=settings)
    ) == (Answer(None, 0.0, pytest.approx(1 / (1 + 1.5 * math.exp(-4 / 3)))))
    assert asked("When was the bridge built by Ida Voss?", settings)[0][1] < 0.8
    with pytest.raises(ConfigError, match="evidence"):
        TaskSettings(evidence=-1)


@pytest.mark.parametrize(
    ("text", "question", "score"),
    [
        ("Rome signed in May.", "Who signed?", 0.8),
        ("Rome signed in May.", "Who did not sign?", 0.351),
        ("Rome signed in May.", "Who didn’t sign?", 0.351),
        ("Rome refused to sign in May.", "Who did not sign?", 0.8),
        ("Few were glad. It was late. Rome signed on Friday. Bonn did not.", "Who won’t?", 0.351),
        ("Bonn did not sign. Rome did so in May.", "Who did not sign?", 0.8),
        ("Rome knotted its notes.", "Who did the knot?", 0.8),
        ("Rome built 12 ships in 1702.", "Who built ships in 1702?", 0.8),
        ("Rome built 12 ships in 1702.", "Who built ships in 1703?", 0.351),
        ("Rome built two ships of 1,200 tons.", "Who built 2 ships of 1200 tons?", 0.8),
        ("Rome built ships, and so did Bonn.", "Which 2 cities built ships?", 0.8),
        ("Rome built ships.", "Who built " + "9" * 5000, 0.351),
        ("Rome built ships.", "Which one built ships?", 0.8),
        ("Rome rejected the treaty.", "Who accepted it?", 0.351),
        ("Rome accepts no treaty.", "Who accepted it?", 0.8),
        ("Rome is the least polluted city.", "What is the most polluted one?", 0.351),
        ("Rome has legal and illegal bars.", "Where are bars legal?", 0.8),
    ],
)
def test_an_answer_near_which_the_text_says_something_else_is_doubted(
    text: str, question: str, score: float
) -> None:
    model = scripted(("Rome", 0.8), settings=TaskSettings(evidence=2.0))
    found = answer(question, text, model=model, threshold=0.1)
    assert found.score == pytest.approx(score, abs=1e-3)
