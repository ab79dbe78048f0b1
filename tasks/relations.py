"""Relation extraction: heads are given or found, and the model is asked for each head's tails.

A head and a relation are asked as the label ``"{head} <> {relation}"`` (the paper, section 3.3);
the spans found are the tails. Labels are mapped back through a table, never parsed. In long texts
a head is asked only around its mentions, so that the cost grows with the text and not its square.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glinermt.config import TaskSettings
from glinermt.default_model import load_extractor
from glinermt.tasks.entities import extract_entities
from glinermt.tasks.inputs import Argument, by_shape, chunks, restore, rows
from glinermt.tasks.labels import Label, LabelSpec, is_one_spec, read_labels, spec_argument
from glinermt.tasks.long_texts import cut, sentences, surroundings
from glinermt.tasks.mentions import are_one, mentions
from glinermt.tasks.run import in_force, run
from glinermt.tasks.task import Task
from glinermt.types import Example, Extractor, Found, Query, Relation, Span, Threshold

WORDS_AROUND = 150
"""Words of the stretch around a mention in which a head's tails are looked for. A text of no more
words is read whole."""


@by_shape
def extract_relations(
    text: str | Iterable[str],
    relations: LabelSpec | Iterable[LabelSpec],
    *,
    entities: Iterable[Span] | LabelSpec | Iterable[Iterable[Span] | LabelSpec] | None = None,
    entity_threshold: Threshold | None = None,
    threshold: Threshold | None = None,
    model: Extractor | str | Path | None = None,
) -> list[Relation]:
    """Find which entities of a text stand in which relations, in the order of their heads.

    In a text of more than 150 words a head's tails are looked for around its mentions: in the
    sentences of up to 50 words that hold one, and in as many before and behind them.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        relations: names, or ``{name: {...}}`` with any of ``description``, ``threshold``, ``head``
            and ``tail`` (lists of entity types allowed there) and ``symmetric``; for all texts,
            or one such for each.
        entities: the text's entities (Spans of it; for several texts a list of them each), or
            entity types to find first, or None for any named entity.
        entity_threshold: least score of entities that are found first; None as in NER.
        threshold: least score of a tail, for relations without one of their own: a number, or one
            for each relation; None = the model's, else 0.5.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or relations are no strings.
        ValueError: an entity that is not at its place in the text, an empty or unknown option, or
            numbers that do not match.
    """
    given = rows(
        text,
        spec_argument("relations", relations),
        Argument[Any](
            "entities",
            entities,
            entities is None or isinstance(text, str) or _are_for_all(entities),
        ),
    )
    found = _related(given, load_extractor(model), entity_threshold, threshold)
    return restore(text, found)


def _related(
    given: Iterable[tuple[str, LabelSpec, Any]],
    model: Extractor,
    entity_threshold: Threshold | None,
    threshold: Threshold | None,
) -> Iterator[list[Relation]]:
    in_force(RELATIONS, model.settings, threshold)  # refuses a bad one before any work
    for chunk in chunks(given):
        texts = [text for text, _, _ in chunk]
        kinds = [_read_relations(spec) for _, spec, _ in chunk]
        entities = [_read_entities(t, e, k) for (t, _, e), k in zip(chunk, kinds, strict=True)]
        spans = _find_entities(texts, entities, entity_threshold, model)
        asked = [Related(tuple(k), tuple(s)) for k, s in zip(kinds, spans, strict=True)]
        yield from run(RELATIONS, model, texts, asked, threshold=threshold)


@dataclass(frozen=True, slots=True)
class Related:
    """The relations that are asked of a text, and the entities that they may hold between."""

    relations: tuple[Label, ...] = ()
    entities: tuple[Span, ...] = ()
    pairs: tuple[tuple[str, Label], ...] | None = None
    """Text of a head, and a relation of it to ask for; None = each with each that it allows."""

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[str, str]]) -> "Related":
        """Ask just for these relations of these heads, each once."""
        chosen = list(dict.fromkeys(pairs))
        kinds = {kind.name: kind for kind in _read_relations([name for _, name in chosen])}
        return cls(pairs=tuple((head, kinds[name]) for head, name in chosen))


ANY_ENTITY = ("person", "organization", "location", "date", "event", "product", "creative work")
"""Entity types looked for where the caller names none."""
_OPTIONS = ("description", "threshold", "head", "tail", "symmetric")


def _read_relations(spec: LabelSpec) -> list[Label]:
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
    """Return the types the relations speak of; any entity too where one of them takes any head."""
    given = [r.options.get(side) or () for r in relations for side in ("head", "tail")]
    typed = [t for types in given for t in (sorted(types) if isinstance(types, Set) else types)]
    free = any(not relation.options.get("head") for relation in relations)
    return tuple(dict.fromkeys([*typed, *(ANY_ENTITY if free else ())]))


def _read_entities(
    text: str, entities: Iterable[Span] | LabelSpec | None, relations: Sequence[Label]
) -> Sequence[Span] | LabelSpec:
    """Return spans, checked, or the entity types to look for."""
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


def _find_entities(
    texts: list[str],
    given: list[Sequence[Span] | LabelSpec],
    threshold: Threshold | None,
    model: Extractor,
) -> list[Sequence[Span]]:
    """Return each text's entities, finding those that only types are given for."""
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


def _are_for_all(entities: Any) -> bool:
    """Whether ``entities`` are types for all texts rather than a value for each."""
    return is_one_spec(entities) and not (isinstance(entities, Sequence) and not entities)


def _meaning(asked: Related, settings: TaskSettings) -> dict[str, list[tuple[str, Label]]]:
    """Return what each label of the query asks: heads and relations, several if they read alike."""
    pairs = asked.pairs
    if pairs is None:
        allowed = [
            (span.text, relation)
            for relation in asked.relations
            for span in asked.entities
            if _allowed(span, relation.options.get("head"))
        ]
        pairs = tuple({(head, kind.name): (head, kind) for head, kind in allowed}.values())
    meaning: dict[str, list[tuple[str, Label]]] = {}
    for head, relation in pairs:
        label = RELATIONS.word_label(settings, head=head, relation=relation.asked)
        meaning.setdefault(label, []).append((head, relation))
    return meaning


def relation_of(label: str) -> str:
    """Return the relation that a label asks for, in the package's own wording."""
    return label.rpartition(" <> ")[2]


def _labels(asked: Related, settings: TaskSettings) -> Sequence[Label]:
    return [
        replace(relation, asked=label)
        for label, row in _meaning(asked, settings).items()
        for _, relation in row
    ]


def _query(text: str, asked: Related, settings: TaskSettings) -> list[Query]:
    prompt = RELATIONS.word_prompt(settings)
    return [Query(text, tuple(_meaning(asked, settings)), prompt)]


def _cut(query: Query, asked: Related, settings: TaskSettings) -> list[tuple[int, Query]]:
    """Ask for each head near its mentions."""
    parts = surroundings(query.text, WORDS_AROUND, asked.entities)
    begins = [start for (start, _), _ in parts]
    meaning = _meaning(asked, settings)
    heads = {head for row in meaning.values() for head, _ in row}
    near: dict[str, set[int]] = {
        head: {bisect_right(begins, start) - 1 for start in starts}
        for head, starts in mentions(query.text, heads, asked.entities).items()
    }
    labels: list[list[str]] = [[] for _ in parts]
    for label, row in meaning.items():
        for part in set().union(*(near[head] for head, _ in row)):
            labels[part].append(label)
    most_words = settings.words_at_once.get(RELATIONS.name, 0)
    return [
        (start + offset, piece)
        for (_, (start, end)), near_labels in zip(parts, labels, strict=True)
        if near_labels
        for offset, piece in cut(
            replace(query, text=query.text[start:end], labels=tuple(near_labels)), most_words
        )
    ]


def _mark(
    query: Query, asked: Related, gold: Iterable[Relation], settings: TaskSettings
) -> Example:
    """Make each tail a span under the label that asks for it."""
    named = {
        (head, relation.name): label
        for label, row in _meaning(asked, settings).items()
        for head, relation in row
    }
    spans: list[Span] = []
    for relation in gold:
        pair = relation.head.text, relation.label
        if pair not in named:
            raise ValueError(f"relation {pair[1]!r} of {pair[0]!r} is not among what is asked")
        spans.append(replace(relation.tail, label=named[pair]))
    return Example(query, tuple(dict.fromkeys(spans)), task=RELATIONS.name)


def _read(
    text: str, asked: Related, found: Sequence[Found], settings: TaskSettings
) -> list[Relation]:
    """Turn tails into relations, each once, in the order of their heads."""
    meaning = _meaning(asked, settings)
    places = _Places.of(text, asked.entities)
    best: dict[tuple[object, ...], Relation] = {}
    for tail in found[0].spans:
        for head, kind in meaning[tail.label]:
            if tail.score < RELATIONS.limit(kind, settings):
                continue
            relation = places.relation(head, kind, tail)
            if relation is None:
                continue
            ends = relation.head, relation.tail
            key = (relation.label, *((span.start, span.end) for span in ends))
            if key not in best or relation.score > best[key].score:
                best[key] = relation
    symmetric = {
        kind.name for row in meaning.values() for _, kind in row if kind.options.get("symmetric")
    }
    return sorted(
        _one_way(best.values(), symmetric), key=lambda r: (r.head.start, r.tail.start, r.label)
    )


def _one_way(relations: Iterable[Relation], symmetric: Set[str]) -> list[Relation]:
    """Of relations found both ways, keep the surer: symmetric ones, and between equal names."""
    ranked = sorted(relations, key=lambda r: -r.score)
    kept: list[Relation] = []
    surer: dict[tuple[str, frozenset[object]], object] = {}
    for r in ranked:
        ends: tuple[object, object] = (r.head.text, r.tail.text)
        if ends[0] == ends[1]:
            ends = ((r.head.start, r.head.end), (r.tail.start, r.tail.end))
        elif r.label not in symmetric:
            kept.append(r)
            continue
        if surer.setdefault((r.label, frozenset(ends)), ends[0]) == ends[0]:
            kept.append(r)
    return kept


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a text's entities and sentences are."""

    entities: Sequence[Span]
    """In the order of the text."""
    starts: Sequence[int]
    """Of the entities."""
    longest: int
    """Characters of the longest entity."""
    sentences: Sequence[int]
    """Where each begins."""
    heads: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    """The entities that may be the head of a relation, by text and relation, once looked for."""

    @classmethod
    def of(cls, text: str, entities: Iterable[Span]) -> "_Places":
        """Look the places of a text up."""
        ordered = sorted(entities, key=lambda span: (span.start, span.end))
        longest = max((span.end - span.start for span in ordered), default=0)
        starts = [span.start for span in ordered]
        return cls(ordered, starts, longest, [start for start, _ in sentences(text)])

    def relation(self, head_text: str, relation: Label, found: Span) -> Relation | None:
        """Place both ends; None where the types or the places forbid it."""
        tail = self._snapped(found, relation.options.get("tail"))
        if tail is None:
            return None
        key = head_text, relation.name
        if key not in self.heads:
            types = relation.options.get("head")
            self.heads[key] = [
                s for s in self.entities if s.text == head_text and _allowed(s, types)
            ]
        heads = [head for head in _nearest(self.heads[key], tail) if not are_one(head, tail)]
        if not heads:
            return None
        sentence = self._sentence(tail)
        head = min(heads, key=lambda s: (self._sentence(s) != sentence, _distance(s, tail)))
        return Relation(head, relation.name, tail, found.score)

    def _sentence(self, span: Span) -> int:
        return bisect_right(self.sentences, span.start)

    def _snapped(self, tail: Span, types: Sequence[str] | None) -> Span | None:
        """Return the entity of an allowed type that shares most with ``tail``, else the tail.

        A tail of an unknown type is kept only where the relation allows any.
        """
        first = bisect_right(self.starts, tail.start - self.longest)
        last = bisect_left(self.starts, tail.end)
        near = [
            span
            for span in self.entities[first:last]
            if span.overlaps(tail) and _allowed(span, types)
        ]
        if near:
            return max(near, key=lambda span: (_shared(span, tail), span.score))
        return None if types else replace(tail, label="")


def _nearest(mentions: Sequence[Span], tail: Span) -> list[Span]:
    """Return the last of a name's mentions before the tail, and the first behind it."""
    before = bisect_right(mentions, tail.start, key=lambda span: span.end) - 1
    behind = bisect_left(mentions, tail.end, key=lambda span: span.start)
    return [mentions[i] for i in (before, behind) if 0 <= i < len(mentions)]


def _allowed(span: Span, types: Sequence[str] | None) -> bool:
    return not types or span.label in types


def _distance(a: Span, b: Span) -> int:
    return max(a.start - b.end, b.start - a.end, 0)


def _shared(a: Span, b: Span) -> int:
    return min(a.end, b.end) - max(a.start, b.start)


RELATIONS: Task[Related, list[Relation]] = Task(
    name="relations",
    query=_query,
    labels=_labels,
    read=_read,
    mark=_mark,
    cut=_cut,
    prompt="Identify the relation in the given text, highlighting the relevant entity:",
    label="{head} <> {relation}",
    span_score="min",  # thresholds may be low here, and then the mean forgets where a tail ends
    overlap="nested",
    multi_label=True,
)
