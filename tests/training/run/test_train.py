"""Training as a whole, on a tiny random encoder."""

import copy
import io
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import typer
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]  # ships no types
from accelerate.utils import DistributedType  # type: ignore[import-untyped]
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner

from glinermt.errors import CheckpointError, ConfigError, DataError, UntrainableError
from glinermt.model import GlinerMT
from glinermt.outputs import locked
from glinermt.training.adapt.fine_tuning import fine_tune
from glinermt.training.cli import register
from glinermt.training.config import Dev, Optim, Sampling, TrainConfig
from glinermt.training.data.batching import POOL, Batches, Taken
from glinermt.training.run.checkpointing import recover_model, save_model, save_state
from glinermt.training.run.loop import Stop, parse_duration
from glinermt.training.run.processes import ManyProcesses
from glinermt.training.run.train import train
from glinermt.types import Query
from tests.training.tiny import (
    CITIES,
    NAMES,
    entity_rows,
    sentences,
    tiny_config,
    tuning,
    with_stage,
    write_rows,
)


def test_a_run_that_is_to_begin_with_an_export_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    config = tiny_config(tmp_path)
    GlinerMT.from_config(config.model).export_onnx(tmp_path / "export")
    with pytest.raises(UntrainableError, match="fine-tune the model that this one was made from"):
        train(replace(config, init=str(tmp_path / "export")))


def weights(config: TrainConfig) -> dict[str, Any]:
    return load_file(Path(config.output) / "last" / "model.safetensors")


class Killed(Exception):
    """Stands for a kill."""


def kill() -> None:
    raise Killed


def at_step(patch: pytest.MonkeyPatch, step: int, act: Callable[[], None]) -> None:
    """Let ``act`` happen when the batches of ``step`` are taken."""
    take, calls = Batches.take, count()

    def taken(self: Batches, number: int) -> list[Taken]:
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


def test_a_missing_file_of_a_later_stage_is_named_before_the_first_begins(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    (source,) = config.stages[0].sources
    later = replace(config.stages[0], name="later", sources=(replace(source, path="no.jsonl"),))
    with pytest.raises(DataError, match=r"no\.jsonl: there is no such file; say with"):
        train(replace(config, stages=(*config.stages, later)), console=Console(file=io.StringIO()))
    assert not (Path(config.output) / "last").exists()


def check_equal(parts: TrainConfig, whole: TrainConfig) -> None:
    """Both runs ended with the same bits and wrote down the same numbers."""
    expected, found = weights(whole), weights(parts)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    strip = {"minutes", "tokens_per_s", "examples_per_s"}
    assert [{k: v for k, v in r.items() if k not in strip} for r in journal(parts)] == [
        {k: v for k, v in r.items() if k not in strip} for r in journal(whole)
    ]


@pytest.mark.parametrize("killed_at", [1, 3, 5])
def test_a_run_killed_and_resumed_equals_an_uninterrupted_one(
    tmp_path: Path, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(tmp_path, steps=6)
    config = replace(config, dev=Dev(paths=("train.jsonl",), every=2, limit=4))
    whole = replace(config, output=str(tmp_path / "whole"))
    train(whole)
    parts = replace(config, output=str(tmp_path / "parts"), save_every=1)
    with monkeypatch.context() as patch:
        at_step(patch, killed_at, kill)
        with pytest.raises(Killed):
            train(parts)
    train(parts, resume=True)
    check_equal(parts, whole)


def test_a_run_with_workers_equals_one_without(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=4)
    alone = replace(config, output=str(tmp_path / "alone"))
    train(alone)
    ahead = replace(config, output=str(tmp_path / "ahead"))
    train(replace(ahead, workers=1), stop=EndsAfterAStep())
    train(ahead, resume=True, stop=EndsAfterAStep())
    train(replace(ahead, workers=1), resume=True)
    check_equal(ahead, alone)


def test_a_run_in_slices_equals_one_in_one_go(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=5)
    whole = replace(config, output=str(tmp_path / "whole"))
    train(whole)
    sliced = replace(config, output=str(tmp_path / "sliced"))
    steps = []
    for i in range(5):
        # No time at all: the step that is begun is still finished.
        train(sliced, resume=i > 0, stop=EndsAfterAStep())
        steps.append(journal(sliced)[-1]["step"])
    assert steps == [1, 2, 3, 4, 5]
    check_equal(sliced, whole)


class EndsAfterAStep(Stop):
    """Its time is up when it is asked for the second time."""

    def __init__(self) -> None:
        super().__init__()
        self._questions = 0

    @property
    def asked(self) -> bool:
        self._questions += 1
        return self._questions > 1


def test_time_that_is_up_stops_the_run_and_says_so(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=100_000)
    stop = Stop(after=2.0)
    said = io.StringIO()
    train(config, stop=stop, console=Console(file=said))
    assert "go on with --resume" in said.getvalue()
    assert stop.signal is None
    assert 0 < journal(config)[-1]["step"] < 100_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("25m", 1500), ("1h30m", 5400), ("90s", 90), ("90", 90), ("1m5s", 65)]
)
def test_lengths_of_time_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "25 min", "0m", "-3m", "m"])
def test_what_is_no_length_of_time_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is no length of time: write 25m, 1h30m or 90s"):
        parse_duration(text)


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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_stops_with_the_exit_code_of_the_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    config = tiny_config(tmp_path, steps=6)
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    monkeypatch.setattr("glinermt.training.config.load_config", lambda *_: config)
    app = typer.Typer()
    register(app)
    with monkeypatch.context() as patch:
        at_step(patch, 2, lambda: os.kill(os.getpid(), number))
        done = CliRunner().invoke(app, ["train", "mini"])
    assert done.exit_code == code
    assert "the model is written" not in done.output
    assert journal(config)[-1]["step"] == 3
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == handlers
    done = CliRunner().invoke(app, ["train", "mini", "--resume"])
    assert (done.exit_code, journal(config)[-1]["step"]) == (0, 6)
    assert f"{Path(config.output) / 'last'}: the model is written" in done.stdout


def test_the_command_lists_and_shows_the_packaged_configurations() -> None:
    app = typer.Typer()
    register(app)
    listed = CliRunner().invoke(app, ["train", "--list"]).output
    assert (
        "mini         The model that ships with the package: MiniLM-L6 with a token head.\n"
        in listed
    )
    shown = CliRunner().invoke(app, ["train", "mini", "--show"]).output
    assert 'encoder = "sentence-transformers/all-MiniLM-L6-v2"' in shown
    wrong = CliRunner().invoke(app, ["train", "minni"]).exception
    assert "unknown configuration 'minni' (did you mean 'mini'?)" in str(wrong)
    assert "name a configuration" in str(CliRunner().invoke(app, ["train"]).exception)


def test_training_in_another_thread_works(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=1)
    worker = threading.Thread(target=train, args=(config,))
    worker.start()
    worker.join()
    assert journal(config)[-1]["step"] == 1


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=1)
    with (
        locked(Path(config.output)),
        pytest.raises(DataError, match="another run writes into this folder"),
    ):
        train(config)
    assert not (Path(config.output) / "metrics.jsonl").exists()
    train(config)


def test_training_leaves_random_numbers_and_denormals_as_they_were(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=2)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train(config)
    assert torch.equal(torch.rand(4), expected)
    assert torch.tensor(1e-40) * 1 > 0


def test_training_and_fine_tuning_in_one_process_keep_their_own_precision(
    tmp_path: Path, model: GlinerMT
) -> None:
    config = tiny_config(tmp_path, steps=1)
    exact = replace(config, output=str(tmp_path / "exact"))
    train(exact)
    train(replace(config, output=str(tmp_path / "rough"), precision="bf16"))
    alone = copy.deepcopy(model)
    fine_tune(alone, sentences(NAMES, CITIES), steps=2, tuning=tuning())
    again = replace(config, output=str(tmp_path / "again"))
    train(again)
    check_equal(again, exact)
    fine_tune(model, sentences(NAMES, CITIES), steps=2, tuning=tuning())
    for name, value in model.state_dict().items():
        assert torch.equal(value, alone.state_dict()[name]), name


def test_a_kill_between_two_renames_loses_no_model(
    tmp_path: Path, model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(model, tmp_path / "best")
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self.name == "best.partial":
            kill()
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(Killed):
            save_model(model, tmp_path / "best")
    assert not (tmp_path / "best").exists()
    recover_model(tmp_path / "best")
    GlinerMT.from_pretrained(tmp_path / "best")


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
    monkeypatch.setattr("accelerate.Accelerator.distributed_type", sharded)
    monkeypatch.setattr("glinermt.training.run.train.launched_processes", ManyProcesses)
    with pytest.raises(ConfigError, match="FSDP shards the model"):
        train(tiny_config(tmp_path, steps=1))
    AcceleratorState._reset_state()


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
    with pytest.raises(ConfigError, match="save_every: should be greater than or equal to 1"):
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


def test_the_dropout_of_a_run_is_not_that_of_its_model(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=3, dropout=0.0)
    plain = replace(config, output=str(tmp_path / "plain"))
    dropping = replace(config, output=str(tmp_path / "dropping"), dropout=0.5)
    losses = []
    for each in (plain, dropping):
        assert GlinerMT.from_pretrained(train(each)).config.dropout == 0.0
        losses.append(journal(each)[-1]["loss"])
    assert losses[0] != losses[1]


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
    assert records[-1]["step"] < 100_000


def test_the_config_and_the_curves_stand_beside_the_model(tmp_path: Path) -> None:
    config = replace(tiny_config(tmp_path, steps=1), curves=True)
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
    train(config)
    losses = [record["loss"] for record in journal(config)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_an_encoder_that_is_not_to_be_had_is_named_with_what_to_do(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    config = replace(config, model=replace(config.model, encoder=str(tmp_path / "nowhere")))
    with pytest.raises(
        CheckpointError, match=r"encoder '.*nowhere' .* name a folder .*--set model.encoder=FOLDER"
    ):
        train(config)


def test_a_disk_that_a_checkpoint_fills_is_said_to_be_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 576 vs 470")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(RuntimeError, match="unexpected pos"):
        save_state(tmp_path, {})
    full = SimpleNamespace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(OSError, match="No space left on device"):
        save_state(tmp_path, {})
    assert not list(tmp_path.iterdir())
