"""Which mentions of a text are paired in which window, and one list of what the windows found.

Words are counted from the text's first; nothing here knows of characters or of the network.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from glinermt.encoding import Pass

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
    inside = np.flatnonzero((mentions.start >= window.start) & (mentions.end <= window.end))
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
