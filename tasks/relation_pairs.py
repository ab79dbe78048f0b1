"""Relations between the entities of one pass: the model scores every pair against all relations.

The cost does not grow with the number of heads, and relations are told apart from one another. The
entities are given, or found in the same pass; then their types and the relations are chosen
together, so that a relation may correct the type of what it holds between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from glinermt.config import TaskSettings
from glinermt.errors import UsageError
from glinermt.tasks.labels import Label, are_one, finished, is_allowed
from glinermt.tasks.task import Task
from glinermt.types import Example, Found, Query, Relation, Span


@dataclass(frozen=True, slots=True)
class Paired:
    """The relations that are asked of a text, and between what."""

    relations: tuple[Label, ...] = ()
    types: tuple[Label, ...] = ()
    """Entity types that are looked for in the same pass, where no entities are given."""
    entities: tuple[Span, ...] | None = None


def _types(asked: Paired, _: TaskSettings) -> Sequence[Label]:
    return asked.types if asked.entities is None else ()


def _relations(asked: Paired, _: TaskSettings) -> Sequence[Label]:
    return asked.relations


def _query(text: str, asked: Paired, settings: TaskSettings) -> list[Query]:
    return [
        Query(
            text,
            tuple(label.asked for label in _types(asked, settings)),
            relations=tuple(label.asked for label in asked.relations),
            entities=asked.entities,
        )
    ]


def _whole(query: Query, _: Paired, __: TaskSettings) -> list[tuple[int, Query]]:
    """Leave long texts to the model's windows, which overlap, so that no near pair is lost."""
    return [(0, query)]


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
    types = _types_at(found[0], asked)
    kept: list[Relation] = []
    for relation in sorted(found[0].relations, key=lambda r: -r.score):
        kind = kinds[relation.label]
        if relation.score < PAIRS.limit(kind, settings):
            continue
        head = _typed(relation.head, kind.options.get("head"), types)
        tail = _typed(relation.tail, kind.options.get("tail"), types)
        if head is None or tail is None or head.overlaps(tail) or are_one(head, tail):
            continue
        for span in (head, tail):
            types[span.start, span.end] = [span]
        kept.append(Relation(head, kind.name, tail, relation.score))
    settled = [
        replace(r, head=types[r.head.start, r.head.end][0], tail=types[r.tail.start, r.tail.end][0])
        for r in kept
    ]
    return finished(settled, asked.relations)


def _types_at(found: Found, asked: Paired) -> dict[tuple[int, int], list[Span]]:
    """Return the types that the entity at each place may have, the best first."""
    names = {label.asked: label.name for label in asked.types}
    spans = asked.entities
    if spans is None:
        spans = tuple(replace(span, label=names[span.label]) for span in found.spans)
    types: dict[tuple[int, int], list[Span]] = {}
    for span in sorted(spans, key=lambda span: -span.score):
        types.setdefault((span.start, span.end), []).append(span)
    return types


def _typed(
    span: Span, allowed: Sequence[str] | None, types: Mapping[tuple[int, int], Sequence[Span]]
) -> Span | None:
    """Return the best type at the span's place that the relation allows; None without one.

    A model may find ends that it does not find as entities; these have no type.
    """
    here = types.get((span.start, span.end), () if span.label else (span,))
    return next((each for each in here if is_allowed(each, allowed)), None)


PAIRS: Task[Paired, list[Relation]] = Task(
    name="relations",
    query=_query,
    labels=_types,
    relations=_relations,
    read=_read,
    mark=_mark,
    cut=_whole,
    multi_label=True,  # an entity may still be of several types
)
