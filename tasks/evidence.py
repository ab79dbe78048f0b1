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
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SPELLED = "zero one two three four five six seven eight nine ten eleven twelve".split()
_ENDINGS = (("es", ""), ("s", ""), ("ed", ""), ("d", ""), ("ing", ""), ("ing", "e"))


def unsupported(question: str, text: str, answers: Sequence[Span]) -> list[float]:
    """Return for each answer how much of its question the text near it does not bear out.

    Paragraphs that do not answer a question often look as if they did: they hold its words in
    several places, another number, an opposite, or no "not" (SQuAD 2.0: Rajpurkar et al. 2018,
    section 4 and table 1). Near are the answer's sentence and the one before. Added up are

    - the part of the question's words of four letters or more that the text has, but not near;
    - 1 where a number of the question, in digits, is not near;
    - 1 where the question says "not" and nothing near denies anything (English);
    - 1 where the opposite of a word of the question is near and the word itself is not (English,
      adjectives, adverbs and verbs of WordNet 3.0).
    """
    places = sentences(text)
    sought, numbers = _long_words(question), _numbers(question)
    held = sought & _long_words(text)
    negated = _NEGATED.search(question) is not None
    found = []
    for answer in answers:
        own = max(0, bisect_right(places, answer.start, key=lambda place: place[0]) - 1)
        start, end = places[max(0, own - 1)][0], max(places[own][1], answer.end)
        near = text[start:end]
        beside = _long_words(text[start : answer.start]) | _long_words(text[answer.end : end])
        found.append(
            len(held - beside) / max(1, len(sought))
            + (not numbers <= _numbers(near) | _spelled(near))
            + (negated and _DENIED.search(near) is None)
            + _contrary(question, near)
        )
    return found


def _long_words(text: str) -> set[str]:
    """Return the words of four letters or more; shorter ones mostly bind others."""
    return set(re.findall(r"\w{4,}", text.casefold()))


def _numbers(text: str) -> set[str]:
    """Return the numbers in digits, without separators."""
    return {re.sub(r"\D", "", number) for number in _NUMBER.findall(text)}


def _spelled(text: str) -> set[str]:
    """Return the digits of numbers that are spelled out."""
    words = set(re.findall(r"\w+", text.casefold()))
    return {str(number) for number, word in enumerate(_SPELLED) if word in words}


def _contrary(question: str, near: str) -> bool:
    there = {base for word in re.findall(r"\w+", near.casefold()) for base in _bases(word)}
    for word in set(re.findall(r"\w+", question.casefold())):
        bases = _bases(word)
        contrary = {other for base in bases for other in _antonyms().get(base, ())}
        if there.isdisjoint(bases) and not there.isdisjoint(contrary):
            return True
    return False


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
