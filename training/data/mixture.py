"""Mixes sources into one endless seeded stream of Examples that can stop and go on anywhere."""

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from glinermt.errors import ConfigError, DataError
from glinermt.training.config import Sampling, Source, Stage
from glinermt.training.data.label_pool import count_labels, foreign_labels
from glinermt.training.data.readers import BadLines, read_source
from glinermt.training.data.rows import EntityRow, Row
from glinermt.training.data.sampling import Sampler, make_sampler
from glinermt.types import Example


@dataclass(frozen=True, slots=True)
class Item:
    """An Example, the group its loss is counted under, and where its row came from."""

    example: Example
    group: str
    origin: str


@dataclass(frozen=True, slots=True)
class Feed:
    """The rows of one source with their sampler."""

    name: str
    group: str
    rows: Sequence[Row]
    sampler: Sampler
    weight: float
    """Chance inside the group, not normalised."""


class Mixture:
    """Draws a group by share, a source by weight, and the source's next row in shuffled order.

    The draw at a position depends on the seed, the position and the rows drawn so far alone, so
    ``state`` is a few numbers and a restored mixture goes on exactly.
    """

    def __init__(self, feeds: Sequence[Feed], shares: dict[str, float], *, seed: int) -> None:
        self._feeds = feeds
        self._seed = seed
        self._groups = sorted(group for group, share in shares.items() if share > 0)
        self._shares = [shares[group] for group in self._groups]
        self._members: dict[str, tuple[list[int], list[float]]] = {}
        for group in self._groups:
            members = [i for i, feed in enumerate(feeds) if feed.group == group]
            self._members[group] = members, [feeds[i].weight for i in members]
        self._orders: dict[int, tuple[int, list[int]]] = {}
        self._position = 0
        self._drawn = [0] * len(feeds)

    def state(self) -> dict[str, Any]:
        return {"position": self._position, "drawn": list(self._drawn)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken.

        Raises:
            ConfigError: the state belongs to other sources.
        """
        if len(state["drawn"]) != len(self._feeds):
            raise ConfigError(
                f"the checkpoint mixes {len(state['drawn'])} sources, the config "
                f"{len(self._feeds)}; resume with the config the run was started with"
            )
        self._position, self._drawn = state["position"], list(state["drawn"])

    def draw(self) -> Item:
        """Return the next Example."""
        index, rng = self._next_feed()
        feed = self._feeds[index]
        row = self._next_row(index, len(feed.rows))
        return Item(feed.sampler(feed.rows[row], rng), feed.group, f"{feed.name} row {row}")

    def skip(self, number: int) -> None:
        """Go on as if so many Examples had been drawn."""
        for _ in range(number):
            index, _ = self._next_feed()
            self._drawn[index] += 1

    def _next_feed(self) -> tuple[int, random.Random]:
        rng = random.Random(f"{self._seed}:{self._position}")
        self._position += 1
        group = rng.choices(self._groups, self._shares)[0]
        members, weights = self._members[group]
        return rng.choices(members, weights)[0], rng

    def _next_row(self, index: int, size: int) -> int:
        epoch, offset = divmod(self._drawn[index], size)
        self._drawn[index] += 1
        if index not in self._orders or self._orders[index][0] != epoch:
            order = list(range(size))
            random.Random(f"{self._seed}:{self._feeds[index].name}:{epoch}").shuffle(order)
            self._orders[index] = epoch, order
        return self._orders[index][1][offset]


def load_feeds(
    stage: Stage, root: Path, *, max_bad_share: float, seed: int, workers: int = 0
) -> tuple[list[Feed], dict[str, BadLines]]:
    """Read a stage's sources; return their feeds, and the bad lines of each file that has some.

    Args:
        stage: names the sources.
        root: their paths are below it.
        max_bad_share: see ``TrainConfig``.
        seed: of the choice among surplus rows without entities.
        workers: processes that read, a file each; 0 = this one reads.

    Raises:
        DataError: a source is missing, has too many bad lines, or nothing to learn from.
    """
    loaded: list[tuple[Source, list[Row]]] = []
    bad_lines = {}
    sources = [s for s in stage.sources if stage.shares[s.group or s.task]]
    read = partial(read_source, root=root, max_bad_share=max_bad_share)
    for source, (rows, bad) in zip(sources, _map(read, sources, workers), strict=True):
        kept = _fewer_empty(rows, stage.sampling, seed)
        if not kept:
            raise DataError(
                f"{source.path}:0: none of {len(rows)} rows has an entity, exclude_labels left out"
            )
        loaded.append((source, kept))
        if bad.count:
            bad_lines[source.path] = bad
    seen = [(source, count_labels(rows)) for source, rows in loaded]
    types = sorted({label for _, counts in seen for label in counts})
    feeds = []
    for source, rows in loaded:
        foreign = types  # beside relations and classes, which say nothing of them
        if source.task not in ("pairs", "classify"):
            foreign = foreign_labels(source, seen, stage.sampling.common_labels)
        size = min(len(rows), source.cap or len(rows))
        feeds.append(
            Feed(
                name=source.path,
                group=source.group or source.task,
                rows=rows,
                sampler=make_sampler(source, rows, foreign, stage.sampling),
                weight=source.weight * size**stage.temperature,
            )
        )
    return feeds, bad_lines


def _map(
    read: Callable[[Source], tuple[list[Row], BadLines]], sources: Sequence[Source], workers: int
) -> Iterator[tuple[list[Row], BadLines]]:
    if not workers:
        yield from map(read, sources)
        return
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        yield from pool.map(read, sources)


def normalised(item: Item, weights: dict[str, float], power: float) -> float:
    """Return the factor of an item's loss; see ``Loss.positive_power``."""
    cells = sum(span.score * (len(span.text.split()) + 2) for span in item.example.spans)
    scale: float = max(1, cells) ** power
    return weights.get(item.group, 1.0) / scale


def _fewer_empty(rows: list[Row], sampling: Sampling, seed: int) -> list[Row]:
    """Leave out surplus rows without any entity."""
    empty = [i for i, row in enumerate(rows) if isinstance(row, EntityRow) and not row.spans]
    allowed = round(sampling.max_empty_share * (len(rows) - len(empty)))
    surplus = set(random.Random(seed).sample(empty, max(0, len(empty) - allowed)))
    return [row for i, row in enumerate(rows) if i not in surplus]
