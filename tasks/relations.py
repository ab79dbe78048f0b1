"""Relation extraction: heads are given or found, and the model is asked for each head's tails.

A head and a relation are asked as the label ``"{head} <> {relation}"`` (the paper, section 3.3);
the spans found are the tails. Labels are mapped back through a table, never parsed. In long texts
a head is asked only around its mentions, so that the cost grows with the text and not its square.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from glinermt.default_model import load_extractor
from glinermt.tasks.inputs import Argument, by_shape, shaped
from glinermt.tasks.labels import Label, LabelSpec, is_one_spec
from glinermt.tasks.long_texts import moved, sentences, surroundings
from glinermt.tasks.related import are_for_all, find_entities, read_entities, read_relations
from glinermt.tasks.run import ask, default_threshold, wording
from glinermt.types import Example, Extractor, Query, Relation, Span, SpanScore

TASK = "relations"
PROMPT = "Identify the relation in the given text, highlighting the relevant entity:"
LABEL = "{head} <> {relation}"
THRESHOLD = 0.5
SPAN_SCORE: SpanScore = "min"
"""Thresholds may be low here, and then the mean of the inside scores forgets where a tail starts
and ends."""

WORDS_AROUND = 150
"""Words of the stretch around a mention in which a head's tails are looked for. A text of no more
words is read whole."""


@by_shape
def extract_relations(
    text: str | Iterable[str],
    relations: LabelSpec | Iterable[LabelSpec],
    *,
    entities: Iterable[Span] | LabelSpec | Iterable[Iterable[Span] | LabelSpec] | None = None,
    entity_threshold: float | None = None,
    threshold: float | None = None,
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
        threshold: least score of a tail, for relations without one of their own; None = the
            model's, else 0.5.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or relations are no strings.
        ValueError: an entity that is not at its place in the text, an empty or unknown option, or
            numbers that do not match.
    """
    extractor = load_extractor(model)

    def run(texts: list[str], rows: list[tuple[LabelSpec, Any]]) -> list[list[Relation]]:
        limit = default_threshold(extractor, TASK, threshold, THRESHOLD)
        kinds = [read_relations(spec) for spec, _ in rows]
        given = [read_entities(t, e, k) for t, (_, e), k in zip(texts, rows, kinds, strict=True)]
        spans = find_entities(texts, given, entity_threshold, extractor)
        jobs = [
            _Job.plan(extractor, t, k, found, limit)
            for t, k, found in zip(texts, kinds, spans, strict=True)
        ]
        found = ask(
            extractor,
            TASK,
            [query for job in jobs for _, query in job.queries],
            [job.thresholds for job in jobs for _ in job.queries],
            overlap="nested",
            multi_label=True,
            span_score=SPAN_SCORE,
        )
        tails = iter(found)
        return [job.relations(islice(tails, len(job.queries))) for job in jobs]

    arguments = [
        Argument("relations", relations, is_one_spec(relations)),
        Argument(
            "entities", entities, entities is None or isinstance(text, str) or are_for_all(entities)
        ),
    ]
    return shaped(text, arguments, run)


def label(head: str, relation: str) -> str:
    """Give the label that asks for the tails of ``head`` in ``relation``."""
    return wording({}, TASK, LABEL, head=head, relation=relation)


def example(
    text: str,
    triples: Iterable[tuple[Span, str, Span]],
    candidates: Iterable[tuple[str, str]] = (),
) -> Example:
    """Make the training example.

    Args:
        text: the text of all spans.
        triples: (head, relation, tail) that hold.
        candidates: (head text, relation) pairs asked without an answer.
    """
    spans = [replace(tail, label=label(head.text, relation)) for head, relation, tail in triples]
    labels = [span.label for span in spans] + [label(*pair) for pair in candidates]
    return Example(Query(text, tuple(dict.fromkeys(labels)), PROMPT), tuple(dict.fromkeys(spans)))


@dataclass(frozen=True, slots=True)
class _Job:
    """One text's questions, and what their labels mean."""

    queries: Sequence[tuple[int, Query]]
    """Where in the text a query's own text begins, and the query."""
    thresholds: Mapping[str, float]
    meaning: Mapping[str, Sequence[tuple[str, Label]]]
    """Asked label -> head text and relation; several where they happen to read the same."""
    entities: Sequence[Span]
    limits: Mapping[str, float]
    """Relation -> its threshold."""
    sentences: Sequence[int]
    """Where each of the text begins."""

    @classmethod
    def plan(
        cls,
        model: Extractor,
        text: str,
        relations: Sequence[Label],
        entities: Sequence[Span],
        limit: float,
    ) -> "_Job":
        """Ask for each distinct head text and relation that its types allow, near its mentions."""
        limits = {r.name: limit if r.threshold is None else r.threshold for r in relations}
        meaning: dict[str, list[tuple[str, Label]]] = {}
        thresholds: dict[str, float] = {}
        for relation in relations:
            allowed = [head for head in entities if _allowed(head, relation.options.get("head"))]
            for head in dict.fromkeys(span.text for span in allowed):
                asked = wording(
                    model.settings.labels, TASK, LABEL, head=head, relation=relation.asked
                )
                meaning.setdefault(asked, []).append((head, relation))
                thresholds[asked] = min(limits[relation.name], thresholds.get(asked, 1.0))
        prompt = wording(model.settings.prompts, TASK, PROMPT)
        queries = []
        for part, (start, end) in surroundings(text, WORDS_AROUND, entities):
            near = text[slice(*part)]
            labels = tuple(a for a, row in meaning.items() if any(head in near for head, _ in row))
            if labels:
                queries.append((start, Query(text[start:end], labels, prompt)))
        borders = [start for start, _ in sentences(text)]
        return cls(queries, thresholds, meaning, entities, limits, borders)

    def relations(self, found: Iterable[list[Span]]) -> list[Relation]:
        """Turn what the queries found into relations, each once, in the order of their heads."""
        best: dict[tuple[object, ...], Relation] = {}
        tails = [
            tail
            for (start, _), spans in zip(self.queries, found, strict=True)
            for tail in moved(spans, start)
        ]
        for tail in tails:
            for head, kind in self.meaning[tail.label]:
                relation = self._relation(head, kind, tail)
                if relation is None:
                    continue
                ends = relation.head, relation.tail
                key = (relation.label, *((span.start, span.end) for span in ends))
                if key not in best or relation.score > best[key].score:
                    best[key] = relation
        one_way = self._one_way(best.values())
        return sorted(one_way, key=lambda r: (r.head.start, r.tail.start, r.label))

    def _one_way(self, relations: Iterable[Relation]) -> list[Relation]:
        """Of a symmetric relation found both ways between two names, keep the surer way."""
        names = {
            kind.name
            for row in self.meaning.values()
            for _, kind in row
            if kind.options.get("symmetric")
        }
        ranked = sorted(relations, key=lambda r: -r.score)
        surer: dict[tuple[str, frozenset[str]], str] = {}
        for r in ranked:
            surer.setdefault((r.label, frozenset((r.head.text, r.tail.text))), r.head.text)
        return [
            r
            for r in ranked
            if r.label not in names
            or surer[r.label, frozenset((r.head.text, r.tail.text))] == r.head.text
        ]

    def _relation(self, head_text: str, relation: Label, found: Span) -> Relation | None:
        """Place both ends; None where the threshold, the types or the place forbid it."""
        tail = self._snapped(found, relation.options.get("tail"))
        if found.score < self.limits[relation.name] or tail is None or tail.text == head_text:
            return None
        heads = [
            span
            for span in self.entities
            if span.text == head_text
            and not span.overlaps(tail)
            and _allowed(span, relation.options.get("head"))
        ]
        if not heads:
            return None
        sentence = self._sentence(tail)
        head = min(heads, key=lambda s: (self._sentence(s) != sentence, _distance(s, tail)))
        return Relation(head, relation.name, tail, found.score)

    def _sentence(self, span: Span) -> int:
        return bisect_right(self.sentences, span.start)

    def _snapped(self, tail: Span, types: Sequence[str] | None) -> Span | None:
        """Give the entity of an allowed type that shares most with ``tail``, or a span of its own.

        A tail of an unknown type is kept only where the relation allows any.
        """
        near = [span for span in self.entities if span.overlaps(tail) and _allowed(span, types)]
        if near:
            return max(near, key=lambda span: (_shared(span, tail), span.score))
        return None if types else replace(tail, label="")


def _allowed(span: Span, types: Sequence[str] | None) -> bool:
    return not types or span.label in types


def _distance(a: Span, b: Span) -> int:
    return max(a.start - b.end, b.start - a.end, 0)


def _shared(a: Span, b: Span) -> int:
    return min(a.end, b.end) - max(a.start, b.start)
