"""Gold rows as they are read from files, and long ones cut around their spans.

Spans count characters of ``text``; they are sorted and no two of one label overlap.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from glinermt.types import Example, Span


@dataclass(frozen=True, slots=True)
class EntityRow:
    """A text with its labelled entities."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class RelationRow:
    """A text with its ``(head, relation, tail)`` triples."""

    text: str
    triples: tuple[tuple[Span, str, Span], ...]
    unrelated: tuple[tuple[Span, Span], ...] = ()
    """Pairs of which the data set says that none of its relations holds."""


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A paragraph, a question and the places that answer it (none: it is not answered here)."""

    text: str
    question: str
    answers: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """A text and the sentences that sum it up."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A text and the classes it belongs to: several, or none of the data set's."""

    text: str
    classes: tuple[str, ...]


Row = EntityRow | RelationRow | QuestionRow | SummaryRow | ClassRow | Example


_WORD = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"""[.!?]["')\]]*$""")


def cut(
    text: str,
    spans: Sequence[Span],
    *,
    max_words: int,
    rng: random.Random,
    keep: Span | None = None,
) -> tuple[int, int]:
    """Return the characters ``start, end`` of a piece of about ``max_words`` words.

    The piece holds ``keep`` (or a random span) whole, begins and ends at sentences where it can,
    and grows rather than cut through a span. A short text is kept whole.
    """
    words = [match.span() for match in _WORD.finditer(text)]
    if len(words) <= max_words:
        return 0, len(text)
    starts = [i for i in range(len(words)) if i == 0 or _ends_sentence(text, words[i - 1])]
    keep = keep or (rng.choice(list(spans)) if spans else None)
    low, high = _words_of(words, keep) or (rng.choice(starts),) * 2
    earliest = min(low, max(0, high + 1 - max_words))
    first = rng.randint(earliest, max(earliest, min(low, len(words) - max_words)))
    first = next((i for i in starts if first <= i <= low), first)
    last = max(high, min(first + max_words, len(words)) - 1)
    ends = [i for i in range(max(high, first), last + 1) if _ends_sentence(text, words[i])]
    last = ends[-1] if ends else last
    return _grow(words[first][0], words[last][1], spans)


def sentences(text: str) -> list[tuple[int, int]]:
    """Return the offsets of the sentences, by their end marks and line breaks."""
    found, start = [], 0
    words = [match.span() for match in _WORD.finditer(text)]
    for i, (_, end) in enumerate(words):
        last = i == len(words) - 1
        following = "" if last else text[words[i + 1][0]]
        broken = not last and "\n" in text[end : words[i + 1][0]]
        closes = _ends_sentence(text, words[i]) and not following.islower()
        if last or broken or closes:
            found.append((words[start][0], end))
            start = i + 1
    return found


def shift(spans: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    """Return the spans that lie in ``start:end``, counted from ``start``."""
    return tuple(
        Span(s.start - start, s.end - start, s.text, s.label, s.score)
        for s in spans
        if start <= s.start and s.end <= end
    )


def _words_of(words: Sequence[tuple[int, int]], span: Span | None) -> tuple[int, int] | None:
    """First and last word of a span; None without a span or where it holds only white space."""
    if span is None:
        return None
    inside = [i for i, (start, end) in enumerate(words) if start < span.end and span.start < end]
    return (inside[0], inside[-1]) if inside else None


def _ends_sentence(text: str, word: tuple[int, int]) -> bool:
    return _SENTENCE_END.search(text[word[0] : word[1]]) is not None


def _grow(start: int, end: int, spans: Sequence[Span]) -> tuple[int, int]:
    """Move both borders outwards until none runs through a span."""
    for span in spans:
        if span.start < start < span.end:
            return _grow(span.start, end, spans)
    for span in spans:
        if span.start < end < span.end:
            return _grow(start, span.end, spans)
    return start, end
