"""Reads queries with labels and relations before the text, one pass a window (GLiNER, relex)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from glinermt.checks import label_thresholds
from glinermt.decode import Candidates
from glinermt.encoding import QueryEncoder, distinct
from glinermt.errors import UsageError
from glinermt.families.base import RowEncoder, TextRow, by_length, chosen_of, text_rows
from glinermt.families.bi_reader import represented
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
from glinermt.families.prompted_network import PromptedNetwork
from glinermt.families.training import FamilyBatch, RowVectors, family_batch
from glinermt.heads import SpanHead
from glinermt.reader import BATCH_TOKENS, spans_of
from glinermt.rows import TokenizedWords
from glinermt.types import Ask, Example, Found, Kind, Query, Span
from glinermt.windows import LABEL_SHARE, place


@dataclass(frozen=True, slots=True)
class RowFormat:
    """How a checkpoint writes its rows."""

    ent_token_id: int
    sep_token_id: int
    rel_token_id: int | None = None
    """None where the model knows no relations; else a second separator follows them."""
    label_at_marker: bool = True
    """A label's vector is its marker's, else that of the token behind."""
    relation_at_marker: bool = True
    stored: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """The only labels and relations, where their vectors are weights and no row names them."""


@dataclass(frozen=True, slots=True)
class _Mentions:
    """What of one window is kept until it is known which spans stay."""

    labels: range
    """The relations that its row asked for."""
    places: list[Words]
    """Words of the text."""
    vectors: Tensor
    relations: Tensor


@dataclass(slots=True)
class _Parts:
    given: list[Words] | None
    """Words of the spans that the query gives."""
    spans: list[Candidates] = field(default_factory=list)
    mentions: list[_Mentions] = field(default_factory=list)


class PromptedReader:
    """The ``Reader`` of relex checkpoints, and of rare variants of the others.

    Relations join the spans that the query gives, else those found in the same window. With more
    labels than fit in a row, a relation needs both ends among the labels of one row.
    """

    def __init__(
        self,
        network: PromptedNetwork,
        encoder: RowEncoder,
        query_encoder: QueryEncoder,
        row_format: RowFormat,
    ) -> None:
        self.network = network
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.format = row_format
        has_relations = row_format.rel_token_id is not None
        self.kinds: frozenset[Kind] = frozenset(
            {"spans", "relations"} if has_relations else {"spans"}
        )
        self.batch_tokens = BATCH_TOKENS

    def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
        texts = self.query_encoder.tokenize_texts([query.text for query in queries])
        planned = [
            row
            for i, (query, text) in enumerate(zip(queries, texts, strict=True))
            for row in self._plan(i, query, text)
        ]
        parts = [_Parts(given_words(q, text)) for q, text in zip(queries, texts, strict=True)]
        for row, vectors in self._run(planned):
            i = row.window.query
            self._score(parts[i], row, vectors, queries[i], texts[i], ask)
        for query, text, part in zip(queries, texts, parts, strict=True):
            yield self._found(query, text, part, ask)

    def collate(self, examples: Sequence[Example]) -> FamilyBatch:
        """Make a training batch, in which gold mentions are paired.

        Raises:
            ValueError: not one of the examples has both a label and a word.
        """
        queries = [_with_mentions(example) for example in examples]
        tokenized = self.query_encoder.tokenize(queries)
        rows = [
            row
            for i, (query, one) in enumerate(zip(queries, tokenized, strict=True))
            for row in self._plan(i, query, one.text)
        ]
        batch = family_batch(self.query_encoder, self.network.head, examples, tokenized, rows)
        return replace(batch, pad_token_ids=(self.query_encoder.pad_token_id,))

    def _plan(self, index: int, query: Query, text: TokenizedWords) -> Iterator[TextRow]:
        labels = distinct(query.labels)
        relations = distinct(query.relations) if "relations" in self.kinds else ()
        if not text.offsets or not (labels or (relations and query.entities)):
            return
        stored = self._stored(labels, relations)
        named = () if stored is not None else (*labels, *relations)
        tokens = self.query_encoder.tokenize_words([[name] for name in named])
        ids = [list(one.token_ids) for one in tokens]
        (prompt,) = self.query_encoder.tokenize_texts([query.prompt])
        parts: Iterable[tuple[range, range]] = [(range(len(labels)), range(len(relations)))]
        if stored is None:
            parts = self._parts(ids[: len(labels)], ids[len(labels) :], prompt, text)
        for asked, related in parts:
            head, labels_at, relations_at = self._start(ids, len(labels), asked, related)
            for row in text_rows(
                text,
                self.query_encoder.max_tokens,
                suffix=self.query_encoder.suffix,
                asked=(index, asked),
                head=head,
                prompt=prompt,
            ):
                yield replace(
                    row,
                    labels_at=labels_at,
                    relations_at=relations_at,
                    relations=related,
                    stored=stored,
                )

    def _stored(
        self, labels: Sequence[str], relations: Sequence[str]
    ) -> tuple[list[int], list[int]] | None:
        """Return which of the stored vectors are those of the names; None where all are read.

        Raises:
            ValueError: a name has none.
        """
        if self.format.stored is None:
            return None
        for name, known in [
            *((label, self.format.stored[0]) for label in labels),
            *((relation, self.format.stored[1]) for relation in relations),
        ]:
            if name not in known:
                raise UsageError(
                    f"{name!r:.80} is not among the names whose vectors this checkpoint was saved "
                    f"with, and it reads no others: {', '.join(map(repr, known)) or 'none'}"
                )
        return (
            [self.format.stored[0].index(label) for label in labels],
            [self.format.stored[1].index(relation) for relation in relations],
        )

    def _parts(
        self,
        labels: list[list[int]],
        relations: list[list[int]],
        prompt: TokenizedWords,
        text: TokenizedWords,
    ) -> Iterator[tuple[range, range]]:
        """Yield which labels and relations are asked together; all, where they leave room."""
        size = sum(1 + len(ids) for ids in (*labels, *relations))
        limit = self.query_encoder.max_tokens
        if size + len(prompt.token_ids) + len(text.token_ids) + 4 <= limit or (
            size <= limit * LABEL_SHARE
        ):
            yield range(len(labels)), range(len(relations))
            return
        share = limit * LABEL_SHARE / size
        each = max(1, int(len(labels) * share)), max(1, int(len(relations) * share))
        for i in range(0, max(1, len(labels)), each[0]):
            for j in range(0, max(1, len(relations)), each[1]):
                yield range(len(labels))[i : i + each[0]], range(len(relations))[j : j + each[1]]

    def _start(
        self, ids: list[list[int]], num_labels: int, labels: range, relations: range
    ) -> tuple[list[int], list[int], list[int]]:
        """Return the row before its words, and the positions of label and relation vectors."""
        row = list(self.query_encoder.prefix)
        if self.format.stored is not None:
            return [*row, self.format.sep_token_id], [], []
        at: tuple[list[int], list[int]] = [], []
        kinds = [(self.format.ent_token_id, labels, self.format.label_at_marker)]
        if self.format.rel_token_id is not None:
            kinds.append((self.format.rel_token_id, relations, self.format.relation_at_marker))
        for kind, (marker, part, at_marker) in enumerate(kinds):
            for i in part:
                name = ids[i + kind * num_labels]
                at[kind].append(len(row) + (not at_marker and bool(name)))
                row += [marker, *name]
            row.append(self.format.sep_token_id)
        return row, at[0], at[1]

    @torch.inference_mode()
    def _run(self, planned: Sequence[TextRow]) -> Iterator[tuple[TextRow, RowVectors]]:
        """Yield the vectors of each row's words, labels and relations."""
        for group in by_length([row.window.num_tokens for row in planned], self.batch_tokens):
            batch = [planned[i] for i in group]
            keep = [self.network.tokens_of(row) for row in batch]
            tokens = self.encoder([row.token_ids for row in batch], keep)
            yield from zip(batch, self.network.apart(batch, tokens), strict=True)

    @torch.inference_mode()
    def _score(
        self,
        parts: _Parts,
        row: TextRow,
        vectors: RowVectors,
        query: Query,
        text: TokenizedWords,
        ask: Ask,
    ) -> None:
        words, labels, relations = vectors
        window = row.window
        targets = None if parts.given is None else in_window(parts.given, window)
        if len(window.labels):
            logits = self.network.logits(words, labels)[row.num_prompt :]
            scores = logits.float().sigmoid().cpu().numpy()
            names = [distinct(query.labels)[i] for i in window.labels]
            limits = np.array(label_thresholds(ask.threshold, tuple(names)))
            found = self.network.head.candidates(scores, limits, ask.span_score)
            if self.network.represent_spans and self.network.marker is not None and len(found):
                text_words = words[row.num_prompt :]
                found = represented(found, text_words, labels, self.network.marker, limits)
            parts.spans.append(place(found, window, len(text.offsets)))
            if targets is None:
                targets = self._targets(found)
        if targets is None or len(targets) < 2 or not len(row.relations):
            return
        own = [moved(where, window.start) for where in targets]
        spans = torch.tensor(targets, dtype=torch.long, device=words.device) + row.num_prompt
        span_vectors = self.network.span_vectors(words, spans)
        parts.mentions.append(_Mentions(row.relations, own, span_vectors, relations))

    @torch.inference_mode()
    def _related(
        self, mentions: _Mentions, ends: Mapping[Words, Span], names: tuple[str, ...], ask: Ask
    ) -> Iterator[tuple[Related, float]]:
        """Yield label, head, tail and score of the relations between ``ends`` of one window."""
        known = torch.tensor(
            [where in ends for where in mentions.places], device=mentions.vectors.device
        )
        near = ask.adjacency_threshold
        pairs = self.network.pairs(
            mentions.vectors, _single(ask.threshold) if near is None else near
        )
        pairs = pairs[known[pairs].all(dim=1)]
        logits = self.network.relation_logits(mentions.vectors, pairs, mentions.relations)
        scores = logits.float().sigmoid().cpu().numpy()
        limits = label_thresholds(ask.relation_threshold, tuple(names[i] for i in mentions.labels))
        places = pairs.tolist()
        for pair, label in np.argwhere(scores > np.array(limits)).tolist():
            head, tail = (mentions.places[i] for i in places[pair])
            if head != tail:
                yield (mentions.labels[label], head, tail), float(scores[pair, label])

    def _targets(self, found: Candidates) -> list[Words]:
        """Return the places whose pairs are scored; a token head's twice where two labels agree.

        The layers that mix all spans were trained with such doubles.
        """
        found = found.take(np.argsort(-found.score, kind="stable"))
        places = list(zip(found.start.tolist(), found.end.tolist(), strict=True))
        if isinstance(self.network.head, SpanHead):
            places = list(dict.fromkeys(places))
        return sorted(places[:MAX_ENTITIES])

    def _found(self, query: Query, text: TokenizedWords, parts: _Parts, ask: Ask) -> Found:
        labels = distinct(query.labels)
        chosen = None
        if parts.spans:
            chosen = chosen_of(parts.spans, query, text.offsets, ask)
        spans = [] if chosen is None else spans_of(chosen, query.text, text.offsets, labels)
        ends = ends_of(query, text, parts.given, chosen, labels)
        names = distinct(query.relations)
        best: dict[Related, float] = {}
        for mentions in parts.mentions:
            for key, score in self._related(mentions, ends, names, ask):
                best[key] = max(best.get(key, 0.0), score)
        return Found(tuple(spans), relations_between(ends, best, names))


def _with_mentions(example: Example) -> Query:
    """Return the query with its gold mentions, where it asks only how these are related."""
    query = example.query
    if query.labels or query.entities is not None:
        return query
    ends = [span for relation in example.relations for span in (relation.head, relation.tail)]
    return replace(query, entities=(*example.spans, *ends))


def _single(threshold: float | Mapping[str, float]) -> float:
    """Return the least threshold there is."""
    if isinstance(threshold, Mapping):
        return min(threshold.values(), default=0.5)
    return float(threshold)
