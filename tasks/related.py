"""What callers of relation extraction give: the relations, and entities or types of them."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from glinermt.tasks.entities import extract_entities
from glinermt.tasks.labels import Label, LabelSpec, is_one_spec, read_labels
from glinermt.types import Extractor, Span

ANY_ENTITY = ("person", "organization", "location", "date", "event", "product", "creative work")
"""Entity types looked for where the caller names none."""
_OPTIONS = ("description", "threshold", "head", "tail", "symmetric")


def read_relations(spec: LabelSpec) -> list[Label]:
    """Read the relations, and check what ``read_labels`` leaves to us."""
    relations = read_labels(spec, what="relation", options=_OPTIONS)
    for relation in relations:
        for side in ("head", "tail"):
            types = relation.options.get(side)
            if types is not None and not _are_types(types):
                raise TypeError(
                    f"relation {relation.name!r}: {side} must be a list of entity types, "
                    f"got {types!r}"
                )
        symmetric = relation.options.get("symmetric", False)
        if not isinstance(symmetric, bool):
            raise TypeError(
                f"relation {relation.name!r}: symmetric must be True or False, got {symmetric!r}"
            )
    return relations


def _are_types(given: Any) -> bool:
    several = isinstance(given, Sequence | Set) and not isinstance(given, str | bytes)
    return several and all(isinstance(kind, str) for kind in given)


def _types(relations: Sequence[Label]) -> tuple[str, ...]:
    """Give the types the relations speak of; any entity too where one of them takes any head."""
    given = [r.options.get(side) or () for r in relations for side in ("head", "tail")]
    typed = [t for types in given for t in (sorted(types) if isinstance(types, Set) else types)]
    free = any(not relation.options.get("head") for relation in relations)
    return tuple(dict.fromkeys([*typed, *(ANY_ENTITY if free else ())]))


def read_entities(
    text: str, entities: Iterable[Span] | LabelSpec | None, relations: Sequence[Label]
) -> Sequence[Span] | LabelSpec:
    """Give spans, checked, or the entity types to look for."""
    if entities is None:
        return _types(relations)
    if isinstance(entities, Mapping | str) or not isinstance(entities, Iterable):
        read_labels(entities)
        return entities
    items: list[Any] = list(entities)
    spans = [span for span in items if isinstance(span, Span)]
    if isinstance(entities, Set):
        if items and not spans:
            read_labels(entities)  # type: ignore[arg-type]  # refuses it: the order would vary
        spans.sort(key=lambda span: (span.start, span.end, span.label))
    if spans and len(spans) < len(items):
        other = next(item for item in items if not isinstance(item, Span))
        raise TypeError(f"entities must be all Spans or all types, got a Span and {other!r:.80}")
    if not spans:
        return items  # entity types
    for span in spans:
        if not 0 <= span.start < span.end or text[span.start : span.end] != span.text:
            raise ValueError(
                f"entity {span.text!r} is not at {span.start}:{span.end}, where the text has "
                f"{text[span.start : span.end]!r}; pass the text the entities were extracted from"
            )
    return spans


def find_entities(
    texts: list[str],
    given: list[Sequence[Span] | LabelSpec],
    threshold: float | None,
    model: Extractor,
) -> list[Sequence[Span]]:
    """Give each text's entities, finding those that only types are given for."""
    result: list[Sequence[Span]] = [[s for s in spans if isinstance(s, Span)] for spans in given]
    missing = [i for i, spans in enumerate(given) if spans and not result[i]]
    found = extract_entities(
        [texts[i] for i in missing],
        [given[i] for i in missing],  # type: ignore[misc]  # these hold types
        threshold=threshold,
        model=model,
    )
    for i, spans in zip(missing, found, strict=True):
        result[i] = spans
    return result


def are_for_all(entities: Any) -> bool:
    """Whether ``entities`` are types for all texts rather than a value for each."""
    return is_one_spec(entities) and not (isinstance(entities, Sequence) and not entities)
