"""Offsets in the unit that a client counts in: code points, UTF-16 units or UTF-8 bytes."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

from glinermt.errors import UsageError

OffsetUnit = Literal["codepoint", "utf16", "utf8"]


class Offsets:
    """Translates between a client's offsets of a text and ours, which count code points.

    Args:
        text: what the offsets point into; without lone surrogates, which no encoding has.
        unit: what the client counts: ``utf16`` as JavaScript, Java and C# do, ``utf8`` as Go,
            Rust and C do, ``codepoint`` as Python does.
    """

    def __init__(self, text: str, unit: OffsetUnit) -> None:
        self._length = len(text)
        self._places: Sequence[int] = range(len(text) + 1)
        if unit == "utf16" and text and max(text) > "\uffff":
            sizes = (1 + (character > "\uffff") for character in text)
            self._places = list(accumulate(sizes, initial=0))
        elif unit == "utf8" and not text.isascii():
            sizes = (len(character.encode()) for character in text)
            self._places = list(accumulate(sizes, initial=0))

    def to_client(self, place: int) -> int:
        """Return the client's offset of a code point."""
        return self._places[place]

    def from_client(self, place: int) -> int:
        """Return the code point at a client's offset.

        Raises:
            ValueError: the offset lies outside the text or inside a character.
        """
        found = bisect_left(self._places, place)
        if found > self._length or self._places[found] != place:
            most = self._places[self._length]
            where = "inside a character" if 0 <= place <= most else "outside the text"
            raise UsageError(f"offset {place} lies {where}, which ends at {most}")
        return found
