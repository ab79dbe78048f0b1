"""Splits a text into words, the units the model labels, each with its character offsets."""

import re
import unicodedata
from collections.abc import Callable

import regex

Offsets = list[tuple[int, int]]
WordSplitter = Callable[[str], Offsets]
"""Text -> ``(start, end)`` character offsets of its words, ascending and disjoint."""

_REFERENCE = re.compile(r"\w+(?:[-_]\w+)*|\S")
_GRAPHEME = regex.compile(r"\X")
_LINE_END = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_JOINER = "\u200d"
_LABEL_EDGES = " \t\r\n.,:;!?"


def plain_word(word: str) -> str:
    """Return the composed form (Unicode's NFC) of a word, which models read."""
    return word if word.isascii() else unicodedata.normalize("NFC", word)


def plain_label(label: str) -> str:
    """Return what models read for a label.

    That is the composed form with spaces for underscores, and neither white space nor punctuation
    around it.
    """
    plain = " ".join(plain_word(label).replace("_", " ").split()).strip(_LABEL_EDGES)
    return plain or label


def split_reference(text: str) -> Offsets:
    """Split as published GLiNER checkpoints were trained: word runs, else single code points."""
    return [match.span() for match in _REFERENCE.finditer(text)]


def split_graphemes(text: str) -> Offsets:
    """Split like ``split_reference``, but never inside a character that a reader sees.

    Such a character (a grapheme cluster of Unicode's annex 29) may be several code points: a
    letter with marks, a syllable of Hindi or Thai, a flag, joined emoji. It counts as its first.
    """
    if text.isascii():
        return split_reference(text)
    places = [match.start() for match in _GRAPHEME.finditer(text)]
    if len(places) == len(text):
        return split_reference(text)
    firsts = "".join(text[place] for place in places)
    places.append(len(text))
    return [(places[start], places[end]) for start, end in split_reference(firsts)]


def split_characters(text: str) -> Offsets:
    """Split per visible character, for scripts that write no spaces (Chinese, Thai)."""
    return [match.span() for match in _GRAPHEME.finditer(text) if not match[0].isspace()]


SPLITTERS: dict[str, WordSplitter] = {
    "graphemes": split_graphemes,
    "characters": split_characters,
    "reference": split_reference,
    "whitespace": split_reference,
}
"""By name; ``whitespace`` is what published configurations call ``reference``."""
PLAIN = frozenset({"graphemes", "characters"})
"""Those with which words and labels are read in a plain form; the others leave them as they are."""


def end_of_character(text: str, end: int) -> int:
    """Return ``end``, moved on where it would cut a character that several code points make up.

    These are combining marks and variation selectors, and what a zero-width joiner joins. Only
    words of ``split_reference`` end there.
    """
    while end < len(text) and (
        text[end] == _JOINER
        or unicodedata.category(text[end]).startswith("M")
        or (text[end - 1 : end] == _JOINER and not text[end].isspace())
    ):
        end += 1
    return end


def line_ends(text: str) -> list[int]:
    """Return the places where lines of the text end, in ascending order."""
    return [match.start() for match in _LINE_END.finditer(text)]
