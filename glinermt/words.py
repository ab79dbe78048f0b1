"""Splits a text into words, the units the model labels, each with its character offsets."""

import re
from collections.abc import Callable

WordSplitter = Callable[[str], list[tuple[int, int]]]
"""Text -> ``(start, end)`` character offsets of its words, ascending and disjoint."""

_REFERENCE = re.compile(r"\w+(?:[-_]\w+)*|\S")


def split_reference(text: str) -> list[tuple[int, int]]:
    """Split as published GLiNER checkpoints were trained: word runs, else single characters."""
    return [match.span() for match in _REFERENCE.finditer(text)]


def split_characters(text: str) -> list[tuple[int, int]]:
    """Split per character without white space, for scripts that write none (Chinese, Thai)."""
    return [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]


SPLITTERS: dict[str, WordSplitter] = {
    "reference": split_reference,
    "characters": split_characters,
}
