"""The mentions that families with relations join: given with a query, or found in its text."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from glinermt.decode import Candidates
from glinermt.pairing import words_of
from glinermt.reader import spans_of
from glinermt.rows import Pass, TokenizedWords
from glinermt.types import Query, Relation, Span

MAX_ENTITIES = 1024
"""Most spans of one window that may be related, best first: memory grows with their square."""
Words = tuple[int, int]
"""First word of a place, and the word behind its last."""
Related = tuple[int, Words, Words]
"""Which of a query's relations holds from which head to which tail."""


def moved(where: Words, by: int) -> Words:
    return where[0] + by, where[1] + by


def given_words(query: Query, text: TokenizedWords) -> list[Words] | None:
    """Return the words of the spans that the query gives; None where it gives none to be joined."""
    if query.entities is None:
        return None
    first, last = words_of(text, query.entities)
    return list(zip(first.tolist(), last.tolist(), strict=True))


def in_window(places: Iterable[Words], window: Pass) -> list[Words]:
    """Return the distinct places that lie in the window, counted from its first word."""
    return [
        moved(where, -window.start)
        for where in dict.fromkeys(places)
        if window.start <= where[0] < where[1] <= window.end
    ]


def ends_of(
    query: Query,
    text: TokenizedWords,
    given: Sequence[Words] | None,
    chosen: Candidates | None,
    labels: tuple[str, ...],
) -> dict[Words, Span]:
    """Return the spans that relations may join, by their words; of equal places the first."""
    ends: dict[Words, Span] = {}
    if query.entities is not None and given is not None:
        for where, span in zip(given, query.entities, strict=True):
            ends.setdefault(where, span)
        return ends
    if chosen is None:
        return ends
    for i in range(len(chosen)):
        where = int(chosen.start[i]), int(chosen.end[i])
        (span,) = spans_of(chosen.take(np.array([i])), query.text, text.offsets, labels)
        ends.setdefault(where, span)
    return ends


def relations_between(
    ends: Mapping[Words, Span], scores: Mapping[Related, float], names: Sequence[str]
) -> tuple[Relation, ...]:
    """Return the relations of which both ends are known, in the order of heads and tails."""
    known = {key: score for key, score in scores.items() if key[1] in ends and key[2] in ends}
    return tuple(
        Relation(ends[head], names[label], ends[tail], score)
        for (label, head, tail), score in sorted(
            known.items(), key=lambda item: (item[0][1:], item[0][0])
        )
    )
