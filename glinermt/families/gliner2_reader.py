"""Reads queries as GLiNER2 does: one row with all groups; windows of long texts joined again."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch

from glinermt.decode import Candidates, choose
from glinermt.encoding import Pass, QueryEncoder, TokenizedWords
from glinermt.errors import UsageError
from glinermt.families import gliner2_rows as rows
from glinermt.families.base import RowEncoder, by_length, within_lines
from glinermt.families.boundary_records import own_choices
from glinermt.families.gliner2_rows import Asked, Head
from glinermt.families.gliner2_scores import (
    Edge,
    Limits,
    RowFound,
    RowInstance,
    RowScorer,
    RowVectors,
    Words,
    limits_of,
)
from glinermt.pairing import words_of
from glinermt.reader import BATCH_TOKENS, label_thresholds, spans_of
from glinermt.types import Ask, Found, Instance, Kind, Query, Relation, Span
from glinermt.windows import LABEL_SHARE, MIN_ROOM, merge_windows, place, windows
from glinermt.words import end_of_character

KINDS: frozenset[Kind] = frozenset({"spans", "relations", "classes", "records"})
Pooling = Literal["first", "mean", "max"]
Choose = Callable[..., Candidates]
Tidy = Callable[[Sequence[Edge], str], list[Edge]]


@dataclass(frozen=True, slots=True)
class _Row:
    """One pass: what is asked over a range of a text's words."""

    window: Pass
    asked: Asked
    head: Head
    prefix: list[str]
    """Words before the text: choices of structures, and the prompt."""
    token_ids: list[int]
    word_position: list[int]
    """Token position of each word's first token, prefix words first, and the row's end."""


@dataclass(slots=True)
class _Parts:
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


class Gliner2Reader:
    """The ``Reader`` of both GLiNER2 families.

    Descriptions reach a model as it was trained to read them: the label ``name: description`` is
    asked as ``name`` with its description. A query's prompt stands before the text, or, where
    classes are asked that have no groups, is the name of the classification. The instances of a
    structure that windows of a long text hold follow one another; one found twice counts once.

    Args:
        encoder: the network's encoder.
        query_encoder: tokenises pieces and knows the splitter.
        score: reads the vectors of a row.
        choose: decides between overlapping spans, as ``decode.choose`` does.
        tidy: makes one of the edges of a relation that say the same; their ends count characters.
        pooling: which of a word's tokens its vector is read from.
        kinds: what the network finds.
    """

    def __init__(
        self,
        encoder: RowEncoder,
        query_encoder: QueryEncoder,
        score: RowScorer,
        *,
        choose: Choose = choose,
        tidy: Tidy | None = None,
        pooling: Pooling = "first",
        kinds: frozenset[Kind] = KINDS,
    ) -> None:
        self.kinds = kinds
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.score = score
        self.choose = choose
        self.tidy = tidy
        self.pooling = pooling
        self.batch_tokens = BATCH_TOKENS
        vocabulary = query_encoder.tokenizer.get_vocab()
        self._markers = {token: vocabulary[token] for token in rows.ADDED_TOKENS}

    def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
        texts = self._words([query.text for query in queries])
        planned, limits = [], []
        for i, (query, words) in enumerate(zip(queries, texts, strict=True)):
            planned += list(self._plan(i, query, words))
            limits.append(limits_of(query, words, ask))
        parts = [_Parts() for _ in queries]
        for row, found in self._run(planned, limits):
            _gather(parts[row.window.query], row, found, len(texts[row.window.query].offsets))
        for query, words, part in zip(queries, texts, parts, strict=True):
            yield self._found(query, words, part, ask)

    def _words(self, texts: Sequence[str]) -> list[TokenizedWords]:
        """Split and tokenise the texts, lower-cased and closed by a full stop."""
        found = []
        closed = [rows.closed(text) for text in texts]
        offsets = [self.query_encoder.split_words(text) for text in closed]
        tokenized = self.query_encoder.tokenize_words(
            [
                [text[start:end].lower() for start, end in spans]
                for text, spans in zip(closed, offsets, strict=True)
            ]
        )
        for text, spans, tokens in zip(texts, offsets, tokenized, strict=True):
            first = tokens.first_token
            # The added full stop is a word of no characters: spans of it alone are dropped.
            kept = [
                (min(start, len(text)), min(end, len(text)))
                for i, (start, end) in enumerate(spans)
                if self.pooling == "first" or first[i] < first[i + 1]
            ]
            if self.pooling != "first":
                first = sorted(set(first))
            found.append(TokenizedWords(kept, tokens.token_ids, first))
        return found

    def _plan(self, index: int, query: Query, words: TokenizedWords) -> Iterator[_Row]:
        names_classes = query.classes and not query.class_groups
        prompt = [] if names_classes else self._prompt_words(query.prompt)
        for asked in self._asked(query, words):
            chosen = query.structures[asked.structures.start : asked.structures.stop]
            yield from self._rows(index, words, asked, [*rows.choice_prefix(chosen), *prompt])

    def _prompt_words(self, prompt: str) -> list[str]:
        return [prompt[start:end].lower() for start, end in self.query_encoder.split_words(prompt)]

    def _asked(self, query: Query, words: TokenizedWords) -> Iterator[Asked]:
        """Yield the whole question, or its parts where it leaves too little room for the text."""
        kinds = rows.kinds_asked(query)
        whole = tuple(range(len(names)) for names in kinds)
        if not any(kinds):
            return
        limit = self.query_encoder.max_tokens
        asked = rows.question(query, whole)
        size = len(self._head(asked).token_ids)
        if size + len(words.token_ids) <= limit or size <= limit * LABEL_SHARE:
            yield asked
            return
        for kind, part in enumerate(whole):
            each = max(1, int(len(part) * limit * LABEL_SHARE / size))
            for start in range(0, len(part), each):
                ranges = [range(0)] * len(kinds)
                ranges[kind] = part[start : start + each]
                yield rows.question(query, ranges)

    def _head(self, asked: Asked) -> Head:
        return rows.head(asked.groups, self._token_ids, self._markers)

    def _token_ids(self, pieces: Sequence[str]) -> list[list[int]]:
        """Tokenise pieces alone; markers count only in prompts, where they set parts apart."""
        inner = (rows.DESCRIPTION, rows.EXAMPLE, rows.OUTPUT)
        backend = self.query_encoder.tokenizer.backend_tokenizer
        tokenized = self.query_encoder.tokenize_words([[piece] for piece in pieces])
        return [
            backend.encode(piece, add_special_tokens=False).ids
            if any(marker in piece for marker in inner)
            else list(tokens.token_ids)
            for piece, tokens in zip(pieces, tokenized, strict=True)
        ]

    def _rows(
        self, index: int, words: TokenizedWords, asked: Asked, prefix: Sequence[str]
    ) -> Iterator[_Row]:
        head = self._head(asked)
        (before,) = self.query_encoder.tokenize_words([list(prefix)])
        fixed = [*head.token_ids, *before.token_ids]
        room = self.query_encoder.max_tokens - len(fixed)
        if room < min(MIN_ROOM, len(words.token_ids)):
            raise UsageError(
                f"labels and prompt take {len(fixed)} of the {self.query_encoder.max_tokens} "
                "tokens the model reads at a time, which leaves no room for the text; shorten them"
            )
        for start, end in windows(words.first_token, room):
            own = words.token_ids[words.first_token[start] : words.first_token[end]][:room]
            shift = len(fixed) - words.first_token[start]
            ids = [*fixed, *own]
            position = [len(head.token_ids) + first for first in before.first_token[:-1]]
            position += [first + shift for first in words.first_token[start : end + 1]]
            position = [min(place, len(ids)) for place in position]
            window = Pass(index, asked.labels, start, end, len(ids))
            yield _Row(window, asked, head, list(prefix), ids, position)

    @torch.inference_mode()
    def _run(
        self, planned: Sequence[_Row], limits: Sequence[Limits]
    ) -> Iterator[tuple[_Row, RowFound]]:
        for group in by_length([row.window.num_tokens for row in planned], self.batch_tokens):
            batch = [planned[i] for i in group]
            vectors = self.encoder([r.token_ids for r in batch], [self._read(r) for r in batch])
            for row, found in zip(batch, vectors, strict=True):
                own = _own(limits[row.window.query], row)
                yield row, self.score(self._apart(row, found), row.asked, own)

    def _read(self, row: _Row) -> list[int]:
        """Return the positions whose vectors are wanted: prompts, names, words."""
        names = [place for group in row.head.names for place in group]
        last = len(row.token_ids) - 1
        if self.pooling == "first":
            words = [min(place, last) for place in row.word_position[:-1]]
        else:
            words = list(range(row.word_position[0], len(row.token_ids)))
        return [*row.head.prompts, *names, *words]

    def _apart(self, row: _Row, vectors: torch.Tensor) -> RowVectors:
        counts = [len(group) for group in row.head.names]
        sizes = [len(counts), sum(counts), len(vectors) - len(counts) - sum(counts)]
        prompts, names, words = torch.split(vectors, sizes)
        if self.pooling != "first":
            lengths = np.diff([*row.word_position[:-1], len(row.token_ids)]).tolist()
            pooled = [
                part.mean(0) if self.pooling == "mean" else part.amax(0)
                for part in torch.split(words, lengths)
            ]
            words = torch.stack(pooled)
        return RowVectors(words, prompts, list(torch.split(names, counts)), tuple(row.prefix))

    def _found(self, query: Query, words: TokenizedWords, parts: _Parts, ask: Ask) -> Found:
        labels = tuple(dict.fromkeys(query.labels))
        allowed = [within_lines(part, query, words.offsets) for part in parts.spans]
        spans = tuple(self._spans(query.text, words, allowed, labels, ask))
        relations = self._relations(query, words, parts.edges.values(), spans)
        classes = tuple(dict.fromkeys(query.classes))
        means = {classes[i]: float(np.mean(logits)) for i, logits in sorted(parts.classes.items())}
        records = {
            structure.name: tuple(self._instances(query, words, parts, i, ask))
            for i, structure in enumerate(query.structures)
        }
        attributes = ()
        if query.attributes:
            attributes = tuple(self._attributes(query, words, spans, parts, allowed))
        return Found(spans, tuple(relations), means, records, attributes)

    def _attributes(
        self,
        query: Query,
        words: TokenizedWords,
        spans: Sequence[Span],
        parts: _Parts,
        candidates: Sequence[Candidates],
    ) -> Iterator[dict[str, dict[str, float]]]:
        """Yield, span by span, what the attributes that apply to it say."""
        index = {name: i for i, name in enumerate(rows.attribute_names(query))}
        logits = np.full((len(index), len(spans)), np.nan)
        places = _places_of(query.text, spans, words, candidates)
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

    def _spans(
        self,
        text: str,
        words: TokenizedWords,
        parts: Sequence[Candidates],
        labels: tuple[str, ...],
        ask: Ask,
    ) -> list[Span]:
        """Choose among candidates: over all labels, or with ``multi_label`` for each alone.

        The full stop that was added counts in the choice, as it does in the package.
        """
        if not parts:
            return []
        found = Candidates.concatenate(parts)
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
        best: dict[tuple[int, int, str], Span] = {}
        for span in spans_of(together.take(order), text, words.offsets, labels):
            best.setdefault((span.start, span.end, span.label), span)
        return list(best.values())

    def _instances(
        self, query: Query, words: TokenizedWords, parts: _Parts, index: int, ask: Ask
    ) -> list[Instance]:
        structure = query.structures[index]
        each = Ask(overlap=structure.overlap or ask.overlap, multi_label=True)
        names = tuple(f.name for f in structure.fields)
        lower = [word.lower() for word in parts.prefix.get(index, ())]
        found: list[Instance] = []
        instances = _distinct_anchors(one for one in parts.instances if one.structure == index)
        anchors = [
            None
            if one.formed is None or one.formed.anchor is None
            else _characters(words, one.formed.anchor, len(query.text))
            for one in instances
        ]
        for number, one in enumerate(instances):
            spans = self._spans(query.text, words, [one.spans], names, each)
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
                    limit = label_thresholds(ask.threshold, (f.name,))[0]
                    chosen[f.name] = own_choices(
                        query.text,
                        chosen[f.name],
                        mine,
                        anchors,
                        number,
                        limit=limit if f.threshold is None else f.threshold,
                        one=f.cardinality in ("optional_one", "required_one"),
                    )
            instance = Instance(by_field, chosen)
            if (one.formed is not None and parts.windows[index] == 1) or instance not in found:
                found.append(instance)
        return found


def _places_of(
    text: str, spans: Sequence[Span], words: TokenizedWords, candidates: Sequence[Candidates]
) -> list[Words]:
    """Return the words of spans that were chosen among the candidates."""
    found: dict[tuple[int, int], tuple[float, Words]] = {}
    for part in candidates:
        columns = (column.tolist() for column in (part.start, part.end, part.score))
        for start, end, score in zip(*columns, strict=True):
            first, last = words.offsets[start][0], words.offsets[end - 1][1]
            key = first, end_of_character(text, last)
            found[key] = max(found.get(key, (-1.0, (0, 0))), (score, (start, end)))
    places = []
    for span in spans:
        known = found.get((span.start, span.end))
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


def _own(limits: Limits, row: _Row) -> Limits:
    """Return the limits of what a row asks for."""
    asked, window = row.asked, row.window
    given = limits.given
    if given is not None:
        given = tuple(
            (start - window.start, end - window.start)
            for start, end in given
            if window.start <= start < end <= window.end
        )
    return Limits(
        limits.labels[asked.labels.start : asked.labels.stop],
        limits.relations[asked.relations.start : asked.relations.stop],
        given,
        limits.fields[asked.structures.start : asked.structures.stop],
        limits.overlaps[asked.structures.start : asked.structures.stop],
        limits.structures[asked.structures.start : asked.structures.stop],
        limits.instance,
    )


def _gather(parts: _Parts, row: _Row, found: RowFound, num_words: int) -> None:
    window = row.window
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
    parts.windows.update(row.asked.structures)
    for one in found.instances:
        index = row.asked.structures.start + one.structure
        spans = place(one.spans, window, num_words)
        formed = one.formed
        if formed is not None and formed.anchor is not None:
            start, end = formed.anchor
            formed = replace(formed, anchor=(start + window.start, end + window.start))
        parts.instances.append(RowInstance(index, spans, one.choices, formed))
        parts.prefix[index] = row.prefix
    for i, logit in zip(row.asked.classes, found.classes, strict=bool(found.classes)):
        parts.classes.setdefault(i, []).append(logit)


def _characters(words: TokenizedWords, where: Words, length: int) -> tuple[int, int]:
    """Return the characters of some words in the text that a full stop may have closed."""
    last = where[1] == len(words.offsets)
    return words.offsets[where[0]][0], length if last else words.offsets[where[1] - 1][1]
