"""``glinermt generate``: what people see."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from glinermt.cli import app
from tests.synth.golden import REPLIES, TEXT, write_texts


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    texts = write_texts(tmp_path / "texts.jsonl", 4)
    replies = tmp_path / "replies.jsonl"
    rows = [{"recipe": task, "reply": reply} for task, reply in REPLIES.items()]
    rows.insert(0, {"recipe": "entities", "text": "Note1x1", "reply": "no JSON"})
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = str(tmp_path / "out")
    return [str(texts), "--out", out, "--llm", "scripted", "--model", str(replies)]


def run(arguments: list[str], *more: str) -> Result:
    return CliRunner().invoke(app, ["generate", *arguments, *more])


def test_generate_writes_data_and_shows_the_report(arguments: list[str], tmp_path: Path) -> None:
    result = run(arguments)
    assert result.exit_code == 0, result.output
    assert "rows 100% 24 of 24\n" in result.output
    assert "rows 24 of 24 planned" in result.output
    assert "reply: not JSON 1" in result.output
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"part-00000.jsonl", "work", "manifest.json", "report.json", "README.md"} <= written


def test_replies_that_were_cut_are_told_with_what_to_do(arguments: list[str]) -> None:
    result = run(arguments, "--max-tokens", "2")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "reply: cut at max_tokens 1" in shown
    assert "entities 1 replies had not ended after 2 tokens" in shown
    assert "--retry-failed --max-tokens 4" in shown


def test_a_run_that_made_nothing_has_failed(arguments: list[str], tmp_path: Path) -> None:
    rows = [{"recipe": task, "reply": "no JSON"} for task in REPLIES]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "replies.jsonl").write_text(text, encoding="utf-8")
    result = run(arguments)
    assert result.exit_code == 1
    assert "no row gave an example" in str(result.exception)
    assert "reply: not JSON" in result.output  # the report is there all the same
    assert (tmp_path / "out/report.json").exists()


def test_preview_shows_everything_and_writes_nothing(arguments: list[str], tmp_path: Path) -> None:
    result = run(arguments, "--preview", "3", "--tasks", "entities,answer", "--price-out", "1000")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert TEXT in shown
    assert "Warsaw = city" in shown
    assert "failed: " not in shown
    assert "8 rows from 4 passages of 4 texts" in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--tasks", "entities,entities"], "tasks names one twice: entities, entities"),
        (["--set", "model.name=x"], "model: should be a valid string, got {'name': 'x'}"),
        (["--tasks", "entitis"], "unknown recipe 'entitis' (did you mean 'entities'?)"),
        (["--llm", "scripte"], "unknown llm 'scripte' (did you mean 'scripted'?)"),
        (["--llm-option", "dely=1"], "dely"),
        (["--temperature", "-1"], "temperature must be from 0 to 2, got -1.0"),
        (["--set", "sampling.top_p=0"], "top_p must be above 0 and at most 1, got 0"),
        (["--set", "passages_per_text=-2"], "passages_per_text must be at least 0, got -2"),
        (["--set", "shard_rows=0"], "shard_rows must be at least 1, got 0"),
        (["--set", "shard_rows"], "--set shard_rows: expected KEY=VALUE"),
    ],
)
def test_wrong_options_are_explained(arguments: list[str], more: list[str], message: str) -> None:
    if more[0] in arguments:  # an option of one value is given once
        place = arguments.index(more[0])
        arguments = [*arguments[:place], *arguments[place + 2 :]]
    result = run(arguments, *more)
    assert result.exit_code == 1
    assert message in str(result.exception)


@pytest.mark.parametrize("option", ["--limit=-1", "--batch=0", "--tasks-per-text=-1"])
def test_numbers_out_of_range_are_refused(arguments: list[str], option: str) -> None:
    result = run(arguments, option)
    assert result.exit_code == 2
    assert f"Invalid value for '{option.split('=')[0]}'" in result.output


@pytest.mark.parametrize("given", ["sampling={top_p=0.9}", "sampling.top_p=0.9"])
def test_a_setting_in_a_table_leaves_the_others(
    arguments: list[str], tmp_path: Path, given: str
) -> None:
    result = run(arguments, "--temperature", "0.2", "--set", given)
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["settings"]["sampling"] == {
        "temperature": 0.2,
        "top_p": 0.9,
        "max_tokens": 1024,
    }


def test_texts_in_german_are_asked_about_in_german(tmp_path: Path) -> None:
    text = (
        "Marie Curie wurde 1867 in Warschau geboren. Sie zog nach Paris, wo sie Physik studierte. "
        "Im Jahr 1903 erhielt sie mit Pierre Curie den Nobelpreis. Er starb in Paris nach einem "
        "Unfall auf der Straße."
    )
    reply = {
        "entities": [
            {"before": "wurde 1867 in", "text": "Warschau", "label": "Stadt"},
            {"before": "Sie zog nach", "text": "Paris", "label": "Stadt"},
        ],
        "absent": ["Fluss"],
    }
    (tmp_path / "texte.txt").write_text(text + "\n", encoding="utf-8")
    rows = [
        {"recipe": "entities", "text": "Liste die Eigennamen", "reply": reply},
        {"reply": "asked in another language"},
    ]
    replies = tmp_path / "replies.jsonl"
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    options = ["--llm", "scripted", "--model", str(replies), "--tasks", "entities"]
    out = tmp_path / "out"
    result = run([str(tmp_path / "texte.txt"), "--out", str(out), "--language", "de", *options])
    assert result.exit_code == 0, result.output
    (row,) = map(json.loads, (out / "part-00000.jsonl").read_text("utf-8").splitlines())
    assert row["labels"] == ["stadt", "fluss"]
    assert [text[span["start"] : span["end"]] for span in row["spans"]] == [
        "Warschau", "Paris", "Paris"
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("given", ["jsonl", "parquet"])
def test_the_folder_loads_as_a_dataset_as_it_is(
    arguments: list[str], tmp_path: Path, given: str
) -> None:
    from datasets import load_dataset

    one_each = ("--tasks-per-text", "1", "--set", "shard_rows=1")
    tasks = "entities,relation_pairs,classify"
    result = run(arguments, "--set", f"format={given}", "--tasks", tasks, *one_each)
    assert result.exit_code == 0, result.output
    out, cache = tmp_path / "out", tmp_path / "cache"
    loaded = load_dataset(str(out), cache_dir=str(cache), split="train")
    assert len(loaded) == json.loads((out / "report.json").read_text())["examples"] > 0
    assert len(set(loaded["task"])) > 1
    for row in loaded:
        for span in row["spans"]:
            assert span["label"] in row["labels"]
            assert row["text"][span["start"] : span["end"]].strip()
