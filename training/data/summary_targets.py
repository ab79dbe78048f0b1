"""Extractive targets: which sentences of a text stand for its summary."""

import re
from collections import Counter
from collections.abc import Sequence

from glinermt.training.data.rows import sentences
from glinermt.types import Span

LABEL = "summary"
_WORD = re.compile(r"\w+")
_STOP = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "to",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "with",
        "and",
        "or",
        "but",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "it",
        "its",
        "this",
        "that",
        "as",
        "he",
        "she",
        "they",
        "his",
        "her",
        "their",
        "which",
        "who",
        "has",
        "have",
        "had",
        "not",
        "also",
    ]
)
MAX_SENTENCES = 4
MIN_GAP_SENTENCES = 5
GAP_SHARE = 0.25
"""Share of a text's sentences taken by ``gap_sentences``."""
LEADING_WORDS = 260
LEAD_BONUS = 0.15
"""Score the first sentence gets for being first; it falls to none along the text."""


def summary_sentences(
    text: str,
    summary: str,
    given: Sequence[str] | None = None,
    marks: Sequence[int] | None = None,
) -> tuple[Span, ...]:
    """Return the sentences that are marked, else the best greedy ROUGE-1 cover of ``summary``."""
    if given and marks:
        chosen = [s for s, mark in zip(given, marks, strict=True) if mark]
        return tuple(_at(text, text.index(s), text.index(s) + len(s)) for s in chosen)
    return _greedy(text, summary)


def gap_sentences(text: str) -> tuple[Span, ...]:
    """Return the sentences that share most with the rest of the text (PEGASUS), early ones first.

    None for texts of fewer than ``MIN_GAP_SENTENCES`` sentences.
    """
    places = sentences(text)
    if len(places) < MIN_GAP_SENTENCES or "<unk>" in text:
        return ()
    bags = [_bag(text[start:end]) for start, end in places]
    holders = Counter(word for bag in bags for word in bag)
    scores = []
    for i, bag in enumerate(bags):
        common = sum(holders[word] > 1 for word in bag)
        score = 2 * common / (len(bag) + 30) if bag else 0.0
        scores.append(score + LEAD_BONUS * (1 - i / len(places)))
    number = max(1, min(MAX_SENTENCES, round(GAP_SHARE * len(places))))
    best = sorted(range(len(places)), key=lambda i: -scores[i])[:number]
    return tuple(_at(text, *places[i]) for i in sorted(best))


def leading_part(text: str) -> str:
    """Return the whole sentences among the first ``LEADING_WORDS`` words of a text."""
    places = sentences(text)
    kept = [end for start, end in places if len(text[:end].split()) <= LEADING_WORDS]
    return text[: kept[-1]] if kept else text[: places[0][1]] if places else text


def _greedy(text: str, summary: str) -> tuple[Span, ...]:
    """Add the sentence that raises ROUGE-1 F1 most until none does."""
    target, places = _bag(summary), sentences(text)
    bags = [_bag(text[start:end]) for start, end in places]
    chosen: list[int] = []
    best = 0.0
    while len(chosen) < MAX_SENTENCES:
        taken = sum((bags[i] for i in chosen), Counter())
        options = [(_f1(taken + bags[i], target), -i) for i in range(len(bags)) if i not in chosen]
        score, index = max(options, default=(0.0, 0))
        if score <= best:
            break
        best = score
        chosen.append(-index)
    return tuple(_at(text, *places[i]) for i in sorted(chosen))


def _bag(text: str) -> Counter[str]:
    return Counter(word for word in _WORD.findall(text.lower()) if word not in _STOP)


def _f1(found: Counter[str], target: Counter[str]) -> float:
    common = sum((found & target).values())
    return 2 * common / (sum(found.values()) + sum(target.values())) if common else 0.0


def _at(text: str, start: int, end: int) -> Span:
    return Span(start, end, text[start:end], LABEL)
