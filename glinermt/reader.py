"""Queries in, what the network finds in them out: words, tokens, passes, scores, spans."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float

from glinermt.decode import Candidates, choose
from glinermt.encoding import Batch, Pass, QueryEncoder, TokenizedQuery
from glinermt.fast.choose import FastPath
from glinermt.network import Network
from glinermt.types import Ask, Found, Kind, Query, Span, Threshold
from glinermt.windows import merge_windows, place, plan_passes, token_batches
from glinermt.words import end_of_character

BATCH_TOKENS = 1024
"""Tokens of one batch, padding included; a processor gains nothing from more."""
DEVICE_BATCH_TOKENS = 4096
"""The same on an accelerator."""


class Reader(Protocol):
    """How a family of models reads queries."""

    kinds: frozenset[Kind]
    """What it finds."""
    batch_tokens: int

    def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
        """Read some queries, checked by ``check_query``; yield what was found, in their order."""
        ...


class NetworkReader:
    """Reads queries with ``Network``; long texts and label lists take several passes."""

    kinds: frozenset[Kind] = frozenset({"spans"})

    def __init__(self, network: Network, query_encoder: QueryEncoder, fast: FastPath) -> None:
        self.network = network
        self.query_encoder = query_encoder
        self.fast = fast
        self.batch_tokens = BATCH_TOKENS

    def read(self, queries: Sequence[Query], ask: Ask) -> Iterator[Found]:
        tokenized = self.query_encoder.tokenize(queries)
        limits = [np.array(label_thresholds(ask.threshold, query.labels)) for query in tokenized]
        passes = self.plan(tokenized)
        found: list[list[Candidates]] = [[] for _ in queries]
        for rows in token_batches(passes, self.batch_tokens):
            batch = self.query_encoder.collate(tokenized, rows)
            scores = self._scores(batch)
            for p, prompt, score in zip(rows, batch.num_prompt_words, scores, strict=True):
                limit = limits[p.query][p.labels.start : p.labels.stop]
                num_words = len(tokenized[p.query].text.offsets)
                text_score = score[prompt : prompt + p.end - p.start, : len(p.labels)]
                candidates = self.network.head.candidates(text_score, limit, ask.span_score)
                found[p.query].append(place(candidates, p, num_words))
        for query, words, parts in zip(queries, tokenized, found, strict=True):
            chosen = _spans(_chosen(parts, words, ask), query.text, words) if parts else []
            yield Found(tuple(chosen))

    def plan(self, queries: Sequence[TokenizedQuery]) -> list[Pass]:
        """Return the passes that cover all queries."""
        return [
            p for i, query in enumerate(queries) for p in plan_passes(self.query_encoder, query, i)
        ]

    @torch.inference_mode()
    def _scores(self, batch: Batch) -> Float[np.ndarray, "batch word label axis"]:
        return torch.sigmoid(self.fast.logits(self.network, batch).float()).cpu().numpy()


def check_query(query: object) -> Query:
    """Return the query if text, labels and prompt can be read.

    Raises:
        TypeError: something is not a Query or a string, or labels are one string, not several.
        ValueError: a label is empty.
    """
    if not isinstance(query, Query):
        raise TypeError(f"expected a Query, got {type(query).__name__}: {query!r:.80}")
    for name in ("text", "prompt"):
        value = getattr(query, name)
        if not isinstance(value, str):
            hint = "; decode it first" if isinstance(value, bytes) else ""
            raise TypeError(f"{name} must be str, got {type(value).__name__}{hint}")
    for what, names in (
        ("label", query.labels),
        ("relation", query.relations),
        ("class", query.classes),
    ):
        _check_names(what, names)
    return query


def _check_names(what: str, names: object) -> None:
    several = "classes" if what == "class" else f"{what}s"
    if isinstance(names, str):
        raise TypeError(f"{several} must be several strings, got one: {names!r}; use a tuple")
    if not isinstance(names, Sequence):
        kind = type(names).__name__
        raise TypeError(f"{several} must be a tuple or list of strings, got {kind}")
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"{what} {i} must be str, got {type(name).__name__}: {name!r}")
        if not name.strip():
            raise ValueError(f"{what} {i} is empty; it is read by the model, so name it")


def label_thresholds(threshold: Threshold, labels: tuple[str, ...]) -> list[float]:
    """Return one threshold a label.

    Raises:
        ValueError: a label has no threshold.
    """
    if not isinstance(threshold, Mapping):
        return [float(threshold)] * len(labels)
    missing = [label for label in labels if label not in threshold]
    if missing:
        raise ValueError(f"no threshold for label {missing[0]!r}; give each label one")
    return [float(threshold[label]) for label in labels]


def _chosen(parts: Sequence[Candidates], query: TokenizedQuery, ask: Ask) -> Candidates:
    candidates = Candidates.concatenate(parts)
    if len(parts) > 1:
        candidates = merge_windows(candidates)
    return choose(
        candidates,
        num_words=len(query.text.offsets),
        overlap=ask.overlap,
        multi_label=ask.multi_label,
    )


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
