"""Reads queries as GLiFormer does: groups of classes and labels before the text, in one row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from glinermt.decode import Candidates
from glinermt.encoding import QueryEncoder, TokenizedWords
from glinermt.families.base import (
    RowEncoder,
    TextRow,
    by_length,
    chosen_of,
    pool_words,
    text_rows,
    tokens_read,
)
from glinermt.families.gliformer_network import GliformerNetwork
from glinermt.heads.token import INSIDE
from glinermt.reader import BATCH_TOKENS, label_thresholds, spans_of
from glinermt.types import Ask, Found, Kind, Query
from glinermt.windows import LABEL_SHARE, place


@dataclass(frozen=True, slots=True)
class GliformerMarkers:
    """The word that begins a row, and the vocabulary ids of the markers."""

    sequence: str
    separator: int
    entity: int
    class_: int
    entity_group: int
    class_group: int


@dataclass(frozen=True, slots=True)
class _Row:
    text: TextRow
    classes: list[range]
    """Which of the query's classes each group asks for."""
    read: list[int]
    """Positions of the first token, then, group by group, of the group's and its labels' markers;
    groups are those of classes, then that of labels where there are any."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Names that are asked together, as tokens, and what stands before them."""

    marker: int
    name: list[int]
    each: int
    """Marker before each of the names."""
    names: list[list[int]]


@dataclass(slots=True)
class _Parts:
    spans: list[Candidates] = field(default_factory=list)
    classes: dict[int, list[float]] = field(default_factory=dict)


class GliformerReader:
    """The ``Reader`` of GLiFormer.

    A query's prompt names the group of its classes where these have no groups of their own, else it
    stands before the text. A span's score may lie below the threshold: what stands beside it
    counts, too.

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
        self.markers = markers
        self.text_tokens = text_tokens
        self.batch_tokens = BATCH_TOKENS
        kinds: list[Kind] = []
        kinds += ["spans"] if network.entities is not None else []
        kinds += ["classes"] if network.classes is not None else []
        self.kinds: frozenset[Kind] = frozenset(kinds)

    def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
        texts = self.query_encoder.tokenize_texts([query.text for query in queries])
        planned = [
            row
            for i, (query, text) in enumerate(zip(queries, texts, strict=True))
            for row in self._plan(i, query, text)
        ]
        parts = [_Parts() for _ in queries]
        for row, vectors, words in self._run(planned):
            i = row.text.window.query
            self._score(parts[i], row, vectors, words, queries[i], len(texts[i].offsets), ask)
        for query, text, part in zip(queries, texts, parts, strict=True):
            yield _found(query, text, part, ask)

    def _plan(self, index: int, query: Query, text: TokenizedWords) -> Iterator[_Row]:
        labels = _distinct(query.labels) if "spans" in self.kinds else ()
        classes = _distinct(query.classes) if "classes" in self.kinds else ()
        if not text.offsets or not (labels or classes):
            return
        named = bool(classes) and not query.class_groups
        asked = query.class_groups or ((query.prompt, len(classes)),)
        edges = list(accumulate((number for _, number in asked), initial=0))
        sequence, *group_names = self._token_ids([self.markers.sequence, *(n for n, _ in asked)])
        names = self._token_ids([*classes, *labels])
        class_names, label_names = names[: len(classes)], names[len(classes) :]
        (prompt,) = self.query_encoder.tokenize_texts(["" if named else query.prompt])
        for part, own in self._parts(names, len(classes), prompt, text):
            groups, ranges = [], []
            for name, (first, last) in zip(group_names, pairwise(edges), strict=True):
                inside = range(max(first, part.start), min(last, part.stop))
                if inside:
                    ranges.append(inside)
                    chosen = [class_names[i] for i in inside]
                    markers = self.markers.class_group, self.markers.class_
                    groups.append(_Group(markers[0], name, markers[1], chosen))
            if own:
                chosen = [label_names[i] for i in own]
                groups.append(_Group(self.markers.entity_group, [], self.markers.entity, chosen))
            head, read = self._head(sequence, groups)
            for row in text_rows(
                text,
                self.query_encoder.max_tokens,
                suffix=self.query_encoder.suffix,
                asked=(index, own),
                head=head,
                prompt=prompt,
            ):
                yield _Row(row, ranges, read)

    def _token_ids(self, pieces: Sequence[str]) -> list[list[int]]:
        """Return the tokens of pieces, each tokenised alone."""
        words = self.query_encoder.tokenize_words([[piece] for piece in pieces])
        return [list(one.token_ids) for one in words]

    def _parts(
        self, names: list[list[int]], num_classes: int, prompt: TokenizedWords, text: TokenizedWords
    ) -> Iterator[tuple[range, range]]:
        """Yield which classes and labels are asked together; all, where they leave room."""
        limit = self.query_encoder.max_tokens
        size = sum(1 + len(ids) for ids in names) + len(prompt.token_ids) + 12
        num_labels = len(names) - num_classes
        if size + len(text.token_ids) <= limit or size <= limit * LABEL_SHARE:
            yield range(num_classes), range(num_labels)
            return
        each = max(1, int(len(names) * limit * LABEL_SHARE / size))
        for start in range(0, num_classes, each):
            yield range(num_classes)[start : start + each], range(0)
        for start in range(0, num_labels, each):
            yield range(0), range(num_labels)[start : start + each]

    def _head(self, sequence: list[int], groups: Sequence[_Group]) -> tuple[list[int], list[int]]:
        """Return the row before its words, and the positions whose vectors are wanted."""
        row = [*self.query_encoder.prefix, *sequence]
        read = [0]
        for group in groups:
            read.append(len(row))
            row += [group.marker, *group.name]
            for name in group.names:
                read.append(len(row))
                row += [group.each, *name]
            row.append(self.markers.separator)
        return [*row, self.markers.separator], read

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
        for ids, text in zip(self._token_ids(texts), texts, strict=True):
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
    def _run(self, planned: Sequence[_Row]) -> Iterator[tuple[_Row, Tensor, Tensor]]:
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
        row: _Row,
        vectors: Tensor,
        words: Tensor,
        query: Query,
        num_words: int,
        ask: Ask,
    ) -> None:
        window, num_prompt = row.text.window, row.text.num_prompt
        text = words[num_prompt:]
        first, rest = vectors[0], vectors[1:]
        for group in row.classes:
            assert self.network.classes is not None
            own, rest = rest[: 1 + len(group)], rest[1 + len(group) :]
            logits = self.network.classes(text, first, own[0], own[1:]).tolist()
            for i, logit in zip(group, logits, strict=True):
                parts.classes.setdefault(i, []).append(logit)
        if len(window.labels) and self.network.entities is not None:
            scores = self.network.entities(words, rest[0], rest[1:])[num_prompt:]
            probabilities = scores.float().sigmoid().cpu().numpy()
            names = tuple(_distinct(query.labels)[i] for i in window.labels)
            limits = np.array(label_thresholds(ask.threshold, names))
            found = self.network.entities.scorer.candidates(probabilities, limits, ask.span_score)
            found = bounded(found, probabilities[:, :, INSIDE])
            parts.spans.append(place(found, window, num_words))


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
    spans = []
    if parts.spans:
        chosen = chosen_of(parts.spans, query, text.offsets, ask)
        spans = spans_of(chosen, query.text, text.offsets, _distinct(query.labels))
    classes = _distinct(query.classes)
    means = {classes[i]: float(np.mean(logits)) for i, logits in sorted(parts.classes.items())}
    return Found(tuple(spans), (), means)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
