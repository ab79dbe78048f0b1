"""Typed mentions -> Examples: which types are asked, and which absent ones."""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.labels import read_labels
from glinermt.tasks.task import example
from glinermt.training.shipped.weak_labels.mentions import Mention
from glinermt.training.shipped.weak_labels.wordnet import WordNet
from glinermt.types import Example, Span

MAX_WORDS = 80
MAX_TYPES = 8
_SECOND_TYPE = 0.12
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)\"”][.!?]) +(?=[A-Z\"“])")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text with what is known about it."""

    text: str
    mentions: tuple[Mention, ...]
    sparse: bool = False
    """Only few of its names are typed, so absent types are asked with care."""


def passages(text: str, mentions: Sequence[Mention], rng: random.Random) -> Iterator[Passage]:
    """Cut a text into pieces of one to three sentences, never through a mention."""
    borders = [0, *(m.end() for m in _SENTENCE_END.finditer(text)), len(text)]
    borders = [b for b in borders if not any(m.start < b < m.end for m in mentions)]
    i = 0
    while i + 1 < len(borders):
        j = i + 1
        wanted = i + rng.randint(1, 3)
        while j < min(wanted, len(borders) - 1) and _words(text, borders[i], borders[j + 1]):
            j += 1
        start, end = borders[i], borders[j]
        piece = text[start:end].rstrip()
        inside = [
            Mention(m.start - start, m.end - start, m.types)
            for m in mentions
            if start <= m.start and m.end <= start + len(piece)
        ]
        if 5 <= len(piece.split()) <= 2 * MAX_WORDS:
            yield Passage(piece, tuple(inside))
        i = j


def _words(text: str, start: int, end: int) -> bool:
    return len(text[start:end].split()) <= MAX_WORDS


class ExampleMaker:
    """Chooses types to ask; a type grows less likely the more often it was asked."""

    def __init__(self, passages: Sequence[Passage], net: WordNet, *, cap: int) -> None:
        self._net = net
        self._cap = cap
        self._asked: Counter[str] = Counter()
        counts = Counter(t for p in passages for m in p.mentions for t in m.types)
        self._pool = sorted(counts)
        self._weights = [counts[t] ** 0.5 for t in self._pool]
        self._related: dict[str, frozenset[str]] = {}

    def make(self, passage: Passage, rng: random.Random) -> Example | None:
        """Return the Example; None where nothing new can be asked."""
        asked: list[str] = []
        for mention in rng.sample(passage.mentions, len(passage.mentions)):
            if len(asked) < MAX_TYPES and not set(asked) & set(mention.types):
                asked.extend(self._pick(mention, rng))
        labels = asked + self._absent(passage, rng)
        if not labels:
            return None
        self._asked.update(asked)
        spans = {(m.start, m.end, t) for m in passage.mentions for t in m.types if t in asked}
        text = passage.text
        gold = [Span(s, e, text[s:e], t) for s, e, t in sorted(spans)]
        rng.shuffle(labels)
        return example(ENTITIES, text, read_labels(labels), gold)

    def _pick(self, mention: Mention, rng: random.Random) -> list[str]:
        options = [t for t in mention.types if self._asked[t] < self._cap]
        if not options:
            return []
        number = 2 if len(options) > 1 and rng.random() < _SECOND_TYPE else 1
        return rng.sample(options, number)

    def _absent(self, passage: Passage, rng: random.Random) -> list[str]:
        """Draw types that nothing in the passage can have."""
        present = {t for m in passage.mentions for t in m.types}
        taken = frozenset().union(*(self.related(t) for t in present))
        number = rng.randint(1, 3) if passage.sparse else rng.randint(2, 8)
        absent: list[str] = []
        for name in rng.choices(self._pool, self._weights, k=3 * number):
            if len(absent) < number and not self.related(name) & present and name not in taken:
                absent.append(name)
        return list(dict.fromkeys(absent))

    def related(self, name: str) -> frozenset[str]:
        """Return all that ``name`` is a kind of, itself and its synonyms included."""
        if name not in self._related:
            head = name.rsplit(" ", 1)[-1]
            generic = self._net.generic
            words = self._net.related(name) | self._net.related(head)
            self._related[name] = (words - generic) | {name}
        return self._related[name]
