"""The annotation loop, with a scripted annotator in place of people and their tool."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from glinermt.cli import app
from glinermt.errors import DataError
from glinermt.formats import Document
from glinermt.formats.correction import write_for_correction
from glinermt.formats.label_studio import write_label_studio
from glinermt.model import GlinerMT
from glinermt.training import begin_loop, learn_round, next_round
from glinermt.training.adapt import annotation_loop
from tests.training.tiny import CITIES, NAMES, sentences, tuning

GOLD = {row.query.text: row.spans for row in sentences(NAMES, CITIES)}
LABELS = ["person", "city"]


@pytest.fixture
def start(model: GlinerMT, tmp_path: Path) -> str:
    model.save_pretrained(tmp_path / "start")
    return str(tmp_path / "start")


def begin(folder: Path, model: str, **options: Any) -> Path:
    given = {"n": 6, "held": 3, "model": model, **options}
    return begin_loop(folder, list(GOLD), LABELS, **given)


def annotated(tasks: list[dict[str, Any]], path: Path) -> Path:
    """Write an export of Label Studio in which every given task has its gold."""
    texts = [task["data"]["text"] for task in tasks]
    write_label_studio([Document(text, GOLD[text]) for text in texts], path, Counter())
    return path


def test_two_rounds_learn_and_no_text_comes_twice(start: str, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    path = begin(loop, start)
    first = json.loads(path.read_text(encoding="utf-8"))
    assert len(first) == 9
    assert all("annotations" not in task and task["predictions"] for task in first)
    assert 'value="person"' in (path.parent / "labelling_config.xml").read_text(encoding="utf-8")
    export = annotated(first, tmp_path / "export.json")
    report = learn_round(loop, export, steps=60, tuning=tuning(replay_share=0.1))
    assert (report.round, report.learned, report.held, report.missing) == (1, 6, 3, 0)
    assert report.after > report.before
    assert report.gain[0] <= report.after - report.before <= report.gain[1]
    second = json.loads(next_round(loop).read_text(encoding="utf-8"))
    texts = [task["data"]["text"] for task in (*first, *second)]
    assert len(texts) == len(set(texts)) == 15
    again = learn_round(loop, annotated(second, tmp_path / "export-2.json"), steps=1)
    assert (again.round, again.learned, again.held) == (2, 12, 3)
    assert again.before == report.before


def test_what_nobody_looked_at_is_not_learned(start: str, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    tasks = json.loads(begin(loop, start, n=2, held=1).read_text(encoding="utf-8"))
    done = json.loads(annotated(tasks, tmp_path / "x.json").read_text(encoding="utf-8"))
    held = {
        json.loads(line)["text"]: i
        for i, line in enumerate((loop / "texts.jsonl").read_text(encoding="utf-8").splitlines())
    }
    kept = json.loads((loop / "loop.json").read_text(encoding="utf-8"))["held"]
    others = [i for i, task in enumerate(tasks) if held[task["data"]["text"]] not in kept]
    done[others[0]] = tasks[others[0]]  # predictions that nobody corrected
    export = tmp_path / "export.json"
    export.write_text(json.dumps(done), encoding="utf-8")
    report = learn_round(loop, export, steps=1)
    assert (report.learned, report.held, report.missing) == (1, 1, 1)
    skipped = {**done[others[1]], "annotations": [{"was_cancelled": True, "result": []}]}
    done[others[1]] = skipped
    export.write_text(json.dumps(done), encoding="utf-8")
    with pytest.raises(DataError, match="not one of the texts to learn from was annotated"):
        learn_round(loop, export, steps=1)


def test_a_loop_that_was_stopped_at_its_beginning_is_begun_again(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    loop = tmp_path / "loop"
    with monkeypatch.context() as patch:
        patch.setattr(annotation_loop, "suggest", stopped)
        with pytest.raises(KeyboardInterrupt):
            begin(loop, start)
    with pytest.raises(DataError, match="no texts were given out yet"):
        learn_round(loop, tmp_path / "export.json")
    assert begin(loop, start).is_file()


@pytest.mark.parametrize("tool", ["prodigy", "doccano"])
def test_the_other_tools_are_written_and_read(tool: str, start: str, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    given = begin(loop, start, tool=tool, n=2, held=1).read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in given]
    export = tmp_path / "export.jsonl"
    write_for_correction([Document(text, GOLD[text]) for text in texts], export, tool)
    if tool == "prodigy":
        assert not any("answer" in json.loads(line) for line in given)
        rows = [json.loads(line) for line in export.read_text(encoding="utf-8").splitlines()]
        answered = [json.dumps({**row, "answer": "accept"}) for row in rows]
        export.write_text("\n".join(answered), encoding="utf-8")
    assert learn_round(loop, export, steps=1).learned == 2


def test_an_export_of_something_else_is_refused(start: str, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    begin(loop, start, n=2, held=1)
    export = tmp_path / "export.json"
    write_label_studio([Document("never seen")], export, Counter())
    with pytest.raises(DataError, match="'never seen' was never given out by this loop"):
        learn_round(loop, export)
    with pytest.raises(DataError, match="round-1: it was not learned from"):
        next_round(loop)
    with pytest.raises(DataError, match="a loop was begun in it"):
        begin(loop, start)
    with pytest.raises(DataError, match="too few for 30 to measure on"):
        begin(tmp_path / "other", start, held=30)


def test_a_loop_that_has_given_out_its_pool_ends_well(start: str, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    path = begin(loop, start, n=len(GOLD) - 3)
    export = annotated(json.loads(path.read_text(encoding="utf-8")), tmp_path / "export.json")
    command = ["annotate-loop", str(loop), "--corrected", str(export), "--steps", "1"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert "every text of the pool is annotated" in done.stdout
    assert (loop / "round-1" / "model").is_dir()


def test_the_command_begins_and_goes_on(start: str, tmp_path: Path) -> None:
    pool, loop = tmp_path / "pool.jsonl", tmp_path / "loop"
    pool.write_text("".join(json.dumps({"text": text}) + "\n" for text in GOLD), encoding="utf-8")
    command = ["annotate-loop", str(loop)]
    options = ["--labels", "person, city", "--model", start, "-n", "4", "--held", "2"]
    run = CliRunner().invoke
    done = run(app, [*command, "--texts", str(pool), *options], catch_exceptions=False)
    path = Path(done.stdout.split("to correct: ")[1].replace("\n", ""))
    assert f"glinermt annotate-loop {loop} --corrected" in done.stderr.replace("\n", " ")
    export = annotated(json.loads(path.read_text(encoding="utf-8")), tmp_path / "export.json")
    done = run(app, [*command, "--corrected", str(export), "--steps", "1"], catch_exceptions=False)
    assert "round 1: learned from 4 texts; gain on 2 held texts" in done.stdout
    assert "round-2" in done.stdout
    assert "learning 100% step 1" in done.stderr
    # The same command again would learn the second round from nothing, and give out a third.
    again = run(app, [*command, "--corrected", str(export), "--steps", "1"])
    assert "round-2, the last that was given out" in str(again.exception)
    assert not (loop / "round-3").exists()
    for option in (["-n", "5"], ["--labels", "river"], ["--tool", "doccano"]):
        refused = run(app, [*command, "--corrected", str(export), *option])
        assert f"{option[0]} goes with --texts only" in str(refused.exception)
    refused = run(app, [*command, "--texts", str(pool), *options, "--steps", "9"])
    assert "--steps goes with --corrected only" in str(refused.exception)
    with pytest.raises(ValueError, match="give --texts to begin a loop, or --corrected to go on"):
        run(app, command, catch_exceptions=False)
