"""Quotes -> places in the text: exact, then normalised, then cautiously fuzzy; else none.

What is kept is always a piece of the text itself; a quote that cannot be placed is given up.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from functools import cached_property

from glinermt.long_texts import split_sentences

WORD = re.compile(r"\w+")
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")
_ALIKE = str.maketrans(
    dict.fromkeys("‘’‚‛`´′", "'")
    | dict.fromkeys("“”„‟«»″", '"')
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"…": "..."}
)
_MARKS = ("\u0300", "\u036f")
_PLAIN_MARKS = re.compile(f"[{_MARKS[0]}-{_MARKS[1]}]")
_NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def normal(text: str) -> str:
    """Return a text without the differences of case, space, accents, quotes and dashes."""
    if text.isascii():  # most are, and the way below looks at each character
        return " ".join(text.lower().split())
    return " ".join("".join(map(_plain, text)).split())


def normal_words(text: str) -> list[str]:
    """Return the words of a text in their normal form."""
    return WORD.findall(normal(text))


def _plain(character: str) -> str:
    """Return the normal form of one character: nothing, a space, or one letter or more."""
    if character < "\x80":
        return " " if character.isspace() else character.lower()
    if character in _INVISIBLE or _MARKS[0] <= character <= _MARKS[1]:
        return ""
    if character.isspace():
        return " "
    bare = _PLAIN_MARKS.sub("", unicodedata.normalize("NFKD", character))
    whole = unicodedata.normalize("NFC", bare).translate(_ALIKE)
    return unicodedata.normalize("NFKC", whole).casefold()


@dataclass(frozen=True)
class Source:
    """A text with what is needed to find quotes in it, computed when asked for."""

    text: str

    @cached_property
    def _mapped(self) -> tuple[str, list[int]]:
        """The normal form, and for each of its characters where it stands in the text."""
        letters: list[str] = []
        places: list[int] = []
        for i, character in enumerate(self.text):
            plain = _plain(character)
            if plain == " " and (not letters or letters[-1] == " "):
                continue
            letters.extend(plain)
            places.extend([i] * len(plain))
        return "".join(letters), places

    @property
    def normal(self) -> str:
        return self._mapped[0]

    @cached_property
    def words(self) -> list[tuple[str, int, int]]:
        """The words in their normal form, with start and end in the text."""
        return [(normal(m[0]), m.start(), m.end()) for m in WORD.finditer(self.text)]

    @cached_property
    def _word_starts(self) -> list[int]:
        return [start for _, start, _ in self.words]

    @cached_property
    def sentences(self) -> list[tuple[int, int]]:
        return split_sentences(self.text)

    def back(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the place in the text of a piece of the normal form; None inside a character."""
        places = self._mapped[1]
        if start > 0 and places[start - 1] == places[start]:
            return None
        if end < len(places) and places[end] == places[end - 1]:
            return None
        last = places[end - 1] + 1
        while last < len(self.text) and _MARKS[0] <= self.text[last] <= _MARKS[1]:
            last += 1
        return places[start], last

    def whole_words(self, start: int, end: int) -> bool:
        """Whether no word or number is cut at an edge; scripts without spaces have no edges."""
        return not any(
            _joined(self.text[edge - 1], self.text[edge]) or _in_number(self.text, edge)
            for edge in (start, end)
            if 0 < edge < len(self.text)
        )

    def num_words(self, start: int = 0, end: int | None = None) -> int:
        """Return how many words begin in the piece."""
        last = len(self.text) if end is None else end
        return bisect_left(self._word_starts, last) - bisect_left(self._word_starts, start)

    @cached_property
    def _spaced(self) -> str:
        return f" {' '.join(word for word, _, _ in self.words)} "

    def says(self, phrase: str) -> bool:
        """Whether the text has these words in this order, whatever marks are between."""
        return f" {' '.join(normal_words(phrase))} " in self._spaced

    def words_before(self, position: int, number: int) -> list[str]:
        """Return the last words that begin before a position, in normal form."""
        last = bisect_left(self._word_starts, position)
        return [word for word, _, _ in self.words[max(0, last - number) : last]]


def _joined(left: str, right: str) -> bool:
    if _NO_SPACES.match(left) or _NO_SPACES.match(right):
        return False
    return _wordy(left) and _wordy(right)


def _in_number(text: str, edge: int) -> bool:
    """Whether the marks of a number such as 3.5 or 10,000 hold together what the edge divides."""
    return any(
        text[i] in ".," and text[i - 1].isdigit() and text[i + 1].isdigit()
        for i in (edge - 1, edge)
        if 0 < i < len(text) - 1
    )


def _wordy(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"


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
