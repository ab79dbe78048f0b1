"""Where names stand in a text: as whole words, found once for all names."""

import re
from collections.abc import Iterable

from glinermt.types import Span

_WORD = re.compile(r"\w+")


def mentions(text: str, names: Iterable[str], entities: Iterable[Span] = ()) -> dict[str, set[int]]:
    """Return where each name begins: as a whole word or words, or as one of the entities.

    The cost grows with the text, not with the number of names.
    """
    found: dict[str, set[int]] = {name: set() for name in names}
    by_first_word: dict[str, list[tuple[str, int]]] = {}
    for name in found:
        first = _WORD.search(name)
        if first:
            by_first_word.setdefault(first[0], []).append((name, first.start()))
    for word in _WORD.finditer(text):
        for name, before in by_first_word.get(word[0], ()):
            start = word.start() - before
            if start >= 0 and text.startswith(name, start) and _ends(text, start + len(name)):
                found[name].add(start)
    for span in entities:
        if span.text in found:
            found[span.text].add(span.start)
    return found


def are_one(one: Span, other: Span) -> bool:
    """Whether two mentions name the same thing, by the same name or a shorter one ("Sarah" Bush).

    Things of different types may share a name or its words: "Paris was born in Paris", "New York"
    and "The New York Times". So may, by the same name, those of types that nobody has said.
    """
    if one.label and other.label and one.label != other.label:
        return False
    short, long = sorted((_words(one), _words(other)), key=len)
    if short == long:
        return bool(one.label and other.label)
    number = len(short)
    return number > 0 and any(long[i : i + number] == short for i in range(len(long) - number + 1))


def _words(span: Span) -> list[str]:
    return [word.casefold() for word in _WORD.findall(span.text)]


def _ends(text: str, place: int) -> bool:
    """Whether no word goes on over the place."""
    return place >= len(text) or not (_is_word(text[place - 1]) and _is_word(text[place]))


def _is_word(character: str) -> bool:
    return _WORD.match(character) is not None
