"""Splits a text into words, the units the model labels, each with its character offsets."""

import re
import unicodedata
from collections.abc import Callable

WordSplitter = Callable[[str], list[tuple[int, int]]]
"""Text -> ``(start, end)`` character offsets of its words, ascending and disjoint."""

_JOINER = "\u200d"
_REFERENCE = re.compile(r"\w+(?:[-_]\w+)*|\S")


def split_reference(text: str) -> list[tuple[int, int]]:
    """Split as published GLiNER checkpoints were trained: word runs, else single characters."""
    return [match.span() for match in _REFERENCE.finditer(text)]


def split_characters(text: str) -> list[tuple[int, int]]:
    """Split per character without white space, for scripts that write none (Chinese, Thai)."""
    return [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]


def end_of_character(text: str, end: int) -> int:
    """Give ``end``, moved on where it would cut a character that several code points make up.

    These are combining marks and variation selectors, and what a zero-width joiner joins.
    """
    while end < len(text) and (
        text[end] == _JOINER
        or unicodedata.category(text[end]).startswith("M")
        or (text[end - 1 : end] == _JOINER and not text[end].isspace())
    ):
        end += 1
    return end


SPLITTERS: dict[str, WordSplitter] = {
    "reference": split_reference,
    "whitespace": split_reference,
    "characters": split_characters,
}
"""By name; ``whitespace`` is what published configurations call ``reference``."""
