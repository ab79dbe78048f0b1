"""What the rows of a GLiNER2 query found, made into spans, relations, classes and records."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from glinermt.checks import label_thresholds
from glinermt.decode import Candidates
from glinermt.families import gliner2_rows as rows
from glinermt.families.base import within_lines
from glinermt.families.boundary_records import own_choices
from glinermt.families.gliner2_rows import Asked
from glinermt.families.gliner2_scores import (
    Edge,
    RowFound,
    RowInstance,
    Words,
)
from glinermt.pairing import words_of
from glinermt.reader import spans_of
from glinermt.rows import Pass, TokenizedWords
from glinermt.types import Ask, Found, Instance, Query, Relation, Span
from glinermt.windows import merge_windows, place
from glinermt.words import end_of_character

Choose = Callable[..., Candidates]
Tidy = Callable[[Sequence[Edge], str], list[Edge]]


@dataclass(slots=True)
class RowsFound:
    """What the rows of one query found."""

    spans: list[Candidates] = field(default_factory=list)
    edges: dict[tuple[int, Words, Words], Edge] = field(default_factory=dict)
    classes: dict[int, list[float]] = field(default_factory=dict)
    instances: list[RowInstance] = field(default_factory=list)
    attributes: list[tuple[Pass, Callable[[Sequence[Words]], np.ndarray]]] = field(
        default_factory=list
    )
    windows: Counter[int] = field(default_factory=Counter)
    """How many rows ask for each structure."""
    prefix: dict[int, list[str]] = field(default_factory=dict)
    """The words before the text in the rows that ask for a structure."""


class Gliner2Joiner:
    """Joins what the rows of a query found, and chooses among it.

    Args:
        choose: decides between overlapping spans, as ``decode.choose`` does.
        tidy: makes one of the edges of a relation that say the same; their ends count characters.
    """

    def __init__(self, choose: Choose, tidy: Tidy | None) -> None:
        self.choose = choose
        self.tidy = tidy

    def found(self, query: Query, words: TokenizedWords, parts: RowsFound, ask: Ask) -> Found:
        labels = tuple(dict.fromkeys(query.labels))
        allowed = [within_lines(part, query, words.offsets) for part in parts.spans]
        chosen = self._chosen(words, allowed, ask)
        spans = tuple(_named(query.text, words, chosen, labels))
        relations = self._relations(query, words, parts.edges.values(), spans)
        classes = tuple(dict.fromkeys(query.classes))
        means = {classes[i]: float(np.mean(logits)) for i, logits in sorted(parts.classes.items())}
        records = {
            structure.name: tuple(self._instances(query, words, parts, i, ask))
            for i, structure in enumerate(query.structures)
        }
        attributes: tuple[dict[str, dict[str, float]], ...] = ()
        if query.attributes:
            attributes = tuple(self._attributes(query, words, spans, parts, chosen))
        return Found(spans, tuple(relations), means, records, attributes)

    def _attributes(
        self,
        query: Query,
        words: TokenizedWords,
        spans: Sequence[Span],
        parts: RowsFound,
        chosen: Candidates,
    ) -> Iterator[dict[str, dict[str, float]]]:
        """Yield, span by span, what the attributes that apply to it say."""
        index = {name: i for i, name in enumerate(rows.attribute_names(query))}
        logits = np.full((len(index), len(spans)), np.nan)
        places = _places_of(query, spans, words, chosen)
        for window, score in parts.attributes:
            inside = [
                i
                for i, (start, end) in enumerate(places)
                if window.start <= start and end <= window.end and np.isnan(logits[0, i])
            ]
            if inside:
                logits[:, inside] = score(
                    [(places[i][0] - window.start, places[i][1] - window.start) for i in inside]
                )
        for span, own in zip(spans, logits.T, strict=True):
            found = {}
            for group in query.attributes:
                values = own[[index[name] for name in group.asked]]
                if np.isnan(values).any() or (
                    group.applies_to and span.label not in group.applies_to
                ):
                    continue
                if group.multi_label:
                    shares = 1 / (1 + np.exp(-values))
                else:
                    shares = np.exp(values - values.max())
                    shares /= shares.sum()
                found[group.name] = dict(zip(group.labels, shares.tolist(), strict=True))
            yield found

    def _relations(
        self,
        query: Query,
        words: TokenizedWords,
        edges: Iterable[Edge],
        spans: Sequence[Span],
    ) -> Iterator[Relation]:
        """Yield the relations, label by label; ends have the type they were found with."""
        types = {(span.start, span.end): span.label for span in query.entities or spans}
        names = tuple(dict.fromkeys(query.relations))
        text, length = rows.closed(query.text), len(query.text)
        by_label: dict[int, list[Edge]] = {}
        for edge in sorted(edges, key=lambda e: (e.label, e.head, e.tail)):
            head, tail = (_characters(words, where, len(text)) for where in (edge.head, edge.tail))
            placed = Edge(edge.label, head, tail, edge.score)
            by_label.setdefault(edge.label, []).append(placed)
        for label, found in by_label.items():
            best: dict[tuple[Words, Words], float] = {}
            for edge in self.tidy(found, text) if self.tidy else found:
                ends = [(start, min(end, length)) for start, end in (edge.head, edge.tail)]
                if all(start < end for start, end in ends):  # not the added full stop alone
                    key = ends[0], ends[1]
                    best[key] = max(best.get(key, 0.0), edge.score)
            for (head, tail), score in best.items():
                spans_there = [
                    Span(*where, query.text[slice(*where)], types.get(where, ""))
                    for where in (head, tail)
                ]
                yield Relation(spans_there[0], names[label], spans_there[1], score)

    def _chosen(self, words: TokenizedWords, parts: Sequence[Candidates], ask: Ask) -> Candidates:
        """Choose among candidates: over all labels, or with ``multi_label`` for each alone.

        The full stop that was added counts in the choice, as it does in the package.
        """
        found = Candidates.concatenate(parts)
        if not len(found):
            return found
        if len(parts) > 1:
            found = merge_windows(found)
        groups = [found]
        if ask.multi_label:
            groups = [found.take(found.label == label) for label in np.unique(found.label)]
        chosen = [
            self.choose(group, num_words=len(words.offsets), overlap=ask.overlap)
            for group in groups
        ]
        together = Candidates.concatenate(chosen) if chosen else found
        starts, ends = np.array(words.offsets).reshape(-1, 2).T
        together = together.take(starts[together.start] < ends[together.end - 1])
        order = np.lexsort((-together.score, ends[together.end - 1], together.start))
        return together.take(order)

    def _instances(
        self, query: Query, words: TokenizedWords, parts: RowsFound, index: int, ask: Ask
    ) -> list[Instance]:
        structure = query.structures[index]
        each = Ask(overlap=structure.overlap or ask.overlap, multi_label=True)
        names = tuple(f.name for f in structure.fields)
        lower = [word.lower() for word in parts.prefix.get(index, ())]
        found: list[Instance] = []
        anchored = [
            (one, _anchor(words, one, len(query.text)))
            for one in _distinct_anchors(i for i in parts.instances if i.structure == index)
        ]
        # An anchor that is the added full stop alone is no mention of the text.
        anchored = [(one, at) for one, at in anchored if at is None or at[0] < at[1]]
        anchors = [at for _, at in anchored]
        for number, (one, _) in enumerate(anchored):
            own = self._chosen(words, [one.spans], each)
            spans = _named(query.text, words, own, names)
            by_field = {
                f.name: tuple(sorted((s for s in spans if s.label == f.name), key=_best_first))
                for f in structure.fields
                if not f.choices
            }
            places = {c: lower.index(c.lower()) for f in structure.fields for c in f.choices}
            chosen = {
                f.name: {c: float(one.choices[i][places[c]]) for c in f.choices}
                for i, f in enumerate(structure.fields)
                if f.choices
            }
            if one.formed is not None:
                for i, f in enumerate(structure.fields):
                    if not f.choices:
                        continue
                    mine = {c: float(one.formed.own[i][places[c]]) for c in f.choices}
                    for span in spans:
                        for c in f.choices if span.label == f.name else ():
                            if span.text.casefold() == c.casefold():
                                mine[c] = max(mine[c], span.score)
                    limit = f.threshold
                    if limit is None:
                        limit = label_thresholds(ask.threshold, (f.name,))[0]
                    chosen[f.name] = own_choices(
                        query.text,
                        chosen[f.name],
                        mine,
                        anchors,
                        number,
                        limit=limit,
                        one=f.cardinality in ("optional_one", "required_one"),
                    )
            instance = Instance(by_field, chosen)
            if (one.formed is not None and parts.windows[index] == 1) or instance not in found:
                found.append(instance)
        return found


def _named(
    text: str, words: TokenizedWords, chosen: Candidates, labels: tuple[str, ...]
) -> list[Span]:
    best: dict[tuple[int, int, str], Span] = {}
    for span in spans_of(chosen, text, words.offsets, labels):
        best.setdefault((span.start, span.end, span.label), span)
    return list(best.values())


def _places_of(
    query: Query, spans: Sequence[Span], words: TokenizedWords, chosen: Candidates
) -> list[Words]:
    """Return the words of spans that were chosen.

    With the added full stop and without it they end at the same character.
    """
    labels = tuple(dict.fromkeys(query.labels))
    found: dict[tuple[int, int, str], tuple[float, Words]] = {}
    columns = (c.tolist() for c in (chosen.start, chosen.end, chosen.label, chosen.score))
    for start, end, label, score in zip(*columns, strict=True):
        first, last = words.offsets[start][0], words.offsets[end - 1][1]
        key = first, end_of_character(query.text, last), labels[label]
        found[key] = max(found.get(key, (-1.0, (0, 0))), (score, (start, end)))
    places = []
    for span in spans:
        known = found.get((span.start, span.end, span.label))
        first, last = words_of(words, [span])
        places.append(known[1] if known else (int(first[0]), int(last[0])))
    return places


def _distinct_anchors(instances: Iterable[RowInstance]) -> list[RowInstance]:
    """Return the instances, of those with the same anchor, which windows share, the surest."""
    kept: dict[object, RowInstance] = {}
    for number, one in enumerate(instances):
        anchor = None if one.formed is None else one.formed.anchor
        key = number if anchor is None else anchor
        known = kept.get(key)
        if known is None or (one.formed and known.formed and one.formed.score > known.formed.score):
            kept[key] = one
    return list(kept.values())


def _best_first(span: Span) -> tuple[float, int, int]:
    return -span.score, span.start, span.end


def _anchor(words: TokenizedWords, one: RowInstance, length: int) -> tuple[int, int] | None:
    """Return the characters of the mention that an instance was made from, if one was."""
    if one.formed is None or one.formed.anchor is None:
        return None
    return _characters(words, one.formed.anchor, length)


def _characters(words: TokenizedWords, where: Words, length: int) -> tuple[int, int]:
    """Return the characters of some words in the text that a full stop may have closed."""
    last = where[1] == len(words.offsets)
    return words.offsets[where[0]][0], length if last else words.offsets[where[1] - 1][1]


def gather(
    parts: RowsFound,
    window: Pass,
    asked: Asked,
    prefix: list[str],
    found: RowFound,
    *,
    num_words: int,
) -> None:
    """Note what a row found with its query, counted from the text's first word."""
    parts.spans += [place(spans, window, num_words) for spans in found.spans]
    for edge in found.edges:
        head, tail = (
            (start + window.start, end + window.start) for start, end in (edge.head, edge.tail)
        )
        known = parts.edges.get((edge.label, head, tail))
        if known is None or known.score < edge.score:
            parts.edges[edge.label, head, tail] = Edge(edge.label, head, tail, edge.score)
    if found.attributes is not None:
        parts.attributes.append((window, found.attributes))
    parts.windows.update(asked.structures)
    for one in found.instances:
        index = asked.structures.start + one.structure
        spans = place(one.spans, window, num_words)
        formed = one.formed
        if formed is not None and formed.anchor is not None:
            start, end = formed.anchor
            formed = replace(formed, anchor=(start + window.start, end + window.start))
        parts.instances.append(RowInstance(index, spans, one.choices, formed))
        parts.prefix[index] = prefix
    for i, logit in zip(asked.classes, found.classes, strict=bool(found.classes)):
        parts.classes.setdefault(i, []).append(logit)
