"""Chooses spans among scored candidates. Words are counted here; nothing knows of characters.

Greedy as in GLiNER (Zaratiana et al. 2023, section 2.4): best score first, each candidate kept
unless it conflicts with one kept before. Both look-ups are arrays over words, so the cost grows
with the candidates, not with their square.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from glinermt.types import Overlap


@dataclass(frozen=True, slots=True)
class Candidates:
    """Scored spans: words ``start`` to ``end`` (exclusive), label index, cut by a window or not."""

    start: Int[np.ndarray, " span"]
    end: Int[np.ndarray, " span"]
    label: Int[np.ndarray, " span"]
    score: Float[np.ndarray, " span"]
    cut: Bool[np.ndarray, " span"]

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: np.ndarray) -> "Candidates":
        """Select by mask or by indices."""
        return Candidates(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def concatenate(parts: Sequence["Candidates"]) -> "Candidates":
        return Candidates(
            *(
                np.concatenate([np.empty(0, dtype), *(getattr(p, f.name) for p in parts)])
                for f, dtype in zip(fields(Candidates), (int, int, int, float, bool), strict=True)
            )
        )


def choose(
    candidates: Candidates,
    *,
    num_words: int,
    overlap: Overlap = "flat",
    multi_label: bool = False,
) -> Candidates:
    """Choose greedily by score; give the chosen ones in the order of the text.

    Equal scores go to the earlier start, then the earlier end, then the earlier label.

    Args:
        candidates: what to choose from, no span with the same label twice.
        num_words: words of the text.
        overlap: ``flat`` allows no overlap; ``nested`` allows spans inside one another.
        multi_label: allow the same span with several labels.
    """
    c = candidates
    c = c.take(np.lexsort((c.label, c.end, c.start, -c.score)))
    kept = (
        _keep_flat(c, num_words, multi_label)
        if overlap == "flat"
        else _keep_nested(c, num_words, multi_label)
    )
    c = c.take(kept)
    return c.take(np.lexsort((-c.score, c.end, c.start)))


def possible(c: Candidates, open_: np.ndarray, *, num_words: int) -> np.ndarray:
    """Say which candidates ``choose`` may still choose, flat, when others join those ``open_``.

    What is joined later overlaps only candidates that are open. So one that is not open, and
    scores more than all it overlaps, is sure to be chosen, and all it overlaps are sure not to
    be; and so on with those that then remain.

    Args:
        c: found so far.
        open_: those that a later candidate may overlap, replace, or lose to; they stay.
        num_words: words of the text.
    """
    keep = open_.copy()
    sure = np.zeros(num_words, dtype=bool)
    unsure = np.zeros(num_words, dtype=bool)
    order = np.lexsort((c.label, c.end, c.start, -c.score))
    for first in range(0, len(order), _BLOCK):
        block = order[first : first + _BLOCK]
        waiting = block[open_[block]]
        _cover(unsure, c.start[waiting], c.end[waiting])
        block = block[~open_[block]]
        block = block[~_touches(sure, c.start[block], c.end[block])]
        unclear = _touches(unsure, c.start[block], c.end[block])
        keep[block[unclear]] = True
        _cover(unsure, c.start[block[unclear]], c.end[block[unclear]])
        for i in block[~unclear].tolist():
            words = slice(int(c.start[i]), int(c.end[i]))
            if sure[words].any():
                continue
            keep[i] = True
            (unsure if unsure[words].any() else sure)[words] = True
    return keep


def _touches(words: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Say which ranges hold a word that is marked."""
    before = np.concatenate([[0], np.cumsum(words)])
    touched: np.ndarray = before[end] > before[start]
    return touched


def _cover(words: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Mark the words of all ranges."""
    change = np.zeros(len(words) + 1, dtype=np.int64)
    np.add.at(change, start, 1)
    np.add.at(change, end, -1)
    words |= np.cumsum(change[:-1]) > 0


_BLOCK = 512


def _keep_flat(c: Candidates, num_words: int, multi_label: bool) -> np.ndarray:
    taken = np.zeros(num_words, dtype=bool)
    chosen: set[tuple[int, int]] = set()
    kept: list[int] = []
    for first in range(0, len(c), _BLOCK):
        block = slice(first, first + _BLOCK)
        before = np.concatenate([[0], np.cumsum(taken)])
        free = before[c.end[block]] == before[c.start[block]]
        hopeful = np.ones_like(free) if multi_label else free
        for i in (first + np.flatnonzero(hopeful)).tolist():
            start, end = int(c.start[i]), int(c.end[i])
            if multi_label and (start, end) in chosen:
                kept.append(i)
            elif not taken[start:end].any():
                taken[start:end] = True
                chosen.add((start, end))
                kept.append(i)
    return np.array(kept, dtype=np.int64)


def _keep_nested(c: Candidates, num_words: int, multi_label: bool) -> np.ndarray:
    """Conflict = overlap without containment, or the same span.

    ``nearest_end[w]``: the earliest end of a kept span that covers word w and began before it;
    ``nearest_start[w]``: the latest start of a kept span that covers word w and goes on after it.
    """
    nearest_end = np.full(num_words, num_words + 1)
    nearest_start = np.full(num_words, -1)
    chosen: set[tuple[int, int]] = set()
    kept: list[int] = []
    for first in range(0, len(c), _BLOCK):
        block = slice(first, first + _BLOCK)
        starts, ends = c.start[block], c.end[block]
        hopeful = (nearest_end[starts] >= ends) & (nearest_start[ends - 1] <= starts)
        for i in (first + np.flatnonzero(hopeful)).tolist():
            start, end = int(c.start[i]), int(c.end[i])
            if (start, end) in chosen:
                if multi_label:
                    kept.append(i)
            elif nearest_end[start] >= end and nearest_start[end - 1] <= start:
                np.minimum(nearest_end[start + 1 : end], end, out=nearest_end[start + 1 : end])
                inner = nearest_start[start : end - 1]
                np.maximum(inner, start, out=inner)
                chosen.add((start, end))
                kept.append(i)
    return np.array(kept, dtype=np.int64)
