"""The paper's way to find relations: a head is known, and the model is asked for its tails.

A head and a relation are asked as the label ``"{head} <> {relation}"`` (section 3.3); the spans
found are the tails. Labels are mapped back through a table, never parsed. In long texts a head is
asked only around its mentions, so that the cost grows with the text and not its square.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from glinermt.config import TaskSettings
from glinermt.errors import UsageError
from glinermt.long_texts import cut, sentences, surroundings
from glinermt.tasks.labels import Label, are_one, finished, is_allowed, read_relations
from glinermt.tasks.task import Task
from glinermt.types import Example, Found, Query, Relation, Span

WORDS_AROUND = 150
"""Words of the stretch around a mention in which a head's tails are looked for. A text of no more
words is read whole."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Related:
    """The relations that are asked of a text, and the entities that they may hold between."""

    relations: tuple[Label, ...] = ()
    entities: tuple[Span, ...] = ()
    pairs: tuple[tuple[str, Label], ...] | None = None
    """Text of a head, and a relation of it to ask for; None = each with each that it allows."""

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[str, str]]) -> "Related":
        """Ask just for these relations of these heads, each once."""
        chosen = list(dict.fromkeys(pairs))
        kinds = {kind.name: kind for kind in read_relations([name for _, name in chosen])}
        return cls(pairs=tuple((head, kinds[name]) for head, name in chosen))


def _meaning(asked: Related, settings: TaskSettings) -> dict[str, list[tuple[str, Label]]]:
    """Return what each label of the query asks: heads and relations, several if they read alike."""
    pairs = asked.pairs
    if pairs is None:
        allowed = [
            (span.text, relation)
            for relation in asked.relations
            for span in asked.entities
            if is_allowed(span, relation.options.get("head"))
        ]
        pairs = tuple({(head, kind.name): (head, kind) for head, kind in allowed}.values())
    meaning: dict[str, list[tuple[str, Label]]] = {}
    for head, relation in pairs:
        label = RELATIONS.word_label(settings, head=head, relation=relation.asked)
        meaning.setdefault(label, []).append((head, relation))
    return meaning


def _labels(asked: Related, settings: TaskSettings) -> Sequence[Label]:
    return [
        replace(relation, asked=label)
        for label, row in _meaning(asked, settings).items()
        for _, relation in row
    ]


def _query(text: str, asked: Related, settings: TaskSettings) -> list[Query]:
    prompt = RELATIONS.word_prompt(settings)
    return [Query(text, tuple(_meaning(asked, settings)), prompt)]


def _cut(query: Query, asked: Related, settings: TaskSettings) -> list[tuple[int, Query]]:
    """Ask for each head near its mentions."""
    parts = surroundings(query.text, WORDS_AROUND, asked.entities)
    begins = [start for (start, _), _ in parts]
    meaning = _meaning(asked, settings)
    heads = {head for row in meaning.values() for head, _ in row}
    near: dict[str, set[int]] = {
        head: {bisect_right(begins, start) - 1 for start in starts}
        for head, starts in _mentions(query.text, heads, asked.entities).items()
    }
    labels: list[list[str]] = [[] for _ in parts]
    for label, row in meaning.items():
        for part in set().union(*(near[head] for head, _ in row)):
            labels[part].append(label)
    most_words = settings.words_at_once.get(RELATIONS.name, 0)
    return [
        (start + offset, piece)
        for (_, (start, end)), near_labels in zip(parts, labels, strict=True)
        if near_labels
        for offset, piece in cut(
            replace(query, text=query.text[start:end], labels=tuple(near_labels)), most_words
        )
    ]


def _mentions(
    text: str, names: Iterable[str], entities: Iterable[Span] = ()
) -> dict[str, set[int]]:
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


def _ends(text: str, place: int) -> bool:
    """Whether no word goes on over the place."""
    return place >= len(text) or not (_is_word(text[place - 1]) and _is_word(text[place]))


def _is_word(character: str) -> bool:
    return _WORD.match(character) is not None


def _mark(
    query: Query, asked: Related, gold: Iterable[Relation], settings: TaskSettings
) -> Example:
    """Make each tail a span under the label that asks for it."""
    named = {
        (head, relation.name): label
        for label, row in _meaning(asked, settings).items()
        for head, relation in row
    }
    spans: list[Span] = []
    for relation in gold:
        pair = relation.head.text, relation.label
        if pair not in named:
            raise UsageError(f"relation {pair[1]!r} of {pair[0]!r} is not among what is asked")
        spans.append(replace(relation.tail, label=named[pair]))
    return Example(query, tuple(dict.fromkeys(spans)), task=RELATIONS.name)


def _read(
    text: str, asked: Related, found: Sequence[Found], settings: TaskSettings
) -> list[Relation]:
    """Turn tails into relations, each once, in the order of their heads."""
    meaning = _meaning(asked, settings)
    places = _Places.of(text, asked.entities)
    best: dict[tuple[object, ...], Relation] = {}
    for tail in found[0].spans:
        for head, kind in meaning[tail.label]:
            if tail.score < RELATIONS.limit(kind, settings):
                continue
            relation = places.relation(head, kind, tail)
            if relation is None:
                continue
            ends = relation.head, relation.tail
            key = (relation.label, *((span.start, span.end) for span in ends))
            if key not in best or relation.score > best[key].score:
                best[key] = relation
    kinds = [kind for row in meaning.values() for _, kind in row]
    return finished(best.values(), kinds)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a text's entities and sentences are."""

    entities: Sequence[Span]
    """In the order of the text."""
    starts: Sequence[int]
    """Of the entities."""
    longest: int
    """Characters of the longest entity."""
    sentences: Sequence[int]
    """Where each begins."""
    by_text: dict[str, list[Span]]
    """The entities of each name."""
    heads: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    """The entities that may be the head of a relation, by text and relation, once looked for."""

    @classmethod
    def of(cls, text: str, entities: Iterable[Span]) -> "_Places":
        """Look the places of a text up."""
        ordered = sorted(entities, key=lambda span: (span.start, span.end))
        longest = max((span.end - span.start for span in ordered), default=0)
        starts = [span.start for span in ordered]
        by_text: dict[str, list[Span]] = {}
        for span in ordered:
            by_text.setdefault(span.text, []).append(span)
        return cls(ordered, starts, longest, [start for start, _ in sentences(text)], by_text)

    def relation(self, head_text: str, relation: Label, found: Span) -> Relation | None:
        """Place both ends; None where the types or the places forbid it."""
        tail = self._snapped(found, relation.options.get("tail"))
        if tail is None:
            return None
        key = head_text, relation.name
        if key not in self.heads:
            types = relation.options.get("head")
            named = self.by_text.get(head_text, ())
            self.heads[key] = [span for span in named if is_allowed(span, types)]
        heads = [head for head in _nearest(self.heads[key], tail) if not are_one(head, tail)]
        if not heads:
            return None
        sentence = self._sentence(tail)
        head = min(heads, key=lambda s: (self._sentence(s) != sentence, _distance(s, tail)))
        return Relation(head, relation.name, tail, found.score)

    def _sentence(self, span: Span) -> int:
        return bisect_right(self.sentences, span.start)

    def _snapped(self, tail: Span, types: Sequence[str] | None) -> Span | None:
        """Return the entity of an allowed type that shares most with ``tail``, else the tail.

        A tail of an unknown type is kept only where the relation allows any.
        """
        first = bisect_right(self.starts, tail.start - self.longest)
        last = bisect_left(self.starts, tail.end)
        near = [
            span
            for span in self.entities[first:last]
            if span.overlaps(tail) and is_allowed(span, types)
        ]
        if near:
            return max(near, key=lambda span: (_shared(span, tail), span.score))
        return None if types else replace(tail, label="")


def _nearest(mentions: Sequence[Span], tail: Span) -> list[Span]:
    """Return the last of a name's mentions before the tail, and the first behind it."""
    before = bisect_right(mentions, tail.start, key=lambda span: span.end) - 1
    behind = bisect_left(mentions, tail.end, key=lambda span: span.start)
    return [mentions[i] for i in (before, behind) if 0 <= i < len(mentions)]


def _distance(a: Span, b: Span) -> int:
    return max(a.start - b.end, b.start - a.end, 0)


def _shared(a: Span, b: Span) -> int:
    return min(a.end, b.end) - max(a.start, b.start)


RELATIONS: Task[Related, list[Relation]] = Task(
    name="relations",
    query=_query,
    labels=_labels,
    read=_read,
    mark=_mark,
    cut=_cut,
    prompt="Identify the relation in the given text, highlighting the relevant entity:",
    label="{head} <> {relation}",
    span_score="min",  # thresholds may be low here, and then the mean forgets where a tail ends
    overlap="nested",
    multi_label=True,
)
