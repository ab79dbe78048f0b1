"""Relations between the entities of one pass: the model scores every pair against all relations.

The cost does not grow with the number of heads, and relations are told apart from one another. The
entities are given, or found in the same pass; then their types and the relations are chosen
together, so that a relation may correct the type of what it holds between.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from glinermt.config import TaskSettings, doubted
from glinermt.errors import UsageError
from glinermt.tasks.labels import Label, are_one, finished, is_allowed
from glinermt.tasks.task import Task, uncut
from glinermt.types import Example, Found, Query, Relation, Span

LOWER = 0.4
"""Share of its threshold from which a type is looked at that a relation may raise."""
MOST_NEARER = 4
"""Entities that speak against a pair, at most: what is sure may stand far apart."""
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Paired:
    """The relations that are asked of a text, and between what."""

    relations: tuple[Label, ...] = ()
    types: tuple[Label, ...] = ()
    """Entity types that are looked for in the same pass, where no entities are given."""
    entities: tuple[Span, ...] | None = None
    joint: bool = False
    """Whether a relation may raise a type that is below its threshold (see ``_Ends``); the types
    have thresholds of their own then."""


def _types(asked: Paired, _: TaskSettings) -> Sequence[Label]:
    if asked.entities is not None:
        return ()
    if not asked.joint:
        return asked.types
    return [label.with_threshold(LOWER * (label.threshold or 0.0)) for label in asked.types]


def _relations(asked: Paired, _: TaskSettings) -> Sequence[Label]:
    return asked.relations


def _query(text: str, asked: Paired, settings: TaskSettings) -> list[Query]:
    return [
        Query(
            text,
            tuple(label.asked for label in _types(asked, settings)),
            relations=tuple(label.asked for label in asked.relations),
            entities=asked.entities,
            casing=settings.casing,
        )
    ]


def _mark(
    query: Query, asked: Paired, gold: Iterable[Relation | Span], settings: TaskSettings
) -> Example:
    """Make relations, and where types are asked entity spans, the gold."""
    names = {label.name: label.asked for label in asked.relations}
    types = {label.name: label.asked for label in _types(asked, settings)}
    relations, spans = [], []
    for item in gold:
        known = names if isinstance(item, Relation) else types
        if item.label not in known:
            raise UsageError(f"{item.label!r} is not among what is asked: {', '.join(known)}")
        if isinstance(item, Relation):
            relations.append(replace(item, label=known[item.label]))
        else:
            spans.append(replace(item, label=known[item.label]))
    return Example(query, tuple(spans), task=PAIRS.name, relations=tuple(relations))


def _read(_: str, asked: Paired, found: Sequence[Found], settings: TaskSettings) -> list[Relation]:
    """Take the surest relations first; what one makes of an entity holds for the others."""
    kinds = {kind.asked: kind for kind in asked.relations}
    limits = {label.name: label.threshold or 0.0 for label in asked.types if asked.joint}
    ends = _Ends(_types_at(found[0], asked), limits)
    kept: list[Relation] = []
    relations = _doubted(found[0].relations, ends.types, settings.nearness)
    for relation in sorted(relations, key=lambda r: -r.score):
        kind = kinds[relation.label]
        limit = PAIRS.limit(kind, settings)
        if relation.score < limit:
            continue
        odds = _odds(relation.score) / _odds(limit)
        head = ends.typed(relation.head, kind.options.get("head"), odds)
        tail = ends.typed(relation.tail, kind.options.get("tail"), odds)
        if head is None or tail is None or head.overlaps(tail) or are_one(head, tail):
            continue
        ends.settled |= {(end.start, end.end): end for end in (head, tail)}
        kept.append(Relation(head, kind.name, tail, relation.score))
    return finished(kept, asked.relations)


def _doubted(
    relations: Sequence[Relation], entities: Iterable[Place], nearness: float
) -> Sequence[Relation]:
    """Lower the scores of relations that have other entities between or beside their ends.

    Of the entities that fit, texts mostly relate those that stand together, which a pair's score
    knows too little about.
    """
    if not nearness:
        return relations
    places = list(entities)
    starts = sorted(start for start, _ in places)
    ends = sorted(end for _, end in places)
    scored = []
    for relation in relations:
        pair = relation.head, relation.tail
        gap = max(end.start for end in pair) - min(end.end for end in pair)
        nearer = 0
        for end in pair if gap > 0 else ():
            nearer += bisect_left(starts, end.end + gap) - bisect_left(starts, end.end)
            nearer += bisect_right(ends, end.start) - bisect_right(ends, end.start - gap)
        doubt = nearness * min(nearer, MOST_NEARER)
        scored.append(replace(relation, score=doubted(relation.score, doubt)))
    return scored


def _types_at(found: Found, asked: Paired) -> dict[Place, list[Span]]:
    """Return the types that the entity at each place may have, the best first."""
    names = {label.asked: label.name for label in asked.types}
    spans = asked.entities
    if spans is None:
        spans = tuple(replace(span, label=names[span.label]) for span in found.spans)
    types: dict[Place, list[Span]] = {}
    for span in sorted(spans, key=lambda span: -span.score):
        types.setdefault((span.start, span.end), []).append(span)
    return types


@dataclass(slots=True)
class _Ends:
    """The types that the ends of relations may have, and have once a relation has chosen.

    A relation takes the best type at a place that it allows. Where types are chosen jointly, that
    may be one below its threshold that the relation names, if the odds of the type times those of
    the relation reach the odds of both thresholds, multiplied; and any but the place's best type
    has to reach that one's odds in the same way, so that a relation does not make a city of what is
    surely a person.
    """

    types: Mapping[Place, Sequence[Span]]
    limits: Mapping[str, float]
    """Thresholds of the types where they are chosen jointly."""
    settled: dict[Place, Span] = field(default_factory=dict)

    def typed(self, span: Span, allowed: Sequence[str] | None, odds: float) -> Span | None:
        """Return the end with its type, None without one.

        ``odds`` are the relation's over its threshold's. A model may find ends that it does not
        find as entities: these have no type.
        """
        place = span.start, span.end
        if place in self.settled:
            here: Sequence[Span] = (self.settled[place],)
        else:
            here = self.types.get(place, () if span.label else (span,))
            if self.limits and here:
                odds = odds if allowed else 1.0
                best = _odds(here[0].score)
                here = [each for each in here if self._reaches(each, odds, best)]
        return next((each for each in here if is_allowed(each, allowed)), None)

    def _reaches(self, span: Span, odds: float, best: float) -> bool:
        limit = _odds(self.limits.get(span.label, 0.0))
        return _odds(span.score) * odds >= max(limit, best)


def _odds(share: float) -> float:
    return max(share, 1e-9) / max(1 - share, 1e-9)  # a threshold may be 0


PAIRS: Task[Paired, list[Relation]] = Task(
    name="relations",
    query=_query,
    labels=_types,
    relations=_relations,
    read=_read,
    mark=_mark,
    cut=uncut,
    spans_of="entities",
    multi_label=True,  # an entity may still be of several types
)
