"""Long texts cut at sentence ends into stretches that are read one at a time."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from glinermt.tasks.sentences import split_sentences
from glinermt.types import Query, Span

Stretch = tuple[int, int]
"""Start and end in the text."""


def stretches(text: str, most_words: int) -> list[Stretch]:
    """Give stretches of whole sentences with at most so many words, together all of the text.

    A longer sentence is a stretch of its own; 0 or a short text gives one stretch.
    """
    if not most_words or len(text.split()) <= most_words:
        return [(0, len(text))]
    borders, words = [0], 0
    for start, end in split_sentences(text):
        number = len(text[start:end].split())
        if words and words + number > most_words:
            borders.append(start)
            words = 0
        words += number
    return list(pairwise([*borders, len(text)]))


def cut(query: Query, most_words: int) -> list[tuple[int, Query]]:
    """Give the query for each stretch of its text, and where that begins."""
    return [
        (start, replace(query, text=query.text[start:end]))
        for start, end in stretches(query.text, most_words)
    ]


def moved(spans: Sequence[Span], offset: int) -> list[Span]:
    """Give the spans of a stretch their places in the whole text."""
    return [replace(s, start=s.start + offset, end=s.end + offset) for s in spans]
