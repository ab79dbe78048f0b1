"""Training configurations."""

from importlib.resources import files
from pathlib import Path

import pytest

from glinermt.errors import ConfigError
from glinermt.training.config import Optim, load_config
from glinermt.training.run.stepper import rate_factor

MINIMAL = """
output = "out"
[[stages]]
name = "s"
steps = 10
shares = { ner = 1.0 }
[[stages.sources]]
path = "a.jsonl"
task = "ner"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "c.toml"
    path.write_text(text)
    return path


def test_values_are_set_by_key(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    changes = [
        "stages.0.steps=7",
        "data_root=/some/where",
        "stages.0.optim.encoder_lr=3e-4",
        "stages.0.sources.0.exclude_labels=['x', 'y']",
        "dev.paths=['d']",
    ]
    config = load_config(path, changes)
    stage = config.stages[0]
    assert (stage.steps, config.data_root, stage.optim.encoder_lr) == (7, "/some/where", 3e-4)
    assert stage.sources[0].exclude_labels == ("x", "y")
    assert config.dev.paths == ("d",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stages.0.stepz=7", r"c\.toml: stages\.0: unknown key 'stepz' .did you mean 'steps'"),
        ("stages.3.steps=7", "--set stages.3.steps=7: there is nothing at '3'"),
        ("seed", "--set seed: expected KEY=VALUE"),
        ("seed=x", r"c\.toml: seed: should be a valid integer, got 'x'"),
        ("stages.0.sources.0.task=spam", r"stages\.0\.sources\.0\.task: should be 'ner', .*'spam'"),
        ("stages.0.shares.qa=1.0", "shares names 'qa', but no source is of that group"),
        ("stages.0.shares={qa = 1.0}", "group 'ner' has no share"),
        ("stages.0.shares.ner=0", "shares must not be negative and not all 0"),
        ("stages.0.batch_size=4", "set one of batch_tokens and batch_size"),
        ("stages.0.clock=time", "clock = 'time' needs max_minutes"),
        ("stages.0.steps=0", r"stages\.0\.steps: should be .* or equal to 1, got 0"),
        ("stages.0.accumulate=0", r"stages\.0\.accumulate: should be .* or equal to 1"),
        ("save_every=0", "save_every: should be .* or equal to 1"),
        ("log_every=0", "log_every: should be .* or equal to 1"),
        ("dev.every=0", r"dev\.every: should be .* or equal to 1"),
        ("stages.0.optim.warmup=-1", r"optim\.warmup: should be .* or equal to 0, got -1"),
        ("stages.0.optim.encoder_lr=-1", r"optim\.encoder_lr: should be .* or equal to 0"),
        ("stages.0.sampling.max_words=0", r"sampling\.max_words: should be .* or equal to 1"),
        ("stages.0.sources.0.cap=-1", r"stages\.0\.sources\.0\.cap: should be .* or equal to 0"),
        ("stages=[]", r"c\.toml: a run needs at least one stage"),
        ("seed='1'", "seed: should be a valid integer, got '1'"),
        ("seed=1.5", "seed: should be a valid integer, got 1.5"),
        ("add_heads=1", "add_heads: should be a valid boolean, got 1"),
        ("output=2026-01-01", r"c\.toml: datetime\.date\(2026, 1, 1\) is a date; write"),
        ("stages.0.sources.0={task='ner'}", r"stages\.0\.sources\.0: has no 'path'"),
        ("stages.0.sampling.paraphrases={a=['b', 3]}", r"paraphrases\.a\.1: should be .*, got 3"),
        ("stages.0.sampling.drop_share=1.5", "drop_share: should be less than or equal to 1"),
        ("model.head_=1", "model: unknown key 'head_' .did you mean 'head'"),
        ("model.max_width=0", "model: max_width: expected a number from 1 on, got 0"),
        ("stages.0.sources=[]", "stage 's' has no sources"),
    ],
)
def test_what_cannot_be_run_is_refused(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, MINIMAL), [change])


def test_two_stages_of_one_name_are_refused(tmp_path: Path) -> None:
    again = MINIMAL[MINIMAL.index("[[stages]]") :]
    with pytest.raises(ConfigError, match="stages need names of their own"):
        load_config(write(tmp_path, MINIMAL + again))


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"c\.toml"):
        load_config(write(tmp_path, "= ="))
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load_config(tmp_path / "none.toml")


def test_the_presets_that_ship_are_valid() -> None:
    folder = files("glinermt.training").joinpath("configs")
    presets = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    assert presets
    for preset in presets:
        load_config(str(preset))


def test_rates_rise_in_the_warmup_and_fall_to_nothing() -> None:
    for optim in (Optim(warmup=0.1, schedule="linear"), Optim(warmup=0.1, schedule="cosine")):
        factors = [rate_factor(optim, p) for p in (0.0, 0.05, 0.1, 1.0)]
        assert factors == pytest.approx([0, 0.5, 1, 0])
        assert rate_factor(optim, 0.55) == pytest.approx(0.5)
    assert rate_factor(Optim(warmup=0.0, schedule="constant"), 0.7) == 1.0


def test_the_first_step_learns_also_where_there_is_a_warmup() -> None:
    optim = Optim(warmup=0.1)
    assert rate_factor(optim, 0.0, stride=0.01) == pytest.approx(0.1)
    assert rate_factor(optim, 0.0, stride=1.0) == 1.0


def test_a_stage_takes_from_another_what_it_does_not_set(tmp_path: Path) -> None:
    again = """
[[stages]]
name = "t"
like = "s"
steps = 20
[stages.optim]
clip = 1.0
"""
    path = write(tmp_path, MINIMAL + again)
    first, second = load_config(path, ["stages.0.optim.encoder_lr=3e-4"]).stages
    assert (first.steps, second.steps) == (10, 20)
    assert second.sources == first.sources
    assert (second.optim.clip, second.optim.encoder_lr) == (1.0, 3e-4)
    assert first.optim.clip == Optim().clip
    with pytest.raises(ConfigError, match=r"stages\.1\.like: no earlier stage is called 'r'"):
        load_config(path, ["stages.1.like=r"])
    with pytest.raises(ConfigError, match="'sources' is that of stage 's', which this one is like"):
        load_config(path, ["stages.1.sources.0.cap=5"])
