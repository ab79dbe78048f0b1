"""Samples Examples for the relation head: mentions to pair, and relations that hold or do not."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from glinermt.training.config import Sampling
from glinermt.training.data.cutting import cut, shift
from glinermt.training.data.label_pool import LabelPool
from glinermt.training.data.rows import RelationRow
from glinermt.types import Example, Query, Relation, Span

MAX_MENTIONS = 14
"""Mentions paired in one Example; every ordered pair of them is scored."""
LENGTHS = (0.3, 0.6, 1.0)
"""A long document is cut to one of these shares of ``max_words``."""

Triple = tuple[Span, str, Span]


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
