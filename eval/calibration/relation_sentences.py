"""Relations of whole sentences among their gold entities, as ``extract_relations`` finds them.

For choosing a threshold: pairs alone, each known to stand in one relation, say too little about
how often a model sees a relation where there is none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glinermt.eval.data.cases import RelationCase
from glinermt.eval.metrics.entities import strict_f1
from glinermt.tasks.relations import extract_relations
from glinermt.types import Extractor, Relation, Span

Triple = tuple[int, int, str, int, int]
"""Head start and end, relation, tail start and end."""


@dataclass(frozen=True, slots=True)
class SentenceCase:
    """A text, its entities, all relations of its set, and those that hold."""

    group: str
    text: str
    entities: tuple[Span, ...]
    relations: tuple[str, ...]
    gold: frozenset[Triple]


def sentences(pairs: Iterable[RelationCase]) -> list[SentenceCase]:
    """Join the pairs of each text."""
    by_text: dict[str, list[RelationCase]] = {}
    for pair in pairs:
        by_text.setdefault(pair.text, []).append(pair)
    return [
        SentenceCase(
            found[0].group,
            text,
            tuple(dict.fromkeys(span for pair in found for span in (pair.head, pair.tail))),
            found[0].relations,
            frozenset(triple(Relation(p.head, p.relation, p.tail)) for p in found),
        )
        for text, found in by_text.items()
    ]


def triple(relation: Relation) -> Triple:
    """Return what counts as the same relation."""
    head, tail = relation.head, relation.tail
    return head.start, head.end, relation.label, tail.start, tail.end


def find(
    model: Extractor, cases: Sequence[SentenceCase], threshold: float | None = None
) -> list[list[Relation]]:
    """Find relations; under the threshold saved with the model where none is given."""
    return extract_relations(
        [case.text for case in cases],
        [case.relations for case in cases],
        entities=[case.entities for case in cases],
        threshold=threshold,
        model=model,
    )


def f1(model: Extractor, cases: Sequence[SentenceCase]) -> float:
    """Return the micro F1 of the relations found, ends and name."""
    found = [map(triple, row) for row in find(model, cases)]
    return strict_f1((case.gold for case in cases), found)
