"""What speaks against an answer: what its question says and the text near the answer does not."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from glinermt.long_texts import sentences
from glinermt.types import Span

_NEGATED = re.compile(r"\b(?:not|never|cannot)\b|n['’]t\b", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(?:no|none|nobody|nothing|neither|nor|without|unable|except\w*|fail\w*|refus\w*|lack\w*"
    rf"|den(?:y|ie[sd])|reject\w*|declin\w*|avoid\w*)\b|{_NEGATED.pattern}",
    re.IGNORECASE,
)
_WORD, _LONG_WORD = re.compile(r"\w+"), re.compile(r"\w{4,}")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_COUNTS = {str(number) for number in range(13)}
"""What a text spells out, or leaves to be counted."""
_ENDINGS = (("es", ""), ("s", ""), ("ed", ""), ("d", ""), ("ing", ""), ("ing", "e"))


def unsupported(question: str, text: str, answers: Sequence[Span]) -> list[float]:
    """Return for each answer how much of its question the text near it does not bear out.

    Paragraphs that do not answer a question often look as if they did: they hold its words in
    several places, another number, an opposite, or no "not" (SQuAD 2.0: Rajpurkar et al. 2018,
    section 4 and table 1). Near are the answer's sentence and the one before. Added up are

    - the part of the question's words of four letters or more that the text has, but not near;
    - 1 where a number of the question above twelve (a year, an amount) is not near;
    - 1 where the question says "not" and nothing near denies anything (English);
    - 1 where the opposite of a word of the question is near and the word itself is not (English,
      adjectives, adverbs and verbs of WordNet 3.0).
    """
    places = sentences(text)
    sought, numbers = _long_words(question), _numbers(question)
    held = sought & _long_words(text)
    negated = _NEGATED.search(question) is not None
    opposed = _opposed(question)
    found = []
    for answer in answers:
        own = max(0, bisect_right(places, answer.start, key=lambda place: place[0]) - 1)
        start, end = places[max(0, own - 1)][0], max(places[own][1], answer.end)
        near = text[start:end]
        beside = _long_words(text[start : answer.start]) | _long_words(text[answer.end : end])
        found.append(
            len(held - beside) / max(1, len(sought))
            + bool(numbers and not numbers <= _numbers(near))
            + (negated and _DENIED.search(near) is None)
            + bool(opposed and _contrary(opposed, near))
        )
    return found


def _long_words(text: str) -> set[str]:
    """Return the words of four letters or more; shorter ones mostly bind others."""
    return set(_LONG_WORD.findall(text.casefold()))


def _numbers(text: str) -> set[str]:
    """Return the numbers in digits above twelve."""
    return {re.sub(r"\D", "", number) for number in _NUMBER.findall(text)} - _COUNTS


def _opposed(question: str) -> list[tuple[set[str], set[str]]]:
    """Return the forms of each word that has opposites, and those of its opposites."""
    table, found = _antonyms(), []
    for word in set(_WORD.findall(question.casefold())):
        bases = _bases(word)
        if opposites := {other for base in bases for other in table.get(base, ())}:
            found.append((bases, opposites))
    return found


def _contrary(opposed: Sequence[tuple[set[str], set[str]]], near: str) -> bool:
    there = {base for word in set(_WORD.findall(near.casefold())) for base in _bases(word)}
    return any(
        there.isdisjoint(bases) and not there.isdisjoint(opposites) for bases, opposites in opposed
    )


def _bases(word: str) -> set[str]:
    """Return what ``word`` may be a regular form of."""
    return {word} | {
        word.removesuffix(ending) + rest
        for ending, rest in _ENDINGS
        if word.endswith(ending) and len(word) - len(ending) > 2
    }


@cache
def _antonyms() -> Mapping[str, set[str]]:
    opposites: dict[str, set[str]] = {}
    table = (files("glinermt.tasks") / "antonyms.txt").read_text(encoding="utf-8")
    for line in table.splitlines():
        if not line.startswith("#"):
            first, second = line.split()
            opposites.setdefault(first, set()).add(second)
            opposites.setdefault(second, set()).add(first)
    return opposites
