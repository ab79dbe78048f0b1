"""A text as the aligner sees it: its letters made comparable, each knowing where it came from."""

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
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
