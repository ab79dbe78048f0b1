"""Which mentions of a text are paired in which window, and one list of what the windows found.

Words are counted from the text's first; nothing here knows of characters or of the network.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from glinermt.rows import Pass, TokenizedQuery, TokenizedWords
from glinermt.types import Relation, Span

MAX_PAIRS = 4096
"""Ordered pairs scored in one window: those of 64 mentions. Of more, the closest are scored."""


@dataclass(frozen=True, slots=True)
class Mentions:
    """Distinct places in a text, in the order of the text: words ``start`` to ``end``."""

    start: Int[np.ndarray, " mention"]
    end: Int[np.ndarray, " mention"]

    def __len__(self) -> int:
        return len(self.start)

    @staticmethod
    def distinct(start: np.ndarray, end: np.ndarray) -> tuple["Mentions", np.ndarray]:
        """Return the distinct ones, and which of them each place given is."""
        places = np.stack([start, end], axis=1).reshape(-1, 2)
        kept, index = np.unique(places, axis=0, return_inverse=True)
        return Mentions(kept[:, 0], kept[:, 1]), index.reshape(-1)


def words_of(text: TokenizedWords, spans: Sequence[Span]) -> tuple[np.ndarray, np.ndarray]:
    """Return first and end word of each span; one that cuts a word takes all of it."""
    offsets = np.array(text.offsets, dtype=np.int64).reshape(-1, 2)
    first = np.searchsorted(offsets[:, 1], [span.start for span in spans], side="right")
    return first, np.searchsorted(offsets[:, 0], [span.end for span in spans])


@dataclass(frozen=True, slots=True)
class RelatedPairs:
    """Scored relations between mentions, by their indices."""

    head: Int[np.ndarray, " found"]
    tail: Int[np.ndarray, " found"]
    relation: Int[np.ndarray, " found"]
    score: Float[np.ndarray, " found"]

    def __len__(self) -> int:
        return len(self.head)


def pairs_of_window(
    mentions: Mentions, window: Pass, *, max_pairs: int = MAX_PAIRS
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Return heads and tails of all ordered pairs of two mentions that lie whole in the window.

    The number is bounded, so that the cost of a text grows with its length whatever stands in it.

    Warns:
        UserWarning: the window has more pairs than ``max_pairs``; those with the fewest words
            between them are returned.
    """
    whole = (mentions.start >= window.start) & (mentions.end <= window.end)
    inside = np.flatnonzero(whole & (mentions.start < mentions.end))
    first, second = np.nonzero(~np.eye(len(inside), dtype=bool))
    head, tail = inside[first], inside[second]
    if len(head) > max_pairs:
        warnings.warn(
            f"{len(inside)} mentions in {window.end - window.start} words make {len(head)} pairs; "
            f"relations are sought in the {max_pairs} closest; pass fewer entities or a higher "
            "threshold for them",
            stacklevel=2,
        )
        left, right = np.minimum(head, tail), np.maximum(head, tail)
        gap = np.maximum(mentions.start[right] - mentions.end[left], 0)
        closest = np.sort(np.argsort(gap, kind="stable")[:max_pairs])
        head, tail = head[closest], tail[closest]
    return head, tail


class MentionedSpans:
    """The spans of a query as mentions; of several at one place the best scored stands for all."""

    def __init__(self, spans: Sequence[Span], text: TokenizedWords) -> None:
        self.mentions, index = Mentions.distinct(*words_of(text, spans))
        self._spans: dict[int, Span] = {}
        for which, span in zip(index.tolist(), spans, strict=True):
            best = self._spans.setdefault(which, span)
            if span.score > best.score:
                self._spans[which] = span

    def relations(self, parts: Sequence[RelatedPairs], query: TokenizedQuery) -> list[Relation]:
        """Return what the windows found, each relation of a pair once, in the order of heads."""
        if not parts:
            return []
        found = merge_pairs(parts)
        columns = (found.head, found.tail, found.relation, found.score)
        return [
            Relation(self._spans[head], query.relations[relation], self._spans[tail], score)
            for head, tail, relation, score in zip(*(c.tolist() for c in columns), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class RowPairs:
    """The pairs of all rows of a batch: for the network, and as indices of their mentions."""

    mentions: Int[np.ndarray, "mention 3"]
    """Row, first word, end word (exclusive); words are those of the row, prompt included."""
    first: Int[np.ndarray, " pair"]
    """Index of the head into ``mentions``."""
    second: Int[np.ndarray, " pair"]
    """The same of the tail."""
    row: Int[np.ndarray, " pair"]
    head: Int[np.ndarray, " pair"]
    """Index into the mentions of the row's query."""
    tail: Int[np.ndarray, " pair"]


def pairs_of_rows(
    passes: Sequence[Pass],
    mentions: Mapping[int, Mentions],
    num_prompt_words: Sequence[int],
    *,
    max_pairs: int = MAX_PAIRS,
) -> RowPairs:
    """Pair the mentions of each row that asks for relations; see ``pairs_of_window``.

    Args:
        passes: the rows of a batch.
        mentions: those of each query.
        num_prompt_words: words of each row before its text's.
        max_pairs: see ``pairs_of_window``.
    """
    empty = np.zeros(0, dtype=np.int64)
    places, rows, heads, tails, firsts, seconds = ([empty] for _ in range(6))
    base = 0
    for row, p in enumerate(passes):
        if not p.relations:
            continue
        here = mentions[p.query]
        head, tail = pairs_of_window(here, p, max_pairs=max_pairs)
        used, index = np.unique(np.concatenate([head, tail]), return_inverse=True)
        shift = num_prompt_words[row] - p.start
        columns = np.full(len(used), row), here.start[used] + shift, here.end[used] + shift
        places.append(np.stack(columns, axis=1).reshape(-1))
        rows.append(np.full(len(head), row))
        heads.append(head)
        tails.append(tail)
        firsts.append(base + index[: len(head)])
        seconds.append(base + index[len(head) :])
        base += len(used)
    place, row_, head, tail, first, second = (
        np.concatenate(parts) for parts in (places, rows, heads, tails, firsts, seconds)
    )
    return RowPairs(place.reshape(-1, 3), first, second, row_, head, tail)


def merge_pairs(parts: Sequence[RelatedPairs]) -> RelatedPairs:
    """Make one of what several windows found: each relation of a pair once, with its best score.

    They come in the order of heads, then tails, then the best score first.
    """
    head, tail, relation, score = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("head", "tail", "relation", "score")
    )
    order = np.lexsort((-score, relation, tail, head))
    keys = np.stack([head, tail, relation])[:, order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(keys, axis=1) != 0).any(0)
    kept = order[first]
    kept = kept[np.lexsort((relation[kept], -score[kept], tail[kept], head[kept]))]
    return RelatedPairs(head[kept], tail[kept], relation[kept], score[kept])
