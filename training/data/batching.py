"""Groups a stream of Examples into batches of similar length, and batches into optimiser steps."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from glinermt.encoder import Apart
from glinermt.network import GoldRows
from glinermt.training.data.mixture import Item
from glinermt.types import Example

POOL = 768
"""Examples sorted by length at a time."""
CHARACTERS_PER_TOKEN = 4.5
FEW_LABELS = 3


class Draw(Protocol):
    """An endless stream that can be stopped and gone on with."""

    def draw(self) -> Item: ...

    def skip(self, number: int) -> None:
        """Go on as if so many had been drawn."""
        ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class ReadyBatch:
    """A batch as the network takes it; of its examples only what a step still asks for."""

    rows: GoldRows
    groups: tuple[str, ...]
    """Of each example, the group its loss is counted under."""
    factors: tuple[float, ...]
    """Of each example, what its loss is multiplied by."""
    names: tuple[str, ...]
    """Of each example, where its row came from and how its text begins."""
    sentences: Apart | None = None
    """Texts and labels whose vectors are kept; see ``run.sentences``."""

    def __len__(self) -> int:
        return len(self.groups)


Ready = Callable[[list[Item]], ReadyBatch]


Taken = list[Item] | ReadyBatch
"""A batch, made ready for the network or not yet."""


@dataclass(frozen=True, slots=True)
class _Pool:
    start: dict[str, Any]
    """The stream's state before it."""
    batches: Sequence[Taken]


class Batches:
    """Endless batches from a stream: a pool is drawn, sorted, cut into batches, and shuffled.

    No example is left out: the last, partial batch of a pool counts like any other.

    Args:
        stream: where examples come from.
        batch_tokens: see ``pack``.
        batch_size: see ``pack``.
        seed: of the order of batches.
        workers: processes that draw pools and make them ready ahead of time, for a device that
            reads faster than one processor samples and tokenises; 0 = none, and items are
            returned. The batches are the same whatever their number. Each training process has
            so many of its own, and they make the batches of all processes ready.
    """

    def __init__(
        self,
        stream: Draw,
        *,
        batch_tokens: int,
        batch_size: int,
        seed: int,
        workers: int = 0,
    ) -> None:
        self.ready: Ready | None = None
        """What the workers make of a batch; to be set before the first one is taken."""
        self._stream = stream
        self._batch_tokens = batch_tokens
        self._batch_size = batch_size
        self._seed = seed
        self._workers = workers
        self._ahead: Iterator[_Pool] | None = None
        self._pools = 0
        self._pool = _Pool(stream.state(), [])
        self._used = 0

    def state(self) -> dict[str, Any]:
        return {"pools": self._pools, "pool_start": self._pool.start, "used": self._used}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.close()
        self._stream.restore(state["pool_start"])
        self._pool, self._used = _Pool(state["pool_start"], []), 0
        if state["pools"]:
            self._pools = state["pools"] - 1
            self._fill()
            self._used = state["used"]

    def take(self, number: int) -> list[Taken]:
        """Return the next ``number`` batches: those of one optimiser step, over all processes."""
        step: list[Taken] = []
        while len(step) < number:
            if self._used == len(self._pool.batches):
                self._fill()
            step.append(self._pool.batches[self._used])
            self._used += 1
        return step

    def close(self) -> None:
        """Let the workers end."""
        self._ahead = None

    def _draw_pool(self) -> tuple[dict[str, Any], list[list[Item]]]:
        start = self._stream.state()
        items = [self._stream.draw() for _ in range(self._pool_size)]
        batches = pack(items, batch_tokens=self._batch_tokens, batch_size=self._batch_size)
        random.Random(f"{self._seed}:pool:{self._pools}").shuffle(batches)
        self._pools += 1
        return start, batches

    def pools(self, first: int, step: int) -> Iterator[_Pool]:
        """Return every ``step``-th pool from ``first`` on, made ready; the others are skipped."""
        assert self.ready is not None
        for i in count():
            if i % step == first:
                start, batches = self._draw_pool()
                yield _Pool(start, [self.ready(items) for items in batches])
            else:
                self._stream.skip(self._pool_size)
                self._pools += 1

    @property
    def _pool_size(self) -> int:
        return max(POOL, 8 * self._batch_size)

    def _fill(self) -> None:
        self._used = 0
        if not self._workers:
            self._pool = _Pool(*self._draw_pool())
            return
        if self._ahead is None:
            self._ahead = iter(_loader(self, self._workers))
        self._pool = next(self._ahead)
        self._pools += 1


class _Pools(IterableDataset[_Pool]):
    """The pools of one worker, which has a copy of ``batches`` of its own."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[_Pool]:
        worker = get_worker_info()
        assert worker is not None
        return self._batches.pools(worker.id, worker.num_workers)


def _loader(batches: Batches, workers: int) -> "DataLoader[_Pool]":
    return DataLoader(
        _Pools(batches),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="fork",
        generator=torch.Generator(),
    )


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
