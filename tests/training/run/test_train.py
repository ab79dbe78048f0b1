"""Training as a whole, on a tiny random encoder."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]  # ships no types
from accelerate.utils import DistributedType  # type: ignore[import-untyped]
from safetensors.torch import load_file

from glinermt.errors import CheckpointError, ConfigError, DataError
from glinermt.model import GlinerMT
from glinermt.training.config import Dev, Optim, Sampling, TrainConfig
from glinermt.training.data.batching import POOL, Batches
from glinermt.training.data.mixture import Item
from glinermt.training.run.train import train
from glinermt.types import Query
from tests.training.tiny import entity_rows, tiny_config, with_stage, write_rows


def weights(config: TrainConfig) -> dict[str, Any]:
    return load_file(Path(config.output) / "last" / "model.safetensors")


class Killed(Exception):
    """Stands for a kill."""


def kill() -> None:
    raise Killed


def at_step(patch: pytest.MonkeyPatch, step: int, act: Callable[[], None]) -> None:
    """Let ``act`` happen when the batches of ``step`` are taken."""
    take, calls = Batches.take, count()

    def taken(self: Batches, number: int) -> list[list[Item]]:
        if next(calls) == step:
            act()
        return take(self, number)

    patch.setattr(Batches, "take", taken)


def journal(config: TrainConfig) -> list[dict[str, Any]]:
    lines = (Path(config.output) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_tiny_model_learns_its_sentences(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=80, dropout=0.0)
    folder = train(config)
    model = GlinerMT.from_pretrained(folder)
    [spans] = model.extract([Query("eve lives in oslo .", ("person", "city"))])
    assert [(span.text, span.label) for span in spans] == [("eve", "person"), ("oslo", "city")]


@pytest.mark.parametrize("killed_at", [1, 3, 5])
def test_a_run_killed_and_resumed_equals_an_uninterrupted_one(
    tmp_path: Path, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path, steps=6)
    whole = replace(config, output=str(tmp_path / "whole"))
    train(whole)
    parts = replace(config, output=str(tmp_path / "parts"), save_every=1)
    with monkeypatch.context() as patch:
        at_step(patch, killed_at, kill)
        with pytest.raises(Killed):
            train(parts)
    train(parts, resume=True)
    expected, found = weights(whole), weights(parts)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    strip = {"minutes", "tokens_per_s", "examples_per_s"}
    assert [{k: v for k, v in r.items() if k not in strip} for r in journal(parts)] == [
        {k: v for k, v in r.items() if k not in strip} for r in journal(whole)
    ]


def test_many_small_passes_a_step_equal_few_large_ones(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=3, dropout=0.0)
    # Both take a whole pool a step, so that the same examples meet in it.
    large = with_stage(config, batch_size=POOL // 8, accumulate=8)
    small = with_stage(config, batch_size=POOL // 32, accumulate=32)
    losses = []
    for name, run in (("large", large), ("small", small)):
        run = replace(run, output=str(tmp_path / name))
        train(run)
        losses.append([record["loss"] for record in journal(run)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_sigterm_saves_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(tmp_path, steps=6)
    with monkeypatch.context() as patch:
        at_step(patch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        train(config)
    assert journal(config)[-1]["step"] == 3
    train(config, resume=True)
    assert journal(config)[-1]["step"] == 6


def test_a_loss_that_is_not_finite_stops_and_names_the_examples(tmp_path: Path) -> None:
    config = with_stage(
        tiny_config(tmp_path, steps=20), optim=Optim(encoder_lr=1e30, other_lr=1e30, clip=0.0)
    )
    with pytest.raises(
        DataError, match=r"step \d+: the loss is not finite for train.jsonl row \d+"
    ):
        train(config)


def test_a_finished_output_is_not_overwritten(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=1)
    train(config)
    with pytest.raises(ConfigError, match="holds a run: resume it, or choose another output"):
        train(config)


def test_a_sharded_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharded = property(lambda _: DistributedType.FSDP)
    monkeypatch.setattr("glinermt.training.run.train.Accelerator.distributed_type", sharded)
    with pytest.raises(ConfigError, match="FSDP shards the model"):
        train(tiny_config(tmp_path, steps=1))


def test_nothing_to_resume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint to resume"):
        train(tiny_config(tmp_path), resume=True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 7}, "seed: 42 -> 7"),
        ({"optim": Optim(encoder_lr=7e-7)}, r"stages\.0\.optim\.encoder_lr: 0\.005 -> 7e-07"),
        ({"batch_size": 2}, r"stages\.0\.batch_size: 4 -> 2"),
    ],
)
def test_resuming_under_another_configuration_is_refused(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    config = tiny_config(tmp_path, steps=1)
    train(config)
    before = (Path(config.output) / "config.json").read_text()
    other = replace(config, **change) if "seed" in change else with_stage(config, **change)
    with pytest.raises(ConfigError, match=rf"begun with another configuration \(.*{named}"):
        train(other, resume=True)
    assert (Path(config.output) / "config.json").read_text() == before


def test_a_run_may_be_made_longer_and_saved_less_often(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=2)
    train(config)
    longer = with_stage(config, steps=3, sampling=Sampling(max_words=50))
    train(replace(longer, save_every=7, log_every=3), resume=True)
    assert journal(config)[-1]["step"] == 3


def test_resuming_a_finished_run_adds_nothing(tmp_path: Path) -> None:
    config = replace(tiny_config(tmp_path, steps=2), dev=Dev(paths=("train.jsonl",), limit=4))
    train(config)
    before = journal(config)
    train(config, resume=True)
    assert journal(config) == before


def test_what_cannot_be_run_is_refused_before_the_first_step(tmp_path: Path) -> None:
    config = replace(tiny_config(tmp_path), save_every=0)
    with pytest.raises(ConfigError, match="save_every must be at least 1, not 0"):
        train(config)
    assert not Path(config.output).exists()


def test_resuming_with_other_sources_is_refused(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=2)
    train(config)
    write_rows(tmp_path / "data/more.jsonl", entity_rows())
    source = config.stages[0].sources[0]
    more = with_stage(config, steps=4, sources=(source, replace(source, path="more.jsonl")))
    with pytest.raises(
        ConfigError, match=r"stages\.0\.sources\.1\.path: 'nothing' -> 'more.jsonl'"
    ):
        train(more, resume=True)


def test_the_best_model_by_dev_score_is_kept(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=60, dropout=0.0)
    config = replace(config, dev=Dev(paths=("train.jsonl",), every=20, limit=8))
    train(config)
    scores = {r["step"]: r["dev"] for r in journal(config) if "dev" in r}
    assert sorted(scores) == [20, 40, 60]
    assert max(scores.values()) > 0.5
    model = GlinerMT.from_pretrained(Path(config.output) / "best")
    queries = [Query("ann lives in rome .", ("city", "person"))]
    assert model.extract(queries)[0]


def test_stages_follow_each_other_and_the_clock_can_end_one(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=2)
    first = config.stages[0]
    second = replace(first, name="second", clock="time", max_minutes=0.01, steps=100_000)
    train(replace(config, stages=(first, second)))
    records = journal(config)
    assert [r["step"] for r in records if r["stage"] == "tiny"] == [1, 2]
    assert records[-1]["stage"] == "second"
    assert records[-1]["minutes"] < 0.1


def test_the_config_and_the_curves_stand_beside_the_model(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=1)
    train(config)
    assert (Path(config.output) / "curves.png").read_bytes().startswith(b"\x89PNG")
    saved = json.loads((Path(config.output) / "config.json").read_text())
    assert saved["stages"][0]["optim"]["encoder_lr"] == config.stages[0].optim.encoder_lr


def test_trackers_get_what_the_journal_gets(tmp_path: Path) -> None:
    config = replace(tiny_config(tmp_path, steps=2), trackers=("tensorboard",))
    train(config)
    assert list((Path(config.output) / "trackers").rglob("events.out.tfevents.*"))


def test_lower_precision_learns_too(tmp_path: Path) -> None:
    config = replace(tiny_config(tmp_path, steps=40, dropout=0.0), precision="bf16")
    AcceleratorState._reset_state()  # one precision a process
    train(config)
    AcceleratorState._reset_state()
    losses = [record["loss"] for record in journal(config)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
