"""Question answering with abstention: the question is the prompt, the answer a span."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

from glinermt.config import check_count
from glinermt.default_model import load_extractor
from glinermt.tasks.inputs import check_string, shaped, string_argument
from glinermt.tasks.run import ask, default_threshold, wording
from glinermt.types import Answer, Example, Extractor, Query, Span, SpanScore

Model = Extractor | str | Path | None

TASK = "answer"
PROMPT = "{question}"
LABEL = "answer"
THRESHOLD = 0.5
LEAST_SCORE = 0.01
"""Candidates below are looked at only for a lower threshold; without one ``no_answer_score`` is
1."""
SPAN_SCORE: SpanScore = "min"
"""With so low a ``LEAST_SCORE``, the mean of the inside scores forgets where an answer starts and
ends, and ranks its best word before the whole."""
TIE = 0.02
"""A longer candidate that takes the best one in and scores less by at most this is preferred, and
gets its score: those of nested spans are the least of nearly the same words, and the better answer
is whole."""


@overload  # A str is an iterable of str, too; the first that fits holds.
def answer(  # type: ignore[overload-overlap]
    question: str | Iterable[str],
    text: str,
    *,
    threshold: float | None = None,
    top_k: Literal[1] = 1,
    model: Model = None,
) -> Answer: ...
@overload
def answer(  # type: ignore[overload-overlap]
    question: str | Iterable[str],
    text: str,
    *,
    threshold: float | None = None,
    top_k: int,
    model: Model = None,
) -> list[Answer]: ...
@overload
def answer(  # type: ignore[overload-overlap]
    question: str | Iterable[str],
    text: Sequence[str],
    *,
    threshold: float | None = None,
    top_k: Literal[1] = 1,
    model: Model = None,
) -> list[Answer]: ...
@overload
def answer(  # type: ignore[overload-overlap]
    question: str | Iterable[str],
    text: Sequence[str],
    *,
    threshold: float | None = None,
    top_k: int,
    model: Model = None,
) -> list[list[Answer]]: ...
@overload
def answer(
    question: str | Iterable[str],
    text: Iterable[str],
    *,
    threshold: float | None = None,
    top_k: int = 1,
    model: Model = None,
) -> Iterator[Any]: ...
def answer(
    question: str | Iterable[str],
    text: str | Iterable[str],
    *,
    threshold: float | None = None,
    top_k: int = 1,
    model: Model = None,
) -> Any:
    """Answer a question from a text, or say that the text does not answer it.

    Args:
        question: for all texts, or one for each.
        text: one text, a list, or an iterable of texts; the result has the same shape.
        threshold: least score of an answer; None = the model's, else 0.5.
        top_k: 1 gives an Answer a text; more give a list of at most that many Answers a text,
            ranked, none overlapping another; a list of one abstaining Answer where none counts.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or questions are no strings, or ``top_k`` is no whole number.
        ValueError: an empty question, ``top_k`` below 1, or numbers that do not match.
    """
    top_k = check_count("top_k", top_k)
    extractor = load_extractor(model)

    def run(texts: list[str], rows: list[tuple[str]]) -> list[Answer | list[Answer]]:
        limit = default_threshold(extractor, TASK, threshold, THRESHOLD)
        queries = [_query(extractor, asked, t) for t, (asked,) in zip(texts, rows, strict=True)]
        found = ask(
            extractor,
            TASK,
            queries,
            [min(limit, LEAST_SCORE)] * len(queries),
            overlap="nested",
            span_score=SPAN_SCORE,
        )
        ranked = [_ranked(spans, top_k) for spans in found]
        answers = [_answers(spans, limit) for spans in ranked]
        return [a[0] for a in answers] if top_k == 1 else list(answers)

    arguments = [string_argument("question", question)]
    return shaped(text, arguments, run)


def example(text: str, question: str, answers: Iterable[Span]) -> Example:
    """Make the training example; no answers = the text does not answer."""
    spans = tuple(replace(span, label=LABEL) for span in answers)
    return Example(Query(text, (LABEL,), question), spans)


def _query(model: Extractor, question: str, text: str) -> Query:
    asked = check_string("question", question)
    prompt = wording(model.settings.prompts, TASK, PROMPT, question=asked)
    return Query(text, (model.settings.labels.get(TASK, LABEL),), prompt)


def _ranked(spans: list[Span], number: int) -> list[Span]:
    """Choose up to ``number`` spans, best first, none overlapping another."""
    left = sorted(spans, key=lambda span: (-span.score, span.start, -span.end))
    chosen: list[Span] = []
    while left and len(chosen) < number:
        best = left[0]
        whole = [
            span
            for span in left
            if span.start <= best.start and span.end >= best.end and span.score >= best.score - TIE
        ]
        longest = max(whole, key=lambda span: span.end - span.start)
        chosen.append(replace(longest, score=best.score))
        left = [span for span in left if not span.overlaps(longest)]
    return chosen


def _answers(ranked: list[Span], threshold: float) -> list[Answer]:
    no_answer = 1.0 - (ranked[0].score if ranked else 0.0)
    answers = [
        Answer(replace(span, label=LABEL), span.score, no_answer)
        for span in ranked
        if span.score >= threshold
    ]
    return answers or [Answer(None, 0.0, no_answer)]
