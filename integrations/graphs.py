"""Entities and the relations between them, and both as the nodes and edges of a graph."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from glinermt.errors import UsageError
from glinermt.tasks import extract_entities, extract_relations
from glinermt.tasks.labels import (
    ENTITY_OPTIONS,
    check_ends,
    is_one_spec,
    read_labels,
    read_relations,
)
from glinermt.types import Extractor, Overlap, Relation, Span

T = TypeVar("T")


def entities_and_relations(
    texts: Iterable[str],
    labels: Any,
    relations: Any,
    *,
    threshold: float | None,
    relation_threshold: float | None,
    overlap: Overlap = "flat",
    model: Extractor | None,
) -> list[tuple[list[Span], list[Relation]]]:
    """Return each text's entities, and the relations between them; all texts are read together.

    Args:
        texts: what to read.
        labels: entity types, as ``extract_entities`` takes them.
        relations: as ``extract_relations`` takes them; None or empty = no relations.
        threshold: least score of an entity; None = the model's.
        relation_threshold: least score of a relation; None = the model's.
        overlap: whether entities may lie inside others.
        model: None = the shipped one.
    """
    given = list(texts)
    if relations and is_one_spec(labels) and is_one_spec(relations):
        names = [label.name for label in read_labels(labels, options=ENTITY_OPTIONS)]
        check_ends(read_relations(relations), names)
    found = extract_entities(given, labels, threshold=threshold, overlap=overlap, model=model)
    if not relations:
        return [(spans, []) for spans in found]
    related = extract_relations(
        given, relations, entities=found, threshold=relation_threshold, model=model
    )
    return list(zip(found, related, strict=True))


def check_each(given: Any, kind: type[T], name: str, how: str) -> list[T]:
    """Return what a framework hands over as a list, of which each is its own kind of thing.

    Args:
        given: what was handed over.
        kind: the class of its items.
        name: the word for it in errors.
        how: how a text is made into one, for the message.

    Raises:
        TypeError: it is one thing alone, or one of another kind.
    """
    if isinstance(given, kind | str):
        raise TypeError(f"{name} must be a list of {kind.__name__}, got one {_kind(given)}")
    each = list(given)
    for number, one in enumerate(each):
        if not isinstance(one, kind):
            hint = f"; write {how}" if isinstance(one, str) else ""
            raise TypeError(f"{name} {number} must be a {kind.__name__}, got {_kind(one)}{hint}")
    return each


def as_pairs(given: Any) -> Any:
    """Return a mapping as pairs: files sort keys, and a model reads labels in their order."""
    return [list(pair) for pair in given.items()] if isinstance(given, Mapping) else given


def from_pairs(given: Any) -> Any:
    """Return what ``as_pairs`` made pairs of.

    Raises:
        ValueError: two pairs have one name, so that what one of them says would be lost.
    """
    pairs = isinstance(given, list) and given and all(isinstance(pair, list) for pair in given)
    if not pairs:
        return given
    found = dict(given)
    for name, about in given:
        if found[name] != about:
            raise UsageError(
                f"{name!r} is given twice, with {about!r:.80} and with {found[name]!r:.80}; "
                "name it once"
            )
    return found


def _kind(value: Any) -> str:
    return type(value).__name__


def nodes(
    spans: Sequence[Span], relations: Sequence[Relation]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return a node for each name and type, as its properties.

    ``mentions`` are the places ``start:end`` in the text, ``score`` is the best of them.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for span in (*spans, *(end for r in relations for end in (r.head, r.tail))):
        own = found.setdefault(node_of(span), {"mentions": [], "score": span.score})
        if _place(span) not in own["mentions"]:
            own["mentions"].append(_place(span))
        own["score"] = max(own["score"], span.score)
    return found


def node_of(span: Span) -> tuple[str, str]:
    """Return the name and type of the node that a span mentions."""
    return span.text, span.label


def edge_properties(relation: Relation) -> dict[str, Any]:
    """Return a relation's score, and the places ``start:end`` of its ends."""
    return {
        "score": relation.score,
        "head": _place(relation.head),
        "tail": _place(relation.tail),
    }


def _place(span: Span) -> str:
    return f"{span.start}:{span.end}"
