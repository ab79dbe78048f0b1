"""Tokens joined by one space, and token spans as characters of that text."""

from collections.abc import Sequence

from glinermt.errors import DataError
from glinermt.types import Span


class TokenText:
    """The text of a token list. Spans are given by first and last token, both inclusive."""

    def __init__(self, tokens: Sequence[object], where: str) -> None:
        self.where = where
        self.words: list[str] = []
        self.starts: list[int] = []
        position = 0
        for index, token in enumerate(tokens):
            if not isinstance(token, str) or not token:
                raise DataError(f"{where}: token {index} should be a non-empty string: {token!r}")
            self.words.append(token)
            self.starts.append(position)
            position += len(token) + 1
        self.text = " ".join(self.words)

    def span(self, first: object, last: object, label: str) -> Span:
        """Return the characters from token ``first`` to token ``last``."""
        if not isinstance(first, int) or not isinstance(last, int):
            raise DataError(
                f"{self.where}: token positions should be integers: {first!r}, {last!r}"
            )
        if not 0 <= first <= last < len(self.words):
            raise DataError(
                f"{self.where}: span {first}:{last} lies outside the {len(self.words)} tokens "
                "(first and last token, both inclusive)"
            )
        start, end = self.starts[first], self.starts[last] + len(self.words[last])
        return Span(start, end, self.text[start:end], label)
