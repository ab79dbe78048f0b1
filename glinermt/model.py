"""GlinerMT: queries in, spans out."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from glinermt.config import ModelConfig, TaskSettings
from glinermt.decode import Candidates, choose
from glinermt.encoder import WordEncoder
from glinermt.encoding import Batch, Pass, QueryEncoder, TokenizedQuery
from glinermt.fast.choose import FastPath
from glinermt.fast.linear import Precision
from glinermt.heads import SpanHead, TokenHead
from glinermt.layers import BiLSTM
from glinermt.loss import bce_loss
from glinermt.queries import check_query, check_threshold, label_thresholds
from glinermt.training_batch import TrainingBatch, gold_spans
from glinermt.types import Example, Overlap, Query, Span, SpanScore, Threshold
from glinermt.windows import merge_windows, place, plan_passes, token_batches
from glinermt.words import end_of_character

BATCH_TOKENS = 1024
"""Tokens of one batch, padding included; a processor gains nothing from more."""
DEVICE_BATCH_TOKENS = 4096
"""The same on an accelerator."""
CHUNK = 512
"""Queries that are tokenised and sorted together."""


class GlinerMT(nn.Module):
    """Encoder, BiLSTM and head behind one call. Make one with ``from_pretrained`` or ``build``."""

    def __init__(
        self,
        *,
        encoder: WordEncoder,
        rnn: BiLSTM | None,
        head: TokenHead | SpanHead,
        query_encoder: QueryEncoder,
        config: ModelConfig,
        settings: TaskSettings,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.rnn = rnn
        self.head = head
        self.query_encoder = query_encoder
        self.config = config
        self.settings = settings
        self.inference = FastPath()
        self.batch_tokens = BATCH_TOKENS

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        precision: Precision = "exact",
    ) -> "GlinerMT":
        """Load a model, ours or a published GLiNER checkpoint, ready for inference.

        Args:
            path: folder or hub id; None = the model that ships with the package.
            revision: branch, tag or commit on the hub, for every file.
            device: such as ``cpu``, ``cuda``, ``mps``; None = cpu.
            dtype: of the weights, such as ``bfloat16``; None = float32.
            precision: ``exact``, or ``bf16`` or ``int8`` for products of 16-bit or 8-bit numbers:
                faster on a processor, with scores that differ a little.

        Raises:
            CheckpointError: missing, damaged, unsupported, or weights missing or left over.
            ValueError: a device that is not here, a dtype that weights cannot have, an unknown
                precision, or one that cannot be had with device and dtype.
        """
        from glinermt.checkpoints.native import check_device, load, weight_dtype

        check_device(device)
        chosen = weight_dtype(dtype)
        model = load(path, revision=revision)
        model.inference = FastPath(precision)
        model.to(device=device, dtype=chosen).eval()
        model.inference.check(model)
        if model.device.type != "cpu":
            model.batch_tokens = DEVICE_BATCH_TOKENS
        return model

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Write configuration, weights and tokenizer; ``dtype`` converts the weights."""
        from glinermt.checkpoints.native import save

        save(self, folder, dtype=dtype)

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Upload what ``save_pretrained`` writes; give the repository's address."""
        from glinermt.checkpoints.native import push

        return push(self, repo_id, private=private, token=token)

    def train(self, mode: bool = True) -> "GlinerMT":
        self.inference.forget()
        return super().train(mode)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def forward(self, batch: Batch) -> Float[Tensor, "batch word label axis"]:
        """Give the logits; see ``heads.base.Head`` for their last axis."""
        words, labels = self.encoder(batch)
        if self.rnn is not None:
            words = self.rnn(words, batch.word_mask)
        logits: Tensor = self.head(words, labels)
        return logits

    @overload
    def extract(
        self,
        queries: Sequence[Query],
        *,
        threshold: Threshold = ...,
        overlap: Overlap = ...,
        multi_label: bool = ...,
        span_score: SpanScore = ...,
    ) -> list[list[Span]]: ...
    @overload
    def extract(
        self,
        queries: Iterable[Query],
        *,
        threshold: Threshold = ...,
        overlap: Overlap = ...,
        multi_label: bool = ...,
        span_score: SpanScore = ...,
    ) -> list[list[Span]] | Iterator[list[Span]]: ...
    def extract(
        self,
        queries: Iterable[Query],
        *,
        threshold: Threshold = 0.5,
        overlap: Overlap = "flat",
        multi_label: bool = False,
        span_score: SpanScore = "mean",
    ) -> list[list[Span]] | Iterator[list[Span]]:
        """Find the spans of every query, in the order of the text.

        A list gives a list; any other iterable gives an iterator that reads ahead a bounded
        number of queries. Long texts and long label lists are split and joined again. A query
        without labels, or with a text without words, has no spans.

        Args:
            queries: what to look for, where.
            threshold: least score of a span, one number or one for each label.
            overlap: ``flat`` or ``nested`` (spans inside one another).
            multi_label: allow one span to have several labels.
            span_score: ``mean`` of the inside scores (the paper) or ``min``.

        Raises:
            TypeError: a query is no Query, or has bytes or None for text.
            ValueError: an empty label, a threshold outside [0, 1], or a prompt too long to read.
        """
        if isinstance(queries, Query | str):
            raise TypeError("extract takes a list of Query; for one, write extract([query])")
        for name, value, allowed in (
            ("overlap", overlap, ("flat", "nested")),
            ("span_score", span_score, ("mean", "min")),
        ):
            if value not in allowed:
                raise ValueError(f"{name} {value!r} is not known: choose from {allowed}")
        check_threshold(threshold)
        chunks = _chunks(iter(queries), CHUNK)
        found = (
            spans
            for chunk in chunks
            for spans in self._extract(chunk, threshold, overlap, multi_label, span_score)
        )
        return list(found) if isinstance(queries, Sequence) else found

    def collate(self, examples: Sequence[Example], *, multiple: int = 1) -> TrainingBatch:
        """Make a training batch; shapes are padded to a ``multiple``."""
        queries = self.query_encoder.tokenize([check_query(e.query) for e in examples])
        passes = [p for i, query in enumerate(queries) for p in self._plan(query, i)]
        if not passes:
            raise ValueError("none of the examples has both a label and a word")
        batch = self.query_encoder.collate(
            queries, passes, max_tokens=self.config.max_tokens, multiple=multiple
        )
        shape = (*batch.word_mask.shape, batch.label_mask.shape[1])
        prompt = torch.tensor(batch.num_prompt_words)[:, None]
        text_mask = batch.word_mask & (torch.arange(shape[1]) >= prompt)
        text = text_mask.reshape(*shape[:2], 1, 1)
        return TrainingBatch(
            batch,
            self.head.targets(gold_spans(examples, queries, passes), shape),
            self.head.valid(batch.word_mask, batch.label_mask) & text,
            torch.tensor([p.query for p in passes]),
            len(examples),
        )

    def loss(
        self,
        batch: TrainingBatch,
        *,
        positive_weight: float = 0.75,
        negative_weight: float = 0.25,
        gamma: float = 0.0,
        smoothing: float = 0.0,
    ) -> Float[Tensor, " example"]:
        """Give each example's loss, summed over its words and labels; see ``loss.bce_loss``."""
        rows = bce_loss(
            self(batch.batch).float(),
            batch.targets,
            batch.valid,
            positive_weight=positive_weight,
            negative_weight=negative_weight,
            gamma=gamma,
            smoothing=smoothing,
        )
        return rows.new_zeros(batch.num_examples).index_add(0, batch.example, rows)

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The pretrained part, which learns at a lower rate."""
        return list(self.encoder.encoder.parameters())

    def other_parameters(self) -> list[nn.Parameter]:
        """All that began with random weights."""
        pretrained = {id(p) for p in self.encoder_parameters()}
        return [p for p in self.parameters() if id(p) not in pretrained]

    def _plan(self, query: TokenizedQuery, index: int) -> list[Pass]:
        return plan_passes(
            self.query_encoder,
            query,
            index,
            max_tokens=self.config.max_tokens,
            max_labels=self.config.max_labels,
        )

    @torch.inference_mode()
    def _scores(self, batch: Batch) -> Float[np.ndarray, "batch word label axis"]:
        return torch.sigmoid(self.inference.logits(self, batch).float()).cpu().numpy()

    def _extract(
        self,
        queries: list[Query],
        threshold: Threshold,
        overlap: Overlap,
        multi_label: bool,
        span_score: SpanScore,
    ) -> Iterator[list[Span]]:
        tokenized = self.query_encoder.tokenize([check_query(query) for query in queries])
        limits = [np.array(label_thresholds(threshold, query.labels)) for query in tokenized]
        passes = [p for i, query in enumerate(tokenized) for p in self._plan(query, i)]
        found: list[list[Candidates]] = [[] for _ in queries]
        for rows in token_batches(passes, self.batch_tokens):
            batch = self.query_encoder.collate(tokenized, rows, max_tokens=self.config.max_tokens)
            scores = self._scores(batch)
            for p, prompt, score in zip(rows, batch.num_prompt_words, scores, strict=True):
                limit = limits[p.query][p.labels.start : p.labels.stop]
                num_words = len(tokenized[p.query].text.offsets)
                text_score = score[prompt : prompt + p.end - p.start, : len(p.labels)]
                candidates = self.head.candidates(text_score, limit, span_score)
                found[p.query].append(place(candidates, p, num_words))
        for query, words, parts in zip(queries, tokenized, found, strict=True):
            if not parts:
                yield []
                continue
            candidates = Candidates.concatenate(parts)
            if len(parts) > 1:
                candidates = merge_windows(candidates)
            num_words = len(words.text.offsets)
            chosen = choose(
                candidates, num_words=num_words, overlap=overlap, multi_label=multi_label
            )
            yield _spans(chosen, query.text, words)


def _chunks(queries: Iterator[Query], size: int) -> Iterator[list[Query]]:
    while chunk := list(islice(queries, size)):
        yield chunk


def _spans(chosen: Candidates, text: str, query: TokenizedQuery) -> list[Span]:
    offsets = query.text.offsets
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
        Span(start, end, text[start:end], query.labels[label], score)
        for (start, end, label), score in found.items()
    ]
