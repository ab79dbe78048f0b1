"""Entities and the relations between them, and both as the nodes and edges of a graph."""

from collections.abc import Iterable, Sequence
from typing import Any

from glinermt.tasks import extract_entities, extract_relations
from glinermt.types import Extractor, Overlap, Relation, Span


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
    found = extract_entities(given, labels, threshold=threshold, overlap=overlap, model=model)
    if not relations:
        return [(spans, []) for spans in found]
    related = extract_relations(
        given, relations, entities=found, threshold=relation_threshold, model=model
    )
    return list(zip(found, related, strict=True))


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
