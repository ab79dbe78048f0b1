"""Relation extraction: which entities of a text stand in which relations."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from glinermt.config import check_flag
from glinermt.default_model import load_extractor
from glinermt.errors import UsageError, unknown_choice
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.inputs import Argument, by_shape, chunks, restore, rows
from glinermt.tasks.labels import (
    Label,
    LabelSpec,
    check_ends,
    check_threshold,
    is_one_spec,
    read_labels,
    read_relations,
    spec_argument,
)
from glinermt.tasks.relation_labels import RELATIONS, WORDS_AROUND, Related
from glinermt.tasks.relation_pairs import PAIRS, Paired
from glinermt.tasks.run import in_force, kinds_of, run, stream
from glinermt.types import Extractor, Relation, Span, SpanScore, Threshold

__all__ = [
    "ANY_ENTITY",
    "PAIRS",
    "RELATIONS",
    "WORDS_AROUND",
    "Paired",
    "Related",
    "entity_types",
    "extract_relations",
]

Method = Literal["pairs", "labels"]


@by_shape
def extract_relations(
    text: str | Iterable[str],
    relations: LabelSpec | Iterable[LabelSpec],
    *,
    entities: Iterable[Span] | LabelSpec | Iterable[Iterable[Span] | LabelSpec] | None = None,
    entity_threshold: Threshold | None = None,
    threshold: Threshold | None = None,
    method: Method | None = None,
    joint: bool = False,
    span_score: SpanScore | None = None,
    model: Extractor | str | Path | None = None,
) -> list[Relation]:
    """Find which entities of a text stand in which relations, in the order of their heads.

    With ``method="labels"`` a head's tails are looked for, in a text of more than 150 words, around
    its mentions: in the sentences of up to 50 words that hold one, and in as many before and
    behind them.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        relations: names, or ``{name: {...}}`` with any of ``description``, ``threshold``, ``head``
            and ``tail`` (lists of entity types allowed there), ``symmetric`` and ``max_per_head``;
            for all texts, or one such for each.
        entities: the text's entities (Spans of it; for several texts a list of them each), or
            entity types to find first, or None for any named entity.
        entity_threshold: least score of entities that are found first; None as in NER.
        threshold: least score, for relations without one of their own: a number, or one
            for each relation; None = the model's, else 0.5.
        method: ``pairs`` scores all pairs of entities against all relations in one pass, and
            needs a model with a relation head; ``labels`` asks for the tails of each head, as the
            paper does; None = pairs where the model can.
        joint: let a relation that names types (``head``, ``tail``) raise one of its ends that is
            below its threshold, if the relation is the surer for it. Needs entity types, not given
            entities, and the method ``pairs``.
        span_score: how a span's score comes from its words': ``mean`` or ``min``; None = the
            task's.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or relations are no strings.
        ValueError: an entity that is not at its place in the text, an empty or unknown option, or
            numbers that do not match.
    """
    check_flag("joint", joint)
    of_relations = spec_argument("relations", relations, threshold)
    of_entities = Argument[Any](
        "entities", entities, entities is None or isinstance(text, str) or is_one_spec(entities)
    )
    given = rows(text, of_relations, of_entities)
    if isinstance(entity_threshold, Mapping):
        if of_relations.for_all and of_entities.for_all and not isinstance(text, str):
            list(_checked([("", of_relations.value, entities)], entity_threshold))
        else:
            given = _checked(given, entity_threshold)
            given = iter(list(given)) if isinstance(text, Sized) else given
    extractor = load_extractor(model)
    if chosen_method(method, extractor) == "pairs":
        found = _by_pairs(given, extractor, entity_threshold, threshold, span_score, joint=joint)
    elif joint:
        raise UsageError("joint needs method 'pairs': only there types and relations meet")
    else:
        found = _by_labels(given, extractor, entity_threshold, threshold, span_score)
    return restore(text, found)


Rows = Iterable[tuple[str, LabelSpec, Any]]
"""Text, relations, and entities or their types."""


def _checked(given: Rows, threshold: Mapping[str, float]) -> Iterator[tuple[str, LabelSpec, Any]]:
    """Yield the rows, and then check that each threshold is of a type that a text is searched for.

    Spans that are given are searched for nowhere.
    """
    known: dict[str, None] = {}
    for text, spec, entities in given:
        if isinstance(entities, Iterator):
            entities = list(entities)
        known.update(dict.fromkeys(_sought(spec, entities)))
        yield text, spec, entities
    if known:
        check_threshold(threshold, known, argument="entity_threshold")


def _sought(spec: LabelSpec, entities: Any) -> list[str]:
    types = entity_types(read_relations(spec)) if entities is None else entities
    if isinstance(types, Mapping) or (
        isinstance(types, Sequence) and all(isinstance(kind, str) for kind in types)
    ):
        return [label.name for label in read_labels(types)]
    return []


def chosen_method(method: Method | None, model: Extractor) -> Method:
    """Return the method asked for, or that of the model.

    Raises:
        ValueError: the model cannot do it.
    """
    can = "relations" in kinds_of(model)
    if method is None:
        return "pairs" if can else "labels"
    if method not in ("pairs", "labels"):
        raise UsageError(unknown_choice("method", method, ("pairs", "labels")))
    if method == "pairs" and not can:
        raise UsageError(
            "method 'pairs' needs a model with a relation head, and this one has none; use 'labels'"
        )
    return method


def _by_labels(
    given: Rows,
    model: Extractor,
    entity_threshold: Threshold | None,
    threshold: Threshold | None,
    span_score: SpanScore | None,
) -> Iterator[list[Relation]]:
    task = replace(RELATIONS, span_score=span_score or RELATIONS.span_score)
    in_force(task, model.settings, threshold)  # refuses a bad one before any work
    for chunk in chunks(given):
        texts = [text for text, _, _ in chunk]
        kinds = [read_relations(spec) for _, spec, _ in chunk]
        entities = [_read_entities(t, e, k) for (t, _, e), k in zip(chunk, kinds, strict=True)]
        spans = _find_entities(texts, entities, entity_threshold, model)
        asked = [Related(tuple(k), tuple(s)) for k, s in zip(kinds, spans, strict=True)]
        yield from run(task, model, texts, asked, threshold=threshold)


def _by_pairs(
    given: Rows,
    model: Extractor,
    entity_threshold: Threshold | None,
    threshold: Threshold | None,
    span_score: SpanScore | None,
    *,
    joint: bool,
) -> Iterator[list[Relation]]:
    task = replace(PAIRS, span_score=span_score)
    of_entities = in_force(ENTITIES, model.settings, entity_threshold)
    for chunk in chunks(given):
        asked = []
        for text, spec, entities in chunk:
            kinds = read_relations(spec)
            found = _read_entities(text, entities, kinds)
            spans = tuple(span for span in found if isinstance(span, Span))
            if spans or not found:
                asked.append(Paired(tuple(kinds), (), spans))
                continue
            types = [
                label.with_threshold(ENTITIES.limit(label, of_entities))
                for label in read_labels(found)  # type: ignore[arg-type]  # these are types
            ]
            asked.append(Paired(tuple(kinds), tuple(types), joint=joint))
        yield from run(task, model, [text for text, _, _ in chunk], asked, threshold=threshold)


ANY_ENTITY = ("person", "organization", "location", "date", "event", "product", "creative work")
"""Entity types looked for where the caller names none."""


def entity_types(relations: Sequence[Label], *, others: bool = True) -> tuple[str, ...]:
    """Return the types the relations speak of.

    With ``others`` also the usual types, where one of the relations takes any head.
    """
    given = [r.options.get(side) or () for r in relations for side in ("head", "tail")]
    typed = [t for types in given for t in (sorted(types) if isinstance(types, Set) else types)]
    free = others and any(not relation.options.get("head") for relation in relations)
    return tuple(dict.fromkeys([*typed, *(ANY_ENTITY if free else ())]))


def _read_entities(
    text: str, entities: Iterable[Span] | LabelSpec | None, relations: Sequence[Label]
) -> Sequence[Span] | LabelSpec:
    """Return spans, checked, or the entity types to look for."""
    if entities is None:
        return entity_types(relations)
    if isinstance(entities, Mapping | str) or not isinstance(entities, Iterable):
        return _checked_types(entities, relations)
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
        return _checked_types(items, relations) if items else items
    for span in spans:
        if not 0 <= span.start < span.end or text[span.start : span.end] != span.text:
            raise UsageError(
                f"entity {span.text!r} is not at {span.start}:{span.end}, where the text has "
                f"{text[span.start : span.end]!r}; pass the text the entities were extracted from"
            )
    return spans


def _checked_types(types: LabelSpec, relations: Sequence[Label]) -> LabelSpec:
    """Return entity types between which the relations can hold."""
    if isinstance(types, Sequence) and any(isinstance(kind, Mapping) for kind in types):
        raise TypeError(
            f"entities must be Spans or types, got {types[0]!r:.80}; Span.from_dict makes a Span"
        )
    check_ends(relations, [label.name for label in read_labels(types)])
    return types


def _find_entities(
    texts: list[str],
    given: list[Sequence[Span] | LabelSpec],
    threshold: Threshold | None,
    model: Extractor,
) -> list[Sequence[Span]]:
    """Return each text's entities, finding those that only types are given for."""
    result: list[Sequence[Span]] = [[s for s in spans if isinstance(s, Span)] for spans in given]
    missing = [i for i, spans in enumerate(given) if spans and not result[i]]
    asked = (read_labels(given[i]) for i in missing)  # type: ignore[arg-type]  # these hold types
    of_texts = zip((texts[i] for i in missing), asked, strict=True)
    found = stream(ENTITIES, model, of_texts, threshold=threshold)
    for i, spans in zip(missing, found, strict=True):
        result[i] = spans
    return result
