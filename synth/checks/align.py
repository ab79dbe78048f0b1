"""Quotes -> places in the text: exact, then normalised, then cautiously fuzzy; else none.

What is kept is always a piece of the text itself; a quote that cannot be placed is given up.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from glinermt.synth.source import Source, normal, normal_words

CONTEXT_WORDS = 6
"""Words of left context that are compared."""
MOST_PLACES = 200
"""Occurrences looked at; a quote with more says nothing."""
FUZZY_WORDS, FUZZY_CHARACTERS = 4, 20
"""A quote with fewer words or characters is never matched fuzzily."""
FUZZY_SHARE = 0.8
"""Least part of the words that must be equal."""
ALIKE = 0.75
"""Least likeness (difflib's ratio) of two words taken for spellings of one."""
FUNCTION_WORDS = frozenset(
    "a an the of in on at to for by with from and or as that which is was were are be been "
    "this these those it its his her their he she they them him who whom whose i we us our you "
    "your my me".split()
)
"""Words that a quote may have more or less; "not" is none of them."""


class Status(StrEnum):
    """How a quote was placed, or why it was not."""

    EXACT = "exact"
    NORMALISED = "normalised"
    FUZZY = "fuzzy"
    NOT_FOUND = "not found"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Place:
    """Characters of the text, and how they were found."""

    start: int
    end: int
    status: Status


def align(
    source: Source,
    quote: str,
    before: str = "",
    *,
    taken: Collection[tuple[int, int]] = (),
    in_order: bool = False,
) -> Place | Status:
    """Find where the text has the quote.

    Args:
        source: the text.
        quote: what the text is said to contain.
        before: the words left of it, which choose among several occurrences.
        taken: places that earlier quotes got.
        in_order: where the context does not decide, take the first place that is not taken,
            as in a list that goes through the text; otherwise give up.

    Returns:
        The place, or the status that says why there is none.
    """
    quote = quote.strip()
    if not quote:
        return Status.NOT_FOUND
    for status, find in _WAYS:
        if places := find(source, quote):
            chosen = _choose(source, places, before, taken, in_order)
            return Place(*chosen, status) if chosen else Status.AMBIGUOUS
    return Status.NOT_FOUND


def occurrences(source: Source, quote: str) -> list[tuple[int, int]]:
    """Return the places where the text has exactly this, as whole words."""
    places = [(start, start + len(quote)) for start in _starts(source.text, quote)]
    return [place for place in places if source.whole_words(*place)]


def _starts(text: str, piece: str) -> list[int]:
    found: list[int] = []
    start = text.find(piece)
    while start >= 0 and len(found) < MOST_PLACES:
        found.append(start)
        start = text.find(piece, start + 1)
    return found


def _normalised(source: Source, quote: str) -> list[tuple[int, int]]:
    wanted = normal(quote)
    if len(wanted) > 2 and wanted[0] == wanted[-1] == '"':
        wanted = wanted[1:-1].strip()
    if not wanted:
        return []
    places = [source.back(start, start + len(wanted)) for start in _starts(source.normal, wanted)]
    return [place for place in places if place and source.whole_words(*place)]


def _fuzzy(source: Source, quote: str) -> list[tuple[int, int]]:
    """Return the likest runs of words that begin and end with the quote's first and last word."""
    wanted = normal_words(quote)
    if len(wanted) < FUZZY_WORDS or len(quote) < FUZZY_CHARACTERS:
        return []
    words = [word for word, _, _ in source.words]
    slack = max(1, len(wanted) // 8)
    scored: list[tuple[float, int, int]] = []
    firsts = [i for i, word in enumerate(words) if word == wanted[0]][:MOST_PLACES]
    for first in firsts:
        for size in range(len(wanted) - slack, len(wanted) + slack + 1):
            window = words[first : first + size]
            if len(window) == size and window[-1] == wanted[-1]:
                score = _likeness(wanted, window)
                if score >= FUZZY_SHARE:
                    scored.append(
                        (score, source.words[first][1], source.words[first + size - 1][2])
                    )
    best = max((score for score, _, _ in scored), default=0.0)
    return [(start, end) for score, start, end in scored if score == best]


def _likeness(wanted: list[str], window: list[str]) -> float:
    """Return the share of equal words; 0 where a number or a word of content differs."""
    if _numbers(wanted) != _numbers(window):
        return 0.0
    matcher = SequenceMatcher(None, wanted, window, autojunk=False)
    equal = 0
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            equal += b - a
        elif not _harmless(wanted[a:b], window[c:d]):
            return 0.0
    return equal / max(len(wanted), len(window))


def _numbers(words: list[str]) -> Counter[str]:
    return Counter(word for word in words if re.search(r"\d", word))


def _harmless(left: list[str], right: list[str]) -> bool:
    """Whether two differing runs are function words, or spellings of the same words."""
    if FUNCTION_WORDS.issuperset(left) and FUNCTION_WORDS.issuperset(right):
        return True
    return len(left) == len(right) and all(
        a[:3] == b[:3] and SequenceMatcher(None, a, b).ratio() >= ALIKE
        for a, b in zip(left, right, strict=True)
    )


_WAYS = ((Status.EXACT, occurrences), (Status.NORMALISED, _normalised), (Status.FUZZY, _fuzzy))


def _choose(
    source: Source,
    places: list[tuple[int, int]],
    before: str,
    taken: Collection[tuple[int, int]],
    in_order: bool,
) -> tuple[int, int] | None:
    if len(places) == 1:
        return places[0]
    context = normal_words(before)[-CONTEXT_WORDS:]
    scores = [_shared_context(source, start, context) for start, _ in places]
    best = max(scores)
    likely = [place for place, score in zip(places, scores, strict=True) if score == best]
    if best and len(likely) == 1:
        return likely[0]
    if not in_order:
        return None
    return next((place for place in likely if place not in taken), likely[0])


def _shared_context(source: Source, start: int, context: list[str]) -> int:
    """Return how many words before ``start`` are the context's last ones, without a gap."""
    shared = 0
    left = source.words_before(start, len(context))
    for ours, theirs in zip(reversed(left), reversed(context), strict=False):
        if ours != theirs:
            break
        shared += 1
    return shared
