"""Reads queries as GLiNER2 does: one row with all groups; windows of long texts joined again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from glinermt.decode import choose
from glinermt.encoding import QueryEncoder
from glinermt.families import gliner2_rows as rows
from glinermt.families.base import RowEncoder, TextRow, by_length, text_rows
from glinermt.families.gliner2_found import Choose, Gliner2Joiner, RowsFound, Tidy, gather
from glinermt.families.gliner2_rows import Asked, Head
from glinermt.families.gliner2_scores import (
    Limits,
    RowFound,
    RowScorer,
    RowVectors,
    limits_of,
)
from glinermt.reader import BATCH_TOKENS
from glinermt.rows import TokenizedWords
from glinermt.types import Ask, Found, Kind, Query
from glinermt.windows import LABEL_SHARE

KINDS: frozenset[Kind] = frozenset({"spans", "relations", "classes", "records"})
Pooling = Literal["first", "mean", "max"]


@dataclass(frozen=True, slots=True)
class _Row:
    """One pass: what is asked over a range of a text's words."""

    text: TextRow
    asked: Asked
    head: Head
    prefix: list[str]
    """Words before the text: choices of structures, and the prompt."""


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
        self.joiner = Gliner2Joiner(choose, tidy)
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
        parts = [RowsFound() for _ in queries]
        for row, found in self._run(planned, limits):
            window = row.text.window
            number, part = len(texts[window.query].offsets), parts[window.query]
            gather(part, window, row.asked, row.prefix, found, num_words=number)
        for query, words, part in zip(queries, texts, parts, strict=True):
            yield self.joiner.found(query, words, part, ask)

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
        for asked, head in self._asked(query, words):
            chosen = query.structures[asked.structures.start : asked.structures.stop]
            yield from self._rows(index, words, asked, head, [*rows.choice_prefix(chosen), *prompt])

    def _prompt_words(self, prompt: str) -> list[str]:
        return [prompt[start:end].lower() for start, end in self.query_encoder.split_words(prompt)]

    def _asked(self, query: Query, words: TokenizedWords) -> Iterator[tuple[Asked, Head]]:
        """Yield the whole question, or its parts where it leaves too little room for the text.

        Each with the tokens before the text, which are made once.
        """
        kinds = rows.kinds_asked(query)
        whole = tuple(range(len(names)) for names in kinds)
        if not any(kinds):
            return
        limit = self.query_encoder.max_tokens
        asked = rows.question(query, whole)
        head = self._head(asked)
        size = len(head.token_ids)
        if size + len(words.token_ids) <= limit or size <= limit * LABEL_SHARE:
            yield asked, head
            return
        for kind, part in enumerate(whole):
            each = max(1, int(len(part) * limit * LABEL_SHARE / size))
            for start in range(0, len(part), each):
                ranges = [range(0)] * len(kinds)
                ranges[kind] = part[start : start + each]
                asked = rows.question(query, ranges)
                yield asked, self._head(asked)

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
        self, index: int, words: TokenizedWords, asked: Asked, head: Head, prefix: list[str]
    ) -> Iterator[_Row]:
        (before,) = self.query_encoder.tokenize_words([prefix])
        for row in text_rows(
            words,
            self.query_encoder.max_tokens,
            asked=(index, asked.labels),
            head=head.token_ids,
            prompt=before,
        ):
            yield _Row(row, asked, head, prefix)

    @torch.inference_mode()
    def _run(
        self, planned: Sequence[_Row], limits: Sequence[Limits]
    ) -> Iterator[tuple[_Row, RowFound]]:
        sizes = [row.text.window.num_tokens for row in planned]
        for group in by_length(sizes, self.batch_tokens):
            batch = [planned[i] for i in group]
            ids = [row.text.token_ids for row in batch]
            vectors = self.encoder(ids, [self._read(row) for row in batch])
            for row, found in zip(batch, vectors, strict=True):
                own = _own(limits[row.text.window.query], row)
                yield row, self.score(self._apart(row, found), row.asked, own)

    def _read(self, row: _Row) -> list[int]:
        """Return the positions whose vectors are wanted: prompts, names, words."""
        names = [place for group in row.head.names for place in group]
        size, places = len(row.text.token_ids), row.text.words
        if self.pooling == "first":
            words = [min(start, size - 1) for start, _ in places]
        else:
            words = list(range(places[0][0], size))
        return [*row.head.prompts, *names, *words]

    def _apart(self, row: _Row, vectors: torch.Tensor) -> RowVectors:
        counts = [len(group) for group in row.head.names]
        sizes = [len(counts), sum(counts), len(vectors) - len(counts) - sum(counts)]
        prompts, names, words = torch.split(vectors, sizes)
        if self.pooling != "first":
            starts = [start for start, _ in row.text.words]
            lengths = np.diff([*starts, len(row.text.token_ids)]).tolist()
            pooled = [
                part.mean(0) if self.pooling == "mean" else part.amax(0)
                for part in torch.split(words, lengths)
            ]
            words = torch.stack(pooled)
        return RowVectors(words, prompts, list(torch.split(names, counts)), tuple(row.prefix))


def _own(limits: Limits, row: _Row) -> Limits:
    """Return the limits of what a row asks for."""
    asked, window = row.asked, row.text.window
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
