"""Samples relation Examples: true pairs beside pairs that are hard to tell from them."""

import random
from collections import Counter
from collections.abc import Sequence

from glinermt.tasks.relations import RELATIONS, Related
from glinermt.tasks.task import example
from glinermt.training.config import Sampling
from glinermt.training.data.cutting import cut, shift
from glinermt.training.data.label_pool import LabelPool
from glinermt.training.data.rows import RelationRow
from glinermt.types import Example, Relation, Span

Pair = tuple[str, str]
"""Text of a head, and a relation."""
Triple = tuple[Span, str, Span]

MAX_POSITIVES = 5
MAX_OTHER_RELATIONS = 5
REVERSED_SHARE = 0.5
OTHER_HEAD_SHARE = 0.4
ALONE_SHARE = 0.15
"""Share of rows asked without negatives, as when one known relation is filled in."""
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
