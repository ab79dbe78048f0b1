"""The commands bench, bench compare and calibrate, with a scripted model."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from glinermt.config import ModelConfig, TaskSettings
from glinermt.errors import DataError
from glinermt.eval import cli
from glinermt.eval.benchmarks import BENCHMARKS
from glinermt.outputs import locked
from glinermt.types import Query
from tests.stub import StubExtractor


class SavableStub(StubExtractor):
    """A stub that has weights to hash and a folder to be saved to."""

    saved: TaskSettings | None = None
    config: ModelConfig | None = None
    batch_tokens: int | None = None

    def state_dict(self) -> dict[str, object]:
        return {}

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.saved = self.settings


def first_word(query: Query) -> list[tuple[str, str, float]]:
    return [(query.text.split()[0], query.labels[0], 0.4)]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> SavableStub:
    stub = SavableStub(first_word)

    def load(given: Any) -> Any:
        return stub if given is None or isinstance(given, str) else given

    monkeypatch.setattr("glinermt.default_model.load_extractor", load)
    return stub


def call(*arguments: object) -> str:
    app = typer.Typer()
    cli.register(app)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_every_benchmark_has_its_command() -> None:
    shown = call("bench", "--help")
    assert all(name in shown for name in ("all", *BENCHMARKS, "compare"))


@pytest.mark.usefixtures("model")
def test_bench_on_the_samples_writes_all_files_and_compare_reads_them(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ("--sample", "--out", out, "--limit", 2, "--threshold", 0.5)
    assert "crossner" in call("bench", "all", *arguments)
    names = {path.name for path in out.iterdir()}
    assert {"report.json", "report.md", "chart.png", "chart.svg", "squad2"} <= names
    assert "fewrel" in call("bench", "compare", out, out)


@pytest.mark.usefixtures("model")
def test_bench_needs_data_or_the_sample(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="either --data FOLDER or --sample"):
        call("bench", "squad2", "--out", tmp_path)
    with pytest.raises(ValueError, match="no sample for 'cnn_dm'"):
        call("bench", "cnn_dm", "--sample", "--out", tmp_path)
    with pytest.raises(ValueError, match="neither a number nor 'saved'"):
        call("bench", "ner20", "--sample", "--out", tmp_path, "--threshold", "high")


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("squad2", ("--threshold", "0.3")),
        ("fewrel", ("--split", "validation")),
        ("ner20", ("--miscellaneous",)),
        ("crossner", ("--method", "pairs")),
    ],
)
@pytest.mark.usefixtures("model")
def test_an_option_of_another_benchmark_is_refused(
    name: str, option: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"{option[0]} changes nothing of {name}; leave it out"):
        call("bench", name, "--sample", "--out", tmp_path, *option)


def test_the_head_is_checked_and_the_batch_size_set(tmp_path: Path, model: SavableStub) -> None:
    arguments = ("bench", "ner20", "--sample", "--limit", 2, "--out", tmp_path)
    with pytest.raises(ValueError, match="for models of glinermt only"):
        call(*arguments, "--head", "span")
    model.config, model.batch_tokens = ModelConfig(head="token"), 0
    with pytest.raises(ValueError, match="--head span: the model has a token head"):
        call(*arguments, "--head", "span")
    call(*arguments, "--head", "token", "--batch-tokens", 64)
    assert model.batch_tokens == 64


@pytest.mark.usefixtures("model")
def test_leaks_are_reported(tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text(json.dumps({"text": "nothing of the kind"}) + "\n", encoding="utf-8")
    printed = call("bench", "ner20", "--sample", "--out", tmp_path, "--leak-check", train)
    assert "of 30 texts train.jsonl holds 0 as they are" in " ".join(printed.split())


def test_calibrate_saves_the_thresholds_with_the_model(tmp_path: Path, model: SavableStub) -> None:
    row = {"tokens": ["Ann", "met", "Bo"], "spans": [[0, 0, "person"]]}
    dev, out = tmp_path / "a.dev.jsonl", tmp_path / "out"
    dev.write_text(json.dumps(row) + "\n", encoding="utf-8")
    call("calibrate", "--dev", tmp_path, "--out", out)
    assert model.saved is not None
    assert model.saved.thresholds.keys() == model.saved.temperatures.keys() == {"entities"}
    report = json.loads((out / "calibration.json").read_text(encoding="utf-8"))
    assert report["dev"] == ["a.dev.jsonl"]
    assert (report["tasks"][0]["f1_before"], report["tasks"][0]["f1_after"]) == (0.0, 1.0)
    assert (out / "reliability.png").exists()


def test_a_choice_that_does_not_help_is_not_saved(tmp_path: Path, model: SavableStub) -> None:
    model.settings = TaskSettings(thresholds={"entities": 0.3})
    row = {"tokens": ["Ann", "met", "Bo"], "spans": [[0, 0, "person"]]}
    (tmp_path / "a.dev.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    call("calibrate", "--dev", tmp_path, "--out", tmp_path)
    (tmp_path / "glinermt_config.json").write_text("{}")
    with pytest.raises(DataError, match=r"holds a model \(glinermt_config\.json\)"):
        call("calibrate", "--dev", tmp_path, "--out", tmp_path)
    call("calibrate", "--dev", tmp_path, "--out", tmp_path, "--overwrite")
    report = json.loads((tmp_path / "calibration.json").read_text(encoding="utf-8"))
    assert report["tasks"][0]["saved"] is False
    assert model.saved == TaskSettings(thresholds={"entities": 0.3})


@pytest.mark.usefixtures("model")
def test_wrong_options_are_found_before_anything_is_asked(tmp_path: Path) -> None:
    arguments = ("bench", "ner20", "--sample", "--out", tmp_path)
    with pytest.raises(ValueError, match=r"--threshold 5 lies outside \[0, 1\]"):
        call(*arguments, "--threshold", 5)
    with pytest.raises(DataError, match=r"none\.jsonl: no such file"):
        call(*arguments, "--leak-check", tmp_path / "none.jsonl")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("model")
def test_the_table_of_calibrate_fits_a_terminal(tmp_path: Path) -> None:
    row = {"tokens": ["Ann", "met", "Bo"], "spans": [[0, 0, "person"]]}
    (tmp_path / "a.dev.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    shown = call("calibrate", "--dev", tmp_path, "--out", tmp_path)
    assert "entities: thresholds of fewer than 50 cases are largely chance" in " ".join(
        shown.split()
    )
    lines = shown.splitlines()
    names = ["task", "cases", "threshold", "labels", "F1", "ECE", "temperature", "saved"]
    assert any(line.split() == names for line in lines)
    assert any(line.split()[:2] == ["entities", "1"] and "yes" in line for line in lines)


@pytest.mark.usefixtures("model")
def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(DataError, match="another run writes into this folder"):
        call("bench", "ner20", "--sample", "--limit", 2, "--out", tmp_path)


def test_a_run_is_not_taken_up_with_another_way_to_compute(
    tmp_path: Path, model: SavableStub
) -> None:
    model.config, model.batch_tokens = ModelConfig(head="token"), 0
    arguments = ("bench", "ner20", "--sample", "--limit", 2, "--out", tmp_path)
    call(*arguments, "--batch-tokens", 64)
    with pytest.raises(DataError, match=r"model\.batch_tokens: '64' -> '128'"):
        call(*arguments, "--batch-tokens", 128)


@pytest.mark.usefixtures("model")
def test_the_split_of_cnn_dailymail_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    row = {"document": "A cat sat. It slept.", "summary": "A cat sat."}
    data = tmp_path / "cnn_dailymail.validation_first1000.jsonl"
    data.write_text(json.dumps(row) + "\n", encoding="utf-8")
    arguments = ("bench", "cnn_dm", "--data", tmp_path, "--out", tmp_path / "out")
    with pytest.raises(DataError, match=r"cnn_dailymail\.test"):
        call(*arguments)
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        call(*arguments, "--split", "dev")
    call(*arguments, "--split", "validation")
    assert "the validation split of" in (tmp_path / "out/report.md").read_text()


def test_precision_and_device_are_given_to_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []

    def load(path: object, **options: object) -> SavableStub:
        given.append((path, options))
        return SavableStub(first_word)

    monkeypatch.setattr("glinermt.model.GlinerMT.from_pretrained", load)
    arguments = ("bench", "ner20", "--sample", "--limit", 2, "--out", tmp_path)
    call(*arguments, "--model", "m", "--precision", "int8")
    assert given == [("m", {"precision": "int8", "device": None})]
    with pytest.raises(ValueError, match="for models of glinermt only"):
        call(*arguments, "--model", "gliner:m", "--precision", "int8")
