"""Long texts cut at sentence ends into stretches that are read one at a time."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from glinermt.types import Query, Span

Stretch = tuple[int, int]
"""Start and end in the text."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def split_sentences(text: str, language: str = "en") -> list[tuple[int, int]]:
    """Return ``(start, end)`` of each sentence, without the white space around it.

    Args:
        text: any text; blank lines end a sentence.
        language: ISO 639-1 code, for abbreviations and sentence marks.
    """
    from sentencex import get_sentence_boundaries

    borders = []
    for found in get_sentence_boundaries(language, text):
        start, end = found["start_index"], found["end_index"]
        piece = text[start:end]
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        if start < end:
            borders.append((start, end))
    return borders


def sentences(text: str) -> list[Stretch]:
    """Return the place of each sentence, in any text that a str can hold."""
    return split_sentences(_SURROGATE.sub("\ufffd", text))


def stretches(text: str, most_words: int) -> list[Stretch]:
    """Return stretches of whole sentences with at most so many words, together all of the text.

    A longer sentence is a stretch of its own; 0 or a short text gives one stretch.
    """
    if not most_words or len(text.split()) <= most_words:
        return [(0, len(text))]
    borders, words = [0], 0
    for start, end in sentences(text):
        number = len(text[start:end].split())
        if words and words + number > most_words:
            borders.append(start)
            words = 0
        words += number
    return list(pairwise([*borders, len(text)]))


def surroundings(
    text: str, most_words: int, spans: Iterable[Span]
) -> list[tuple[Stretch, Stretch]]:
    """Return parts that together are all of the text, each with the stretch to read around it.

    Parts are whole sentences of up to a third of ``most_words``, and a stretch is a part with its
    neighbours. Neither cuts one of ``spans``. A text of at most so many words is one part.
    """
    if len(text.split()) <= most_words:
        return [((0, len(text)), (0, len(text)))]
    taken = _inside(spans)
    borders = [border for border, _ in stretches(text, most_words // 3) if border not in taken]
    parts = list(pairwise([*borders, len(text)]))
    near = [parts[max(i - 1, 0) : i + 2] for i in range(len(parts))]
    return [(part, (row[0][0], row[-1][1])) for part, row in zip(parts, near, strict=True)]


def _inside(spans: Iterable[Span]) -> set[int]:
    """Return the places that lie inside a span, where no part may end."""
    return {place for span in spans for place in range(span.start + 1, span.end)}


def cut(query: Query, most_words: int) -> list[tuple[int, Query]]:
    """Return the query for each stretch of its text, and where that begins."""
    return [
        (start, replace(query, text=query.text[start:end]))
        for start, end in stretches(query.text, most_words)
    ]


def moved(spans: Sequence[Span], offset: int) -> list[Span]:
    """Return the spans of a stretch with their places in the whole text."""
    return [replace(s, start=s.start + offset, end=s.end + offset) for s in spans]


def joined(pieces: Iterable[tuple[str, Sequence[Span]]]) -> tuple[str, tuple[Span, ...]]:
    """Return texts with their spans as one text, a space between them."""
    whole, spans = "", []
    for text, own in pieces:
        start = len(whole) + 1 if whole else 0
        whole = f"{whole} {text}" if whole else text
        spans += moved(own, start)
    return whole, tuple(spans)
