"""Groups a stream of Examples into batches of similar length, and batches into optimiser steps."""

import random
from collections.abc import Sequence
from typing import Any, Protocol

from glinermt.training.data.mixture import Item
from glinermt.types import Example

POOL = 768
"""Examples sorted by length at a time."""
CHARACTERS_PER_TOKEN = 4.5
FEW_LABELS = 3


class Draw(Protocol):
    """An endless stream that can be stopped and gone on with."""

    def draw(self) -> Item: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


class Batches:
    """Endless batches from a stream: a pool is drawn, sorted, cut into batches, and shuffled.

    No example is left out: the last, partial batch of a pool counts like any other.
    """

    def __init__(self, stream: Draw, *, batch_tokens: int, batch_size: int, seed: int) -> None:
        self._stream = stream
        self._batch_tokens = batch_tokens
        self._batch_size = batch_size
        self._seed = seed
        self._pools = 0
        self._pool_start = stream.state()
        self._batches: list[list[Item]] = []
        self._used = 0

    def state(self) -> dict[str, Any]:
        return {"pools": self._pools, "pool_start": self._pool_start, "used": self._used}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self._stream.restore(state["pool_start"])
        self._batches, self._used = [], 0
        if state["pools"]:
            self._pools = state["pools"] - 1
            self._fill()
            self._used = state["used"]

    def take(self, number: int) -> list[list[Item]]:
        """Return the next ``number`` batches: those of one optimiser step, over all processes."""
        step: list[list[Item]] = []
        while len(step) < number:
            if self._used == len(self._batches):
                self._fill()
            step.append(self._batches[self._used])
            self._used += 1
        return step

    def _fill(self) -> None:
        self._pool_start = self._stream.state()
        items = [self._stream.draw() for _ in range(max(POOL, 8 * self._batch_size))]
        self._batches = pack(items, batch_tokens=self._batch_tokens, batch_size=self._batch_size)
        random.Random(f"{self._seed}:pool:{self._pools}").shuffle(self._batches)
        self._pools += 1
        self._used = 0


def pack(items: Sequence[Item], *, batch_tokens: int, batch_size: int) -> list[list[Item]]:
    """Cut the items, by length, into batches of ``batch_size``, else of ``batch_tokens`` padded.

    A batch has at least one item, however long. Items with few labels stay apart from those with
    many, as every label is scored against every word of the batch.
    """
    shapes = [
        (_many_labels(item), estimate_tokens(item.example), i) for i, item in enumerate(items)
    ]
    batches: list[list[Item]] = []
    last_many = False
    for many, length, i in sorted(shapes):
        full = not batches or (
            len(batches[-1]) == batch_size
            if batch_size
            else (len(batches[-1]) + 1) * length > batch_tokens or many != last_many
        )
        if full:
            batches.append([])
        batches[-1].append(items[i])
        last_many = many
    return batches


def _many_labels(item: Item) -> bool:
    return len(item.example.query.labels) > FEW_LABELS


def estimate_tokens(example: Example) -> int:
    """Return about how many subwords an Example has, labels and prompt included."""
    query = example.query
    labels = (*query.labels, *query.relations, *query.classes)
    characters = len(query.text) + len(query.prompt) + sum(map(len, labels))
    return round(characters / CHARACTERS_PER_TOKEN) + len(labels) + 3
