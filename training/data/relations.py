"""Training examples of relations: the tails of a head (the paper's way), and pairs of mentions."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from glinermt.tasks.relations import RELATIONS, Related
from glinermt.tasks.task import example
from glinermt.training.config import Sampling
from glinermt.training.data.label_pool import LabelPool
from glinermt.training.data.rows import RelationRow, cut, shift
from glinermt.types import Example, Query, Relation, Span

Pair = tuple[str, str]
"""Text of a head, and a relation."""
Triple = tuple[Span, str, Span]

MAX_POSITIVES = 5
MAX_OTHER_RELATIONS = 5
REVERSED_SHARE = 0.5
OTHER_HEAD_SHARE = 0.4
ALONE_SHARE = 0.15
"""Share of rows asked without negatives, as when one known relation is filled in."""
MAX_MENTIONS = 14
"""Mentions paired in one Example; every ordered pair of them is scored."""
LENGTHS = (0.3, 0.6, 1.0)
"""A long document is cut to one of these shares of ``max_words``."""


class RelationSampler:
    """Asks for tails of heads: of true relations, and of ones that do not hold."""

    def __init__(self, rows: Sequence[RelationRow], sampling: Sampling) -> None:
        counts = Counter(name for row in rows for _, name, _ in row.triples)
        self._pool = LabelPool(counts)
        self._sampling = sampling
        self._symmetric = frozenset(sampling.symmetric_relations)

    def __call__(self, row: RelationRow, rng: random.Random) -> Example:
        text, triples = self._cut(row, rng)
        true = {(head.text, name) for head, name, _ in triples}
        positives = rng.sample(sorted(true), min(len(true), rng.randint(1, MAX_POSITIVES)))
        negatives: list[Pair] = []
        if rng.random() >= ALONE_SHARE:
            negatives = self._negatives(triples, positives, rng)
        room = max(0, self._sampling.max_relation_labels - len(positives))
        # What holds anywhere in the document may hold between other mentions in this piece.
        known = {(head.text, name) for head, name, _ in row.triples}
        distinct = [pair for pair in dict.fromkeys(negatives) if pair not in known]
        candidates = positives + rng.sample(distinct, min(room, len(distinct)))
        rng.shuffle(candidates)
        asked = [t for t in triples if (t[0].text, t[1]) in positives]
        pairs = [*((head.text, name) for head, name, _ in asked), *candidates]
        return example(RELATIONS, text, Related.of_pairs(pairs), [Relation(*t) for t in asked])

    def _negatives(
        self, triples: Sequence[Triple], positives: Sequence[Pair], rng: random.Random
    ) -> list[Pair]:
        """Other relations of a head, tail and head swapped, the relation of another head."""
        found: list[Pair] = []
        for head, name in positives:
            number = rng.randint(1, MAX_OTHER_RELATIONS)
            others = self._pool.draw(
                number,
                exclude=(name,),
                frequency_share=self._sampling.frequency_share,
                rng=rng,
            )
            found += [(head, other) for other in others]
            tails = [t.text for h, n, t in triples if (h.text, n) == (head, name)]
            if name not in self._symmetric and rng.random() < REVERSED_SHARE:
                found.append((rng.choice(tails), name))
            mentions = {span.text for h, _, t in triples for span in (h, t)} - {head, *tails}
            if mentions and name not in self._symmetric and rng.random() < OTHER_HEAD_SHARE:
                found.append((rng.choice(sorted(mentions)), name))
        return found

    def _cut(self, row: RelationRow, rng: random.Random) -> tuple[str, list[Triple]]:
        """Cut a document around one triple; only triples wholly inside the piece remain."""
        head, _, tail = rng.choice(row.triples)
        low, high = min(head.start, tail.start), max(head.end, tail.end)
        whole = Span(low, high, row.text[low:high], "")
        ends = [span for h, _, t in row.triples for span in (h, t)]
        limit = round(self._sampling.max_words * rng.choice(LENGTHS))
        start, end = cut(row.text, ends, max_words=limit, rng=rng, keep=whole)
        kept = []
        for h, name, t in row.triples:
            inside = shift((h, t), start, end)
            if len(inside) == 2:
                kept.append((inside[0], name, inside[1]))
        return row.text[start:end], kept


class PairSampler:
    """Asks which of some relations hold between some mentions of a row.

    Pairs without a gold relation are negatives, so the mentions are chosen such that all pairs of
    them were judged: all mentions of a row, or with ``only_listed`` those of one pair.
    """

    def __init__(
        self,
        rows: Sequence[RelationRow],
        sampling: Sampling,
        foreign: Sequence[str] = (),
        *,
        only_listed: bool = False,
    ) -> None:
        self._pool = LabelPool(Counter(name for row in rows for _, name, _ in row.triples))
        self._sampling = sampling
        self._foreign = foreign
        self._only_listed = only_listed
        self._symmetric = frozenset(sampling.symmetric_relations)

    def __call__(self, row: RelationRow, rng: random.Random) -> Example:
        text, triples, mentions = self._piece(row, rng)
        mentions = self._chosen(triples, mentions, rng)
        related = self._related(row, mentions)
        present = sorted({name for _, name, _ in related})
        asked = rng.sample(present, min(len(present), self._sampling.max_relation_labels - 1))
        room = self._sampling.max_relation_labels - len(asked)
        names = asked + self._pool.draw(
            rng.randint(1, room),
            exclude=present,
            frequency_share=self._sampling.frequency_share,
            rng=rng,
        )
        rng.shuffle(names)
        query = Query(text, relations=tuple(names), entities=tuple(mentions))
        gold = tuple(Relation(h, name, t) for h, name, t in related if name in asked)
        example = Example(query, (), "relations", relations=gold)
        return beside_types(example, self._foreign, self._sampling, rng)

    def _piece(self, row: RelationRow, rng: random.Random) -> tuple[str, list[Triple], list[Span]]:
        """Cut a document around one judged pair, with what lies whole in the piece."""
        pairs = [(head, tail) for head, _, tail in row.triples] + list(row.unrelated)
        head, tail = rng.choice(pairs)
        low, high = min(head.start, tail.start), max(head.end, tail.end)
        whole = Span(low, high, row.text[low:high], "")
        mentions = sorted({_bare(span) for pair in pairs for span in pair}, key=_place)
        limit = round(self._sampling.max_words * rng.choice(LENGTHS))
        start, end = cut(row.text, mentions, max_words=limit, rng=rng, keep=whole)
        if self._only_listed:
            mentions = [_bare(head), _bare(tail)]
        triples = [
            (_bare(inside[0]), name, _bare(inside[1]))
            for h, name, t in row.triples
            if len(inside := shift((h, t), start, end)) == 2
        ]
        return row.text[start:end], triples, list(shift(mentions, start, end))

    def _chosen(
        self, triples: Sequence[Triple], mentions: Sequence[Span], rng: random.Random
    ) -> list[Span]:
        """Return at most ``MAX_MENTIONS`` mentions, those of related pairs first."""
        if len(mentions) <= MAX_MENTIONS:
            return list(mentions)
        chosen: dict[Span, None] = {}
        for head, _, tail in rng.sample(triples, min(len(triples), MAX_MENTIONS // 4)):
            chosen.update({head: None, tail: None})
        others = [mention for mention in mentions if mention not in chosen]
        chosen.update(dict.fromkeys(rng.sample(others, MAX_MENTIONS - len(chosen))))
        return sorted(chosen, key=_place)

    def _related(self, row: RelationRow, mentions: Sequence[Span]) -> list[Triple]:
        """Return what holds between the mentions.

        What the row says of a pair holds for every two mentions with the same names.
        """
        true: dict[tuple[str, str], set[str]] = {}
        for head, name, tail in row.triples:
            true.setdefault((head.text, tail.text), set()).add(name)
            if name in self._symmetric:
                true.setdefault((tail.text, head.text), set()).add(name)
        return [
            (head, name, tail)
            for head in mentions
            for tail in mentions
            if head != tail
            for name in sorted(true.get((head.text, tail.text), ()))
        ]


def beside_types(
    example: Example, types: Sequence[str], sampling: Sampling, rng: random.Random
) -> Example:
    """Ask for some entity types besides, in a share of the Examples, and learn nothing of them.

    So the other heads know prompts that ask for several kinds at once.
    """
    if not types or rng.random() >= sampling.mixed_share:
        return example
    number = min(rng.randint(1, sampling.max_negatives or 1), len(types))
    query = replace(example.query, labels=tuple(rng.sample(list(types), number)))
    return replace(example, query=query, silent=((0, len(query.text)),))


def _bare(span: Span) -> Span:
    return replace(span, label="")


def _place(span: Span) -> tuple[int, int]:
    return span.start, span.end
