"""Reads queries with a bi-encoder: the text once, however many labels are asked."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from glinermt.checks import label_thresholds
from glinermt.decode import Candidates
from glinermt.encoding import QueryEncoder
from glinermt.errors import UsageError
from glinermt.families.base import RowEncoder, TextRow, by_length, chosen_of, text_rows
from glinermt.families.bi_network import BiNetwork
from glinermt.families.training import FamilyBatch, family_batch
from glinermt.label_index import LabelIndex, vectors_of
from glinermt.reader import BATCH_TOKENS, spans_of
from glinermt.rows import TokenizedWords
from glinermt.types import Ask, Example, Found, Kind, Query
from glinermt.windows import place

LABEL_BLOCK = 256
"""Labels that a text is scored against at a time."""
MAX_CANDIDATES = 20_000
"""Spans of one window that stay for the choice, best first."""
CACHED_LABELS = 50_000
"""Labels whose vectors are kept from one call to the next."""


class LabelReader:
    """Turns labels into vectors: the mean over all tokens, special ones included."""

    def __init__(
        self, network: BiNetwork, encoder: RowEncoder, query_encoder: QueryEncoder
    ) -> None:
        self.network = network
        self.encoder = encoder
        self.query_encoder = query_encoder
        self._known: dict[str, Tensor] = {}
        self._model: tuple[tuple[tuple[int, int], ...], str] | None = None

    def index(self, labels: Sequence[str], budget: int) -> LabelIndex:
        """Return the labels with their vectors."""
        names = list(dict.fromkeys(str(label) for label in labels))
        return LabelIndex(names, self.vectors(names, budget).clone(), self.fingerprint())

    @torch.inference_mode()
    def vectors(self, labels: Sequence[str], budget: int) -> Float[Tensor, "label hidden"]:
        """Return a vector for each label; from the label itself, from memory, or computed.

        Raises:
            ValueError: a label is longer than the label encoder reads, or another model's.
        """
        model = self.fingerprint()
        brought = vectors_of(labels, model)
        missing = [name for name in labels if name not in brought and name not in self._known]
        computed = (
            dict(zip(missing, self._compute(missing, budget), strict=True)) if missing else {}
        )
        if len(self._known) + len(computed) > CACHED_LABELS:
            self._known = {}
        if len(computed) <= CACHED_LABELS:
            self._known |= computed
        device = next(self.network.parameters()).device
        rows = [
            brought[name] if name in brought else computed.get(name, self._known.get(name))
            for name in labels
        ]
        return torch.stack([row.to(device) for row in rows if row is not None])

    def fingerprint(self) -> str:
        """Return a name of the weights that make label vectors; another one when they change."""
        weights = [
            *self.network.label_encoder.parameters(),
            *self.network.label_projection.parameters(),
        ]
        state = tuple((w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights)
        if self._model is None or self._model[0] != state:
            digest = hashlib.blake2b(digest_size=16)
            for weight in weights:
                plain = weight.detach().to("cpu", torch.float32).contiguous()
                digest.update(plain.numpy().tobytes())
            self._model, self._known = (state, digest.hexdigest()), {}
        return self._model[1]

    def rows(self, labels: Sequence[str]) -> list[list[int]]:
        """Return the token ids that the label encoder reads of each label.

        Raises:
            ValueError: a label is longer than it reads.
        """
        frame = self.query_encoder
        tokens = frame.tokenize_words([[label] for label in labels])
        rows = [[*frame.prefix, *one.token_ids, *frame.suffix] for one in tokens]
        for label, row in zip(labels, rows, strict=True):
            if len(row) > frame.max_tokens:
                raise UsageError(
                    f"label {label!r:.80} has {len(row)} tokens of at most {frame.max_tokens} "
                    "that the label encoder reads; shorten it"
                )
        return rows

    def _compute(self, labels: Sequence[str], budget: int) -> list[Tensor]:
        rows = self.rows(labels)
        found: dict[int, Tensor] = {}
        for group in by_length([len(row) for row in rows], budget):
            batch = [rows[i] for i in group]
            vectors = self.encoder(batch, [list(range(len(row))) for row in batch])
            for i, own in zip(group, vectors, strict=True):
                found[i] = self.network.label(own)
        return [found[i] for i in range(len(labels))]


class BiReader:
    """The ``Reader`` of bi-encoders.

    Labels are scored in blocks, so memory does not grow with their number; a model with a fusion
    (poly-encoder) scores all of a query's at once, since they read each other.
    """

    kinds: frozenset[Kind] = frozenset({"spans"})

    def __init__(
        self,
        network: BiNetwork,
        encoder: RowEncoder,
        query_encoder: QueryEncoder,
        labels: LabelReader,
    ) -> None:
        self.network = network
        self.encoder = encoder
        self.query_encoder = query_encoder
        self.labels = labels
        self.batch_tokens = BATCH_TOKENS

    def encode_labels(self, labels: Sequence[str]) -> LabelIndex:
        """Return the labels with their vectors; the same label counts once."""
        return self.labels.index(labels, self.batch_tokens)

    def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
        texts = self.query_encoder.tokenize_texts([query.text for query in queries])
        names = [tuple(dict.fromkeys(query.labels)) for query in queries]
        limits = [np.array(label_thresholds(ask.threshold, labels)) for labels in names]
        every = list(dict.fromkeys(label for labels in names for label in labels))
        vectors = self.labels.vectors(every, self.batch_tokens) if every else torch.zeros(0, 0)
        row_of = {label: row for row, label in enumerate(every)}
        planned = [
            row
            for i, (query, text) in enumerate(zip(queries, texts, strict=True))
            if names[i] and text.offsets
            for row in self._rows(i, query.prompt, text, len(names[i]))
        ]
        found: list[list[Candidates]] = [[] for _ in queries]
        for row, words in self._run(planned):
            i = row.window.query
            own = vectors[[row_of[label] for label in names[i]]]
            candidates = self._candidates(words, own, limits[i], row.num_prompt, ask)
            found[i].append(place(candidates, row.window, len(texts[i].offsets)))
        for query, text, labels, parts in zip(queries, texts, names, found, strict=True):
            if not parts:
                yield Found()
                continue
            chosen = chosen_of(parts, query, text.offsets, ask)
            yield Found(tuple(spans_of(chosen, query.text, text.offsets, labels)))

    def collate(self, examples: Sequence[Example]) -> FamilyBatch:
        """Make a training batch; each label is read once.

        Raises:
            ValueError: not one of the examples has both a label and a word.
        """
        queries = [example.query for example in examples]
        names = [tuple(dict.fromkeys(query.labels)) for query in queries]
        tokenized = self.query_encoder.tokenize(queries)
        rows = [
            row
            for i, (query, one) in enumerate(zip(queries, tokenized, strict=True))
            if names[i] and one.text.offsets
            for row in self._rows(i, query.prompt, one.text, len(names[i]))
        ]
        labels = tuple(dict.fromkeys(name for own in names for name in own))
        place = {label: i for i, label in enumerate(labels)}
        return replace(
            family_batch(self.query_encoder, self.network.head, examples, tokenized, rows),
            label_rows=self.labels.rows(labels),
            asked=[[place[name] for name in names[row.window.query]] for row in rows],
            pad_token_ids=(
                self.query_encoder.pad_token_id,
                self.labels.query_encoder.pad_token_id,
            ),
        )

    def _rows(
        self, index: int, prompt: str, text: TokenizedWords, num_labels: int
    ) -> Iterator[TextRow]:
        frame = self.query_encoder
        (before,) = frame.tokenize_texts([prompt])
        asked = (index, range(num_labels))
        return text_rows(
            text,
            frame.max_tokens,
            asked=asked,
            head=frame.prefix,
            prompt=before,
            suffix=frame.suffix,
        )

    @torch.inference_mode()
    def _run(self, planned: Sequence[TextRow]) -> Iterator[tuple[TextRow, Tensor]]:
        """Yield the word vectors of each row."""
        for group in by_length([row.window.num_tokens for row in planned], self.batch_tokens):
            batch = [planned[i] for i in group]
            read = [self.network.tokens_of(row) for row in batch]
            vectors = self.encoder([row.token_ids for row in batch], read)
            for row, own in zip(batch, vectors, strict=True):
                yield row, self.network.words(row, own)

    @torch.inference_mode()
    def _candidates(
        self,
        words: Float[Tensor, "word hidden"],
        labels: Float[Tensor, "label hidden"],
        limits: np.ndarray,
        num_prompt: int,
        ask: Ask,
    ) -> Candidates:
        words, labels = self.network.fused(words, labels)
        kept: list[Candidates] = []
        for start in range(0, len(labels), LABEL_BLOCK):
            block = labels[start : start + LABEL_BLOCK]
            logits = self.network.logits(words, block)[num_prompt:]
            scores = logits.float().sigmoid().cpu().numpy()
            found = self.network.head.candidates(
                scores, limits[start : start + LABEL_BLOCK], ask.span_score
            )
            kept.append(
                Candidates(found.start, found.end, found.label + start, found.score, found.cut)
            )
            if sum(map(len, kept)) > 2 * MAX_CANDIDATES:
                kept = [best(Candidates.concatenate(kept), MAX_CANDIDATES)]
        together = best(Candidates.concatenate(kept), MAX_CANDIDATES)
        if self.network.marker is None or not len(together):
            return together
        return represented(together, words[num_prompt:], labels, self.network.marker, limits)


def best(candidates: Candidates, count: int) -> Candidates:
    """Return the candidates with the best scores, in their order."""
    if len(candidates) <= count:
        return candidates
    order = np.argsort(-candidates.score, kind="stable")[:count]
    return candidates.take(np.sort(order))


@torch.inference_mode()
def represented(
    proposed: Candidates,
    words: Float[Tensor, "word hidden"],
    labels: Float[Tensor, "label hidden"],
    marker: torch.nn.Module,
    limits: np.ndarray,
) -> Candidates:
    """Score the proposed spans anew, each against all labels (``represent_spans``)."""
    places = np.unique(np.stack([proposed.start, proposed.end], axis=1), axis=0)
    vectors = marker(words, torch.from_numpy(places).to(words.device))
    scores = (vectors @ labels.T).float().sigmoid().cpu().numpy()
    span, label = np.nonzero(scores > limits)
    start, end = places[span].T
    cut = np.zeros(len(span), dtype=bool)
    return Candidates(start, end, label, scores[span, label].astype(float), cut)
