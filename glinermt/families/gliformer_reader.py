"""Reads queries with a GLiFormer network: what it finds in rows, and vectors of texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from glinermt.checks import label_thresholds
from glinermt.decode import Candidates
from glinermt.encoding import QueryEncoder, distinct
from glinermt.families.base import (
    RowEncoder,
    by_length,
    chosen_of,
    pool_words,
    tokens_read,
)
from glinermt.families.gliformer_network import GliformerNetwork
from glinermt.families.gliformer_rows import (
    GliformerMarkers,
    GroupedRow,
    GroupedRows,
)
from glinermt.families.mentions import (
    MAX_ENTITIES,
    Related,
    Words,
    ends_of,
    given_words,
    in_window,
    moved,
    relations_between,
)
from glinermt.heads.token import INSIDE
from glinermt.reader import BATCH_TOKENS, spans_of
from glinermt.rows import Pass, TokenizedWords
from glinermt.types import Ask, Found, Kind, Query
from glinermt.windows import place

ADJACENCY = 0.5
"""Least probability that two entities are related at all, where none is asked for."""


@dataclass(slots=True)
class _Parts:
    given: list[Words] | None
    """Words of the spans that the query gives."""
    spans: list[Candidates] = field(default_factory=list)
    relations: dict[Related, float] = field(default_factory=dict)
    classes: dict[int, list[float]] = field(default_factory=dict)


class GliformerReader:
    """The ``Reader`` of GLiFormer.

    A query's prompt names the group of its classes where these have no groups of their own, else it
    stands before the text. A span's score may lie below the threshold: what stands beside it
    counts, too. Relations join the spans that the query gives, else those chosen in the same
    window. With more labels than fit in a row, a relation needs both ends among the labels of one.

    Args:
        network: the heads that the model has.
        encoder: the network's encoder.
        query_encoder: knows the tokens that a row with labels may have.
        markers: what stands before groups and names.
        text_tokens: tokens that a text alone may have, of which a vector is made.
    """

    def __init__(
        self,
        network: GliformerNetwork,
        encoder: RowEncoder,
        query_encoder: QueryEncoder,
        markers: GliformerMarkers,
        text_tokens: int,
    ) -> None:
        self.network = network
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.text_tokens = text_tokens
        self.batch_tokens = BATCH_TOKENS
        kinds: list[Kind] = []
        kinds += ["spans"] if network.entities is not None else []
        kinds += ["relations"] if network.relations is not None else []
        kinds += ["classes"] if network.classes is not None else []
        self.kinds: frozenset[Kind] = frozenset(kinds)
        self.rows = GroupedRows(query_encoder, markers, self.kinds)

    def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
        texts = self.query_encoder.tokenize_texts([query.text for query in queries])
        planned = [
            row
            for i, (query, text) in enumerate(zip(queries, texts, strict=True))
            for row in self.rows.of(i, query, text)
        ]
        parts = [_Parts(given_words(q, text)) for q, text in zip(queries, texts, strict=True)]
        for row, vectors, words in self._run(planned):
            i = row.text.window.query
            self._score(parts[i], row, vectors, words, queries[i], texts[i], ask)
        for query, text, part in zip(queries, texts, parts, strict=True):
            yield _found(query, text, part, ask)

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "text width"]:
        """Return a vector for each text, of all its tokens; zeros for a blank one.

        Raises:
            TypeError: the model has no embedding head.
        """
        head = self.network.embedding
        if head is None:
            raise TypeError("this GLiFormer model has no embedding head (embedding_config is null)")
        frame = self.query_encoder
        room = self.text_tokens - len(frame.prefix) - len(frame.suffix)
        rows: list[list[int]] = []
        first_row = [0]
        for ids, text in zip(self.rows.token_ids(texts), texts, strict=True):
            for start in range(0, len(ids) if text.strip() else 0, room):
                rows.append([*frame.prefix, *ids[start : start + room], *frame.suffix])
            first_row.append(len(rows))
        read: dict[int, Tensor] = {}
        for group in by_length([len(row) for row in rows], self.batch_tokens):
            batch = [rows[i] for i in group]
            read |= zip(
                group, self.encoder(batch, [list(range(len(r))) for r in batch]), strict=True
            )
        found = np.zeros((len(texts), head.width), dtype=np.float32)
        for i, (start, end) in enumerate(pairwise(first_row)):
            if start < end:
                whole = torch.cat([read[row] for row in range(start, end)])
                found[i] = head(self.network.projection(whole)).float().cpu().numpy()
        return found

    @torch.inference_mode()
    def _run(self, planned: Sequence[GroupedRow]) -> Iterator[tuple[GroupedRow, Tensor, Tensor]]:
        """Yield each row's vectors at ``read``, and those of its words."""
        sizes = [row.text.window.num_tokens for row in planned]
        for group in by_length(sizes, self.batch_tokens):
            batch = [planned[i] for i in group]
            wanted = [[*row.read, *tokens_read(row.text.words, "first")] for row in batch]
            vectors = [
                self.network.projection(found)
                for found in self.encoder([row.text.token_ids for row in batch], wanted)
            ]
            words = [
                pool_words(found[len(row.read) :], row.text.words, "first")
                for row, found in zip(batch, vectors, strict=True)
            ]
            if self.network.rnn is not None:
                words = self.network.rnn.over_rows(words)
            for row, found, own in zip(batch, vectors, words, strict=True):
                yield row, found[: len(row.read)], own

    @torch.inference_mode()
    def _score(
        self,
        parts: _Parts,
        row: GroupedRow,
        vectors: Tensor,
        words: Tensor,
        query: Query,
        text: TokenizedWords,
        ask: Ask,
    ) -> None:
        window, num_prompt = row.text.window, row.text.num_prompt
        own_words = words[num_prompt:]
        first, rest = vectors[0], vectors[1:]
        for group in row.classes:
            assert self.network.classes is not None
            own, rest = rest[: 1 + len(group)], rest[1 + len(group) :]
            logits = self.network.classes(own_words, first, own[0], own[1:]).tolist()
            for i, logit in zip(group, logits, strict=True):
                parts.classes.setdefault(i, []).append(logit)
        if not len(window.labels) and not len(row.text.relations):
            return
        places = None if parts.given is None else in_window(parts.given, window)
        if len(window.labels):
            assert self.network.entities is not None
            labels = rest[1 : 1 + len(window.labels)]
            scores = self.network.entities(words, rest[0], labels)[num_prompt:]
            probabilities = scores.float().sigmoid().cpu().numpy()
            names = tuple(distinct(query.labels)[i] for i in window.labels)
            limits = np.array(label_thresholds(ask.threshold, names))
            found = self.network.entities.scorer.candidates(probabilities, limits, ask.span_score)
            found = bounded(found, probabilities[:, :, INSIDE])
            parts.spans.append(place(found, window, len(text.offsets)))
            if places is None and len(row.text.relations):
                places = _chosen_places(parts.spans[-1], window, query, text, ask)
        if places and len(places) > 1 and len(row.text.relations):
            self._relate(parts, row, words, rest, places, query, ask)

    def _relate(
        self,
        parts: _Parts,
        row: GroupedRow,
        words: Tensor,
        group: Tensor,
        places: Sequence[Words],
        query: Query,
        ask: Ask,
    ) -> None:
        """Score the relations between places, counted from the window's first word.

        ``group`` has the vectors of the group's marker and of its names'.
        """
        assert self.network.relations is not None
        start, labels = row.text.window.start, row.text.relations
        spans = torch.tensor(places, dtype=torch.long, device=words.device) + row.text.num_prompt
        near = ADJACENCY if ask.adjacency_threshold is None else ask.adjacency_threshold
        vectors = group[len(group) - len(labels) :]
        pairs, logits = self.network.relations(words, group[0], spans, vectors, near)
        scores = logits.float().sigmoid().cpu().numpy()
        names = tuple(distinct(query.relations)[i] for i in labels)
        limits = np.array(label_thresholds(ask.relation_threshold, names))
        chosen = pairs.tolist()
        for pair, label in np.argwhere(scores > limits).tolist():
            head, tail = (moved(places[i], start) for i in chosen[pair])
            if head != tail:
                key = labels[label], head, tail
                parts.relations[key] = max(
                    parts.relations.get(key, 0.0), float(scores[pair, label])
                )


def _chosen_places(
    found: Candidates, window: Pass, query: Query, text: TokenizedWords, ask: Ask
) -> list[Words]:
    """Return the places of the spans that a window's candidates alone would give.

    A place stands there once for each of its labels, as layers that mix all spans were trained.
    """
    chosen = chosen_of([found], query, text.offsets, ask)
    best = np.argsort(-chosen.score, kind="stable")[:MAX_ENTITIES]
    best = best[np.argsort(chosen.start[best], kind="stable")]
    starts, ends = chosen.start[best] - window.start, chosen.end[best] - window.start
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def bounded(candidates: Candidates, inside: np.ndarray) -> Candidates:
    """Lower the scores of spans whose neighbouring words also lie inside a span.

    Args:
        candidates: of one text.
        inside: probabilities ``word label``.
    """
    c = candidates
    padded = np.pad(inside, ((1, 1), (0, 0)))
    beside = np.maximum(padded[c.start, c.label], padded[c.end + 1, c.label])
    return replace(c, score=np.minimum(c.score, (1 - beside).astype(float)))


def _found(query: Query, text: TokenizedWords, parts: _Parts, ask: Ask) -> Found:
    labels, classes = distinct(query.labels), distinct(query.classes)
    chosen = chosen_of(parts.spans, query, text.offsets, ask) if parts.spans else None
    spans = [] if chosen is None else spans_of(chosen, query.text, text.offsets, labels)
    ends = ends_of(query, text, parts.given, chosen, labels)
    relations = relations_between(ends, parts.relations, distinct(query.relations))
    means = {classes[i]: float(np.mean(logits)) for i, logits in sorted(parts.classes.items())}
    return Found(tuple(spans), relations, means)
