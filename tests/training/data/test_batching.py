"""The stream of examples and its batches."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.errors import ConfigError
from glinermt.training.config import Sampling, Source, Stage
from glinermt.training.data.batching import POOL, Batches, ReadyBatch, estimate_tokens, pack
from glinermt.training.data.mixture import Feed, Item, Mixture, load_feeds
from glinermt.types import Example, Query
from tests.training.tiny import entity_rows, write_rows

TEXTS = st.lists(st.integers(1, 80), min_size=1, max_size=40)


def item(length: int, num_labels: int = 1) -> Item:
    labels = tuple(f"label {i}" for i in range(num_labels))
    return Item(Example(Query("word " * length, labels), ()), "g", "o")


def sampled(row: Any, rng: random.Random) -> Example:
    return Example(Query(f"{row} {rng.randrange(1000)}" + " word" * (row % 7), ("x",)), ())


def feed(name: str, group: str, size: int, weight: float = 1.0) -> Feed:
    rows: Any = range(size)
    return Feed(name, group, rows, sampled, weight)


def mixture() -> Mixture:
    feeds = [feed("a", "one", 7), feed("b", "one", 50, weight=3.0), feed("c", "two", 11)]
    return Mixture(feeds, {"one": 3.0, "two": 1.0}, seed=5)


@given(TEXTS, st.integers(1, 400))
def test_packing_loses_nothing_and_keeps_to_the_budget(lengths: list[int], budget: int) -> None:
    items = [item(length) for length in lengths]
    batches = pack(items, batch_tokens=budget, batch_size=0)
    assert sorted(id(i) for b in batches for i in b) == sorted(map(id, items))
    for batch in batches:
        cost = len(batch) * max(estimate_tokens(i.example) for i in batch)
        assert cost <= budget or len(batch) == 1


@given(TEXTS, st.integers(1, 9))
def test_packing_by_size_fills_all_but_the_last(lengths: list[int], size: int) -> None:
    batches = pack([item(n) for n in lengths], batch_tokens=0, batch_size=size)
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= size


def test_items_with_many_labels_stay_apart() -> None:
    items = [item(5, num_labels=n) for n in (1, 20, 2, 30)]
    batches = pack(items, batch_tokens=10_000, batch_size=0)
    assert [[len(i.example.query.labels) for i in batch] for batch in batches] == [[1, 2], [20, 30]]


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_restored_mixture_goes_on_exactly(before: int, after: int) -> None:
    whole, part = mixture(), mixture()
    for _ in range(before):
        whole.draw()
        part.draw()
    again = mixture()
    again.restore(part.state())
    assert [again.draw() for _ in range(after)] == [whole.draw() for _ in range(after)]


def test_groups_are_drawn_by_share_and_sources_by_weight() -> None:
    stream = mixture()
    origins = Counter(stream.draw().origin[0] for _ in range(4000))
    assert origins["c"] / 4000 == pytest.approx(0.25, abs=0.03)
    assert origins["b"] / origins["a"] == pytest.approx(3.0, rel=0.2)


def test_each_row_comes_once_an_epoch_in_another_order() -> None:
    stream = Mixture([feed("a", "one", 20)], {"one": 1.0}, seed=0)
    first, second = ([stream.draw().origin for _ in range(20)] for _ in range(2))
    assert len(set(first)) == 20
    assert sorted(first) == sorted(second)
    assert first != second


def test_a_state_of_other_sources_is_refused() -> None:
    with pytest.raises(ConfigError, match="mixes 3 sources, the config 1"):
        Mixture([feed("a", "one", 20)], {"one": 1.0}, seed=0).restore(mixture().state())


@pytest.mark.parametrize("taken", [0, 1, 5, 200])
def test_restored_batches_go_on_exactly(taken: int) -> None:
    def make() -> Batches:
        return Batches(mixture(), batch_tokens=60, batch_size=0, seed=3)

    whole = make()
    whole.take(taken)
    again = make()
    again.restore(whole.state())
    assert again.take(300) == whole.take(300)


def named(items: list[Item]) -> ReadyBatch:
    rows: Any = None
    names = tuple(f"{item.origin} {item.example.query.text}" for item in items)
    return ReadyBatch(rows, ("g",) * len(items), (1.0,) * len(items), names)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where there is one core
@pytest.mark.parametrize("taken", [0, 40])
def test_workers_make_the_same_batches_in_the_same_order(taken: int) -> None:
    def make(workers: int) -> Batches:
        batches = Batches(mixture(), batch_tokens=900, batch_size=0, seed=3, workers=workers)
        batches.ready = named
        return batches

    alone = make(0)
    alone.take(taken)
    ahead = make(2)
    ahead.restore(alone.state())
    expected = [items for items in alone.take(40) if isinstance(items, list)]
    assert ahead.take(40) == [named(items) for items in expected]
    assert ahead.state() == alone.state()
    ahead.close()


def test_no_drawn_example_is_left_out() -> None:
    stream = Mixture([feed("a", "one", POOL)], {"one": 1.0}, seed=0)
    batches = Batches(stream, batch_tokens=0, batch_size=50, seed=0)
    seen: Counter[str] = Counter()
    while sum(seen.values()) < POOL:
        (items,) = batches.take(1)
        assert isinstance(items, list)
        seen.update(item.origin for item in items)
    assert len(seen) == POOL


def test_a_group_without_a_share_is_not_even_read(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", entity_rows())
    stage = Stage(
        name="s",
        steps=1,
        sources=(Source("a.jsonl", "ner"), Source("missing.jsonl", "qa")),
        shares={"ner": 1.0, "qa": 0.0},
    )
    feeds, bad = load_feeds(stage, tmp_path, max_bad_share=0.0, seed=0)
    assert [feed.name for feed in feeds] == ["a.jsonl"]
    assert bad == {}


def test_surplus_rows_without_entities_are_left_out_and_sources_weigh_by_size(
    tmp_path: Path,
) -> None:
    empty = [{"tokens": [f"word{i}"], "spans": []} for i in range(50)]
    write_rows(tmp_path / "a.jsonl", [*entity_rows(), *empty])
    write_rows(tmp_path / "b.jsonl", entity_rows())
    stage = Stage(
        name="s",
        steps=1,
        sources=(Source("a.jsonl", "ner", cap=9), Source("b.jsonl", "ner", weight=2.0)),
        shares={"ner": 1.0},
        temperature=0.5,
        sampling=Sampling(max_empty_share=0.25),
    )
    feeds, _ = load_feeds(stage, tmp_path, max_bad_share=0.0, seed=0)
    assert [len(feed.rows) for feed in feeds] == [20, 16]
    assert [feed.weight for feed in feeds] == [3.0, 8.0]
