"""Extractive summarization: the sentences, or the pieces, of a text that sum it up."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from glinermt.config import TaskSettings, check_count, check_number
from glinermt.default_model import load_extractor
from glinermt.errors import UsageError
from glinermt.long_texts import sentences as places_of_sentences
from glinermt.tasks.inputs import by_shape, restore, rows
from glinermt.tasks.labels import Label
from glinermt.tasks.run import one_threshold, stream
from glinermt.tasks.task import Task
from glinermt.types import Extractor, Found, Query, Span, SpanScore, Summary

LABEL = "summary"
SENTENCES = 3
REDUNDANT = 0.6
"""A sentence that shares this part of its words with a chosen one is passed over."""


Unit = Literal["sentence", "span"]


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a summary may be.

    Raises:
        TypeError: a budget is not a number.
        ValueError: more than one budget, or one out of range or for pieces.
    """

    sentences: int | None = None
    words: int | None = None
    ratio: float | None = None
    unit: Unit = "sentence"

    def __post_init__(self) -> None:
        given = {"sentences": self.sentences, "words": self.words, "ratio": self.ratio}
        budgets = {name: value for name, value in given.items() if value is not None}
        if self.unit not in ("sentence", "span"):
            raise UsageError(f"unit {self.unit!r} is not known: choose from 'sentence', 'span'")
        if len(budgets) > 1:
            raise UsageError(f"give one budget, not {' and '.join(budgets)}")
        if budgets and self.unit == "span":
            raise UsageError(
                f"{next(iter(budgets))} is a budget of sentences; spans take a threshold"
            )
        for name, value in budgets.items():
            if name != "ratio":
                check_count(name, value)
            elif not 0 < check_number(name, value) <= 1:  # NaN fails too
                raise UsageError(f"ratio must be above 0 and at most 1, got {value!r}")


@by_shape
def summarize(
    text: str | Iterable[str],
    *,
    sentences: int | None = None,
    words: int | None = None,
    ratio: float | None = None,
    unit: Unit = "sentence",
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    model: Extractor | str | Path | None = None,
) -> Summary:
    """Sum a text up in its own words, in the order of the text.

    A sentence's score is the sum over the pieces found in it, each times the part of it that the
    piece covers, mixed with how early it stands as the model's ``settings.lead`` says; of equal
    ones earlier sentences come first. A sentence that says again what a chosen one says is passed
    over. A budget larger than the text gives the whole text, and any budget at least one sentence.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        sentences: how many; 3 where no budget is given.
        words: instead, how many words at most.
        ratio: instead, which part of the text's words at most, above 0 and up to 1.
        unit: ``sentence``, or ``span`` for the paper's way: all pieces from ``threshold`` on.
        threshold: least score of a piece, with ``unit="span"`` only; None = the model's, else 0.1.
        span_score: how a span's score comes from its words': ``mean`` or ``min``; None = the
            model's, or ``min`` where sentences are ranked.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: a text is no string, or a budget no number.
        ValueError: more than one budget, a budget out of range or with ``unit="span"``, or a
            threshold without.
    """
    budget = Budget(sentences, words, ratio, unit)
    if threshold is not None and unit == "sentence":
        raise UsageError("threshold is for unit='span'; sentences are ranked, so give a budget")
    asked = ((t, budget) for (t,) in rows(text))
    task = SUMMARIZE if unit == "span" else OF_SENTENCES
    task = replace(task, span_score=span_score or task.span_score)
    return restore(
        text, stream(task, load_extractor(model), asked, threshold=one_threshold(threshold))
    )


def _labels(_: Budget, settings: TaskSettings) -> Sequence[Label]:
    return [Label(LABEL, SUMMARIZE.word_label(settings), {})]


def _query(text: str, _: Budget, settings: TaskSettings) -> list[Query]:
    label, prompt = SUMMARIZE.word_label(settings), SUMMARIZE.word_prompt(settings)
    return [Query(text, (label,), prompt, across_lines=True)]


def _read(text: str, asked: Budget, found: Sequence[Found], settings: TaskSettings) -> Summary:
    spans = found[0].spans
    if asked.unit == "span":
        return Summary(tuple(replace(span, label=LABEL) for span in spans))
    return _best_sentences(_scored(text, spans, settings.lead), asked)


SUMMARIZE: Task[Budget, Summary] = Task(
    name="summarize",
    query=_query,
    labels=_labels,
    read=_read,
    prompt="Summarize the given text, highlighting the most important information:",
    label=LABEL,
    threshold=0.1,  # the paper's, for pieces
)
OF_SENTENCES = replace(SUMMARIZE, floor=0.01, span_score="min")
"""The pieces that sentences are ranked by, which need no threshold. With so low a floor the mean of
the inside scores forgets where a piece starts and ends, and prefers single words."""


def _scored(text: str, pieces: Sequence[Span], lead: float) -> list[Span]:
    """Return the sentences of a text: what the pieces say of them, and ``lead`` of their place."""
    places = places_of_sentences(text)
    ends = [end for _, end in places]
    covered = [0.0] * len(places)
    for piece in pieces:
        for i in range(bisect_right(ends, piece.start), len(places)):
            start, end = places[i]
            if start >= piece.end:
                break
            share = (min(end, piece.end) - max(start, piece.start)) / (end - start)
            covered[i] += piece.score * share
    return [
        Span(start, end, text[start:end], LABEL, (1 - lead) * min(said, 1.0) + lead * early)
        for i, ((start, end), said) in enumerate(zip(places, covered, strict=True))
        for early in (1 - i / len(places),)
    ]


def _best_sentences(spans: list[Span], budget: Budget) -> Summary:
    total = sum(len(span.text.split()) for span in spans)
    words = budget.words if budget.ratio is None else round(budget.ratio * total)
    most = budget.sentences or SENTENCES
    if words is not None:
        most = len(spans)
    if most >= len(spans) and (words is None or words >= total):
        return Summary(tuple(spans))
    chosen: list[Span] = []
    holders: dict[str, list[set[str]]] = {}
    used = 0
    for span in sorted(spans, key=lambda span: (-span.score, span.start)):
        bag = span.text.casefold().split()
        distinct = set(bag)
        too_long = words is not None and chosen and used + len(bag) > words
        if len(chosen) == most or too_long or _redundant(distinct, holders):
            continue
        chosen.append(span)
        for word in distinct:
            holders.setdefault(word, []).append(distinct)
        used += len(bag)
    return Summary(tuple(sorted(chosen, key=lambda span: span.start)))


def _redundant(words: set[str], holders: Mapping[str, Sequence[set[str]]]) -> bool:
    """Whether a chosen sentence has most of the words; ``holders`` are the chosen ones by word.

    Such a sentence has at least one of the rarest words, so few are looked at.
    """
    enough = math.ceil(REDUNDANT * len(words))
    rarest = sorted(words, key=lambda word: len(holders.get(word, ())))[: len(words) - enough + 1]
    return any(len(words & other) >= enough for word in rarest for other in holders.get(word, ()))
