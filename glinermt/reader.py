"""Queries in, what the network finds in them out: words, tokens, passes, scores, spans."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from glinermt.checks import label_thresholds
from glinermt.decode import Candidates, best_apart, choose, doubt_parts
from glinermt.encoding import QueryEncoder
from glinermt.pairing import MentionedSpans, RelatedPairs, RowPairs, pairs_of_rows
from glinermt.rows import PaddedRows, Pass, TokenizedQuery
from glinermt.types import Ask, Found, Kind, Query, Span, SpanScore
from glinermt.windows import join_windows, place, plan_passes, token_batches, windows
from glinermt.words import end_of_character, line_ends, names_in

BATCH_TOKENS = 1024
"""Tokens of one batch, padding included; a processor gains nothing from more."""
DEVICE_BATCH_TOKENS = 4096
"""The same on an accelerator."""


Scores = Float[np.ndarray, "word label axis"]


class Reader(Protocol):
    """How a family of models reads queries."""

    batch_tokens: int

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it finds."""
        ...

    def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
        """Read some queries, checked by ``check_query``; yield what was found, in their order."""
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """What makes vectors of texts."""

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "text width"]: ...


@dataclass(frozen=True, slots=True)
class Scored:
    """What a network made of rows."""

    spans: Float[np.ndarray, "row word label axis"]
    """Probabilities of the span head."""
    classes: Float[np.ndarray, "row class"]
    """Logits of the class head."""
    vectors: Any
    """What ``Scorer.relate`` reads pairs from, in the scorer's own form."""


class Scorer(Protocol):
    """Runs a network: by torch, or exported by another runtime."""

    @property
    def kinds(self) -> frozenset[Kind]:
        """What the network's heads find."""
        ...

    def start(self, rows: PaddedRows) -> Callable[[], Scored]:
        """Begin to read rows; what it returns waits for the end. Scores of padding are arbitrary.

        A device works meanwhile; on a processor the work is done when this returns.
        """
        ...

    def words(self, vectors: Any) -> Float[np.ndarray, "row word hidden"]:
        """Return the vectors of the words of the rows that gave ``vectors``."""
        ...

    def sentences(
        self, ids: Int[np.ndarray, "row token"], mask: Bool[np.ndarray, "row token"]
    ) -> Float[np.ndarray, "row width"]:
        """Return the mean of the encoder's vectors over the tokens of each row."""
        ...

    def relate(self, vectors: Any, pairs: RowPairs) -> Float[np.ndarray, "pair relation"]:
        """Return the probability of each relation for pairs of the rows that gave ``vectors``."""
        ...

    def candidates(
        self, probabilities: Scores, threshold: np.ndarray, span_score: SpanScore
    ) -> Candidates:
        """Return all spans of one text that reach their label's threshold."""
        ...


def kinds_of_heads(relations: bool, classes: bool) -> frozenset[Kind]:
    """Return what a network finds that has these heads beside that of spans."""
    heads: dict[Kind, bool] = {"spans": True, "relations": relations, "classes": classes}
    return frozenset(kind for kind, there in heads.items() if there)


class NetworkReader:
    """Reads queries with our network; long texts and label lists take several passes.

    Relations are scored between the spans that were chosen, so after all passes of a query. What
    the passes made of the words is kept until then: the encoder reads each window once.
    """

    def __init__(self, query_encoder: QueryEncoder, scorer: Scorer) -> None:
        self.query_encoder = query_encoder
        self.scorer = scorer
        self.batch_tokens = BATCH_TOKENS

    @property
    def kinds(self) -> frozenset[Kind]:
        return self.scorer.kinds

    def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
        tokenized = self.query_encoder.tokenize(queries)
        limits = [np.array(label_thresholds(ask.threshold, query.labels)) for query in tokenized]
        found = [_Found() for _ in queries]
        kept: list[_Kept] = []
        for passes, rows, scored in self._scored(tokenized):
            self._collect(passes, rows, scored, found)
            if any(p.relations for p in passes):
                kept.append(_Kept(passes, rows.num_prompt_words, scored.vectors))
        for query, words, limit, part in zip(queries, tokenized, limits, found, strict=True):
            lines = lines_of(query, words.text.offsets)
            chosen = self._chosen(part.scores, lines, limit, ask, query, words.text.offsets)
            chosen = best_apart(chosen, query.best.count if query.best else None)
            part.spans = spans_of(chosen, query.text, words.text.offsets, words.labels)
            part.scores.clear()
        mentions = {
            i: MentionedSpans(part.spans if query.entities is None else query.entities, words.text)
            for i, (query, words, part) in enumerate(zip(queries, tokenized, found, strict=True))
            if query.relations
        }
        for read in kept:
            self._relate(read, mentions, tokenized, ask, found)
        for i, (words, part) in enumerate(zip(tokenized, found, strict=True)):
            relations = mentions[i].relations(part.related, words) if i in mentions else ()
            yield Found(tuple(part.spans), tuple(relations), _pooled(part.classes, words))

    def plan(self, queries: Sequence[TokenizedQuery]) -> list[Pass]:
        """Return the passes that cover all queries."""
        return [
            p for i, query in enumerate(queries) for p in plan_passes(self.query_encoder, query, i)
        ]

    def text_vectors(self, queries: Sequence[Query]) -> Float[np.ndarray, "query hidden"]:
        """Return the mean vector of each text's words; zeros for a text without words."""
        tokenized = self.query_encoder.tokenize(queries)
        total, count = np.zeros((len(queries), 0)), np.zeros((len(queries), 1))
        for passes, rows, scored in self._scored(tokenized):
            words = self.scorer.words(scored.vectors)
            mask = rows.text_mask
            if not total.shape[1]:
                total = np.zeros((len(queries), words.shape[2]))
            for p, vectors, real in zip(passes, words, mask, strict=True):
                total[p.query] += vectors[real].sum(0)
                count[p.query] += real.sum()
        return total / np.maximum(count, 1)

    def sentence_vectors(self, texts: Sequence[str]) -> list[Float[np.ndarray, "window width"]]:
        """Return vectors of length 1 for the windows of each text, as classes are compared by."""
        encoder = self.query_encoder
        room = encoder.max_tokens - len(encoder.prefix) - len(encoder.suffix)
        parts: list[list[int]] = []
        counts = []
        for words in encoder.tokenize_texts(texts):
            first = words.first_token
            spans = windows(first, room) if words.offsets else [(0, 0)]
            rows = [words.token_ids[first[start] : first[end]] for start, end in spans]
            parts += rows
            counts.append(len(rows))
        order = sorted(range(len(parts)), key=lambda i: len(parts[i]), reverse=True)
        vectors: list[np.ndarray] = [np.zeros(0)] * len(parts)
        while order:
            number = max(1, self.batch_tokens // (len(parts[order[0]]) + 2))
            batch, order = order[:number], order[number:]
            found = self.scorer.sentences(*encoder.alone([parts[i] for i in batch]))
            found = found / np.linalg.norm(found, axis=1, keepdims=True).clip(min=1e-8)
            for i, vector in zip(batch, found, strict=True):
                vectors[i] = vector
        edges = np.cumsum([0, *counts]).tolist()
        return [np.stack(vectors[a:b]) for a, b in pairwise(edges)]

    def _scored(
        self, queries: Sequence[TokenizedQuery]
    ) -> Iterator[tuple[Sequence[Pass], PaddedRows, Scored]]:
        """Yield the batches of all passes, each when the next one has been begun."""
        begun: tuple[Sequence[Pass], PaddedRows, Callable[[], Scored]] | None = None
        for passes in token_batches(self.plan(queries), self.batch_tokens):
            rows = self.query_encoder.collate(queries, passes)
            before, begun = begun, (passes, rows, self.scorer.start(rows))
            if before:
                yield before[0], before[1], before[2]()
        if begun:
            yield begun[0], begun[1], begun[2]()

    def _collect(
        self,
        passes: Sequence[Pass],
        rows: PaddedRows,
        scored: Scored,
        found: Sequence["_Found"],
    ) -> None:
        """Note the scores and class logits of rows with their queries."""
        for row, (p, prompt) in enumerate(zip(passes, rows.num_prompt_words, strict=True)):
            found[p.query].classes.append((p, scored.classes[row, : len(p.classes)]))
            if p.labels:
                text_score = scored.spans[row, prompt : prompt + p.end - p.start, : len(p.labels)]
                found[p.query].scores.append((p, text_score.copy()))

    def _chosen(
        self,
        windows: Sequence[tuple[Pass, Scores]],
        lines: np.ndarray,
        limits: np.ndarray,
        ask: Ask,
        query: Query,
        offsets: Sequence[tuple[int, int]],
    ) -> Candidates:
        """Choose among what the windows of a query hold, window by window in the text's order.

        Args:
            windows: what was read.
            lines: the line of each word, which spans do not leave.
            limits: threshold of each label.
            ask: how to decode.
            query: what was asked.
            offsets: characters of each word.
        """
        num_words = len(lines)
        names = names_in(query.text, offsets) if query.casing and windows else None

        def candidates(p: Pass, scores: Scores) -> Candidates:
            limit = limits[p.labels.start : p.labels.stop]
            found = place(self.scorer.candidates(scores, limit, ask.span_score), p, num_words)
            found = found.take(lines[found.start] == lines[found.end - 1])
            return doubt_parts(found, names, query.casing, limits) if names else found

        windows = sorted(windows, key=lambda window: window[0].start)
        following = [*(p.start for p, _ in windows[1:]), num_words]
        found = (
            (candidates(p, scores), then)
            for (p, scores), then in zip(windows, following, strict=False)
        )
        flat = ask.overlap == "flat" and not ask.multi_label
        longest = max((p.end - p.start for p, _ in windows), default=0)
        joined = join_windows(
            found, num_words=num_words, flat=flat, best=query.best, longest=longest
        )
        return choose(joined, num_words=num_words, overlap=ask.overlap, multi_label=ask.multi_label)

    def _relate(
        self,
        read: "_Kept",
        mentions: Mapping[int, MentionedSpans],
        queries: Sequence[TokenizedQuery],
        ask: Ask,
        found: Sequence["_Found"],
    ) -> None:
        """Score the pairs of a batch that was read; note what reaches the threshold."""
        places = {i: here.mentions for i, here in mentions.items()}
        rows = pairs_of_rows(read.passes, places, read.num_prompt_words)
        if not len(rows.row):
            return
        scores = self.scorer.relate(read.vectors, rows)
        edges = np.searchsorted(rows.row, np.arange(len(read.passes) + 1))
        for p, first, end in zip(read.passes, edges[:-1], edges[1:], strict=True):
            if first < end:
                names = queries[p.query].relations[p.relations.start : p.relations.stop]
                limit = np.array(label_thresholds(ask.relation_threshold, names))
                score = scores[first:end, : len(names)]
                pair, relation = np.nonzero(score >= limit)
                found[p.query].related.append(
                    RelatedPairs(
                        rows.head[first:end][pair],
                        rows.tail[first:end][pair],
                        relation + p.relations.start,
                        score[pair, relation].astype(float),
                    )
                )


@dataclass(slots=True)
class _Found:
    """What the passes of one query found."""

    scores: list[tuple[Pass, Scores]] = field(default_factory=list)
    classes: list[tuple[Pass, np.ndarray]] = field(default_factory=list)
    related: list[RelatedPairs] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Rows that were read, for the pairs in them."""

    passes: Sequence[Pass]
    num_prompt_words: Sequence[int]
    vectors: Any


def _pooled(passes: Sequence[tuple[Pass, np.ndarray]], query: TokenizedQuery) -> dict[str, float]:
    """Return each class's logit: the mean over the windows of the text, weighted by their words."""
    if not query.classes:
        return {}
    total, words = np.zeros(len(query.classes)), np.zeros(len(query.classes))
    for p, logits in passes:
        part = slice(p.classes.start, p.classes.stop)
        total[part] += logits * (p.end - p.start)
        words[part] += p.end - p.start
    if not words.all():
        return {}
    return dict(zip(query.classes, (total / words).tolist(), strict=True))


def lines_of(query: Query, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the line of each word, 0 for all where spans may run across lines."""
    if query.across_lines:
        return np.zeros(len(offsets), dtype=np.int64)
    starts = [start for start, _ in offsets]
    return np.searchsorted(line_ends(query.text), starts).astype(np.int64)


def spans_of(
    chosen: Candidates,
    text: str,
    offsets: Sequence[tuple[int, int]],
    labels: Sequence[str],
) -> list[Span]:
    """Return chosen candidates as spans of the text.

    Args:
        chosen: in the order of the text.
        text: the caller's.
        offsets: characters of each of its words.
        labels: names of the candidates' labels.
    """
    found: dict[tuple[int, int, int], float] = {}
    firsts = sorted(set(chosen.start.tolist()))
    columns = (chosen.start, chosen.end, chosen.label, chosen.score)
    for first, last, label, score in zip(*(c.tolist() for c in columns), strict=True):
        start, end = offsets[first][0], end_of_character(text, offsets[last - 1][1])
        following = bisect_left(firsts, last)
        if following < len(firsts):  # a span that begins inside the character keeps its part
            end = min(end, offsets[firsts[following]][0])
        place = start, end, label
        found[place] = max(found.get(place, 0.0), min(max(score, 0.0), 1.0))
    return [
        Span(start, end, text[start:end], labels[label], score)
        for (start, end, label), score in found.items()
    ]
