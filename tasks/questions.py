"""Question answering with abstention: the question is the prompt, the answer a span."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from glinermt.config import TaskSettings, check_count, doubted
from glinermt.default_model import load_extractor
from glinermt.tasks.evidence import unsupported
from glinermt.tasks.inputs import Several, check_string, restore, rows, string_argument
from glinermt.tasks.labels import Label
from glinermt.tasks.run import one_threshold, stream
from glinermt.tasks.task import Task
from glinermt.types import Answer, Best, Extractor, Found, Query, Span, SpanScore

Model = Extractor | str | Path | None

LABEL = "answer"
TIE = 0.02
"""A longer candidate that takes the best one in and scores less by at most this is preferred, and
gets its score: those of nested spans are the least of nearly the same words, and the better answer
is whole."""
FEW = 5
"""Answers that ``answers`` gives where the caller says no number."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a text, and how many answers it may have."""

    text: str
    most: int = 1


@overload  # A str is an iterable of str, too; the first that fits holds.
def answer(  # type: ignore[overload-overlap]
    question: str | Iterable[str],
    text: str,
    *,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    model: Model = None,
) -> Answer: ...
@overload
def answer(  # type: ignore[overload-overlap]
    question: str | Iterable[str],
    text: Several,
    *,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    model: Model = None,
) -> list[Answer]: ...
@overload
def answer(
    question: str | Iterable[str],
    text: Iterable[str],
    *,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    model: Model = None,
) -> Iterator[Answer]: ...
def answer(
    question: str | Iterable[str],
    text: str | Iterable[str],
    *,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    top_k: int | None = None,
    model: Model = None,
) -> Any:
    """Answer a question from a text, or say that the text does not answer it.

    Args:
        question: for all texts, or one for each.
        text: one text, a list, or an iterable of texts; the result has the same shape.
        threshold: least score of an answer; None = the model's, else 0.5.
        span_score: how an answer's score comes from its words': ``min``, or ``mean``.
        top_k: deprecated; above 1 it gives what ``answers`` gives.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or questions are no strings.
        ValueError: an empty question, or numbers that do not match.
    """
    if top_k is not None:
        warnings.warn(
            "answer(top_k=...) will go: call answers(question, text, top_k=...) for several",
            DeprecationWarning,
            stacklevel=2,
        )
        if check_count("top_k", top_k) > 1:
            return answers(
                question,
                text,
                threshold=threshold,
                span_score=span_score,
                top_k=top_k,
                model=model,
            )
    ranked = _ask(question, text, threshold, span_score, 1, model)
    return restore(text, (each[0] for each in ranked))


@overload
def answers(  # type: ignore[overload-overlap]
    question: str | Iterable[str],
    text: str,
    *,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    top_k: int = FEW,
    model: Model = None,
) -> list[Answer]: ...
@overload
def answers(  # type: ignore[overload-overlap]
    question: str | Iterable[str],
    text: Several,
    *,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    top_k: int = FEW,
    model: Model = None,
) -> list[list[Answer]]: ...
@overload
def answers(
    question: str | Iterable[str],
    text: Iterable[str],
    *,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    top_k: int = FEW,
    model: Model = None,
) -> Iterator[list[Answer]]: ...
def answers(
    question: str | Iterable[str],
    text: str | Iterable[str],
    *,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    top_k: int = FEW,
    model: Model = None,
) -> Any:
    """Return the best answers to a question, best first, none overlapping another.

    Args:
        question: for all texts, or one for each.
        text: one text, a list, or an iterable of texts; the result has the same shape.
        threshold: least score of an answer; None = the model's, else 0.5. Where none reaches it,
            the list holds one Answer that says so.
        span_score: how an answer's score comes from its words': ``min``, or ``mean``.
        top_k: the most answers of a text.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or questions are no strings, or ``top_k`` is not a whole number.
        ValueError: an empty question, ``top_k`` below 1, or numbers that do not match.
    """
    most = check_count("top_k", top_k)
    return restore(text, _ask(question, text, threshold, span_score, most, model))


def _ask(
    question: str | Iterable[str],
    text: str | Iterable[str],
    threshold: float | None,
    span_score: SpanScore | None,
    most: int,
    model: Model,
) -> Iterator[list[Answer]]:
    given = rows(text, string_argument("question", question))
    asked = ((t, Question(check_string("question", words), most)) for t, words in given)
    task = replace(ANSWER, span_score=span_score or ANSWER.span_score)
    return stream(task, load_extractor(model), asked, threshold=one_threshold(threshold))


def _labels(_: Question, settings: TaskSettings) -> Sequence[Label]:
    return [Label(LABEL, ANSWER.word_label(settings), {})]


def _query(text: str, asked: Question, settings: TaskSettings) -> list[Query]:
    prompt = ANSWER.word_prompt(settings, question=asked.text)
    label = ANSWER.word_label(settings)
    best = Best(_candidates(asked, settings), TIE, settings.temperatures.get(ANSWER.name, 1.0))
    return [Query(text, (label,), prompt, across_lines=True, best=best)]


def _read(
    text: str, asked: Question, found: Sequence[Found], settings: TaskSettings
) -> list[Answer]:
    chosen = ranked(found[0].spans, _candidates(asked, settings))
    if chosen and settings.evidence:
        chosen = _doubted(chosen, text, asked.text, settings.evidence)[: asked.most]
    no_answer = 1.0 - (chosen[0].score if chosen else 0.0)
    (label,) = _labels(asked, settings)
    answers = [
        Answer(span, span.score, no_answer)
        for span in chosen
        if span.score >= ANSWER.limit(label, settings)
    ]
    return answers or [Answer(None, 0.0, no_answer)]


def _candidates(asked: Question, settings: TaskSettings) -> int:
    """Return of how many spans the answers are chosen: one that is doubted may cede its place."""
    return max(asked.most, FEW) if settings.evidence else asked.most


def _doubted(spans: Sequence[Span], text: str, question: str, evidence: float) -> list[Span]:
    """Lower the scores of answers near which the text does not say what the question says."""
    missing = unsupported(question, text, spans)
    scored = [
        replace(span, score=doubted(span.score, evidence * part))
        for span, part in zip(spans, missing, strict=True)
    ]
    return sorted(scored, key=lambda span: -span.score)


def ranked(spans: Sequence[Span], most: int) -> list[Span]:
    """Choose spans, best first, none overlapping another."""
    left = sorted(spans, key=lambda span: (-span.score, span.start, -span.end))
    chosen: list[Span] = []
    while left and len(chosen) < most:
        best = left[0]
        whole = [
            span
            for span in left
            if span.start <= best.start and span.end >= best.end and span.score >= best.score - TIE
        ]
        longest = max(whole, key=lambda span: span.end - span.start)
        chosen.append(replace(longest, label=LABEL, score=best.score))
        left = [span for span in left if not span.overlaps(longest)]
    return chosen


ANSWER: Task[Question, list[Answer]] = Task(
    name="answer",
    query=_query,
    labels=_labels,
    read=_read,
    prompt="{question}",
    label=LABEL,
    floor=0.01,  # what is ranked; where nothing has so much, ``no_answer_score`` is 1
    span_score="min",  # with so low a floor, the mean ranks an answer's best word before the whole
    overlap="nested",
)
