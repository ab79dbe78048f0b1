"""A run as a whole: what it writes, what it goes on with, and what it survives."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from glinermt.cli import app
from glinermt.errors import BackendError, ConfigError, DataError
from glinermt.outputs import locked
from glinermt.synth.backends import connect
from glinermt.synth.backends.base import LLM, Reply, Request
from glinermt.synth.card import write_report
from glinermt.synth.engines.ask import ask
from glinermt.synth.generate import Options, generate
from glinermt.synth.preview import preview
from glinermt.synth.recipes import PAPERS
from glinermt.synth.report import Prices
from glinermt.synth.settings import Sampling, Settings
from glinermt.synth.store import Store
from glinermt.training.config import Source
from glinermt.training.data.readers import read_examples, read_source
from glinermt.types import Example
from tests.synth.golden import REPLIES, Script, write_texts


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "texts.jsonl", 6)


def settings(texts: Path, **changes: Any) -> Settings:
    return Settings(texts=(str(texts),), model="golden", llm="scripted", shard_rows=10, **changes)


def run(made: Settings, out: Path, llm: LLM, **options: bool) -> dict[str, Any]:
    asking = partial(ask, llm, sampling=made.sampling, retries=made.retries, batch=4)
    return generate(made, out, asking, options=Options(**options))


def lines(out: Path, format_: str = "jsonl") -> list[dict[str, Any]]:
    return list(Store(out, format_).read_examples())


def test_the_trainer_reads_what_is_generated(texts: Path, tmp_path: Path) -> None:
    manifest = run(settings(texts), tmp_path / "out", Script())
    assert [shard["rows"] for shard in manifest["shards"].values()] == [10, 10, 10, 6]
    found = lines(tmp_path / "out")
    assert len(found) == 6 * (1 + 2 + 1 + 1 + 3 + 2)
    read = [
        example
        for file in sorted((tmp_path / "out").glob("part-*"))
        for example in read_examples(file)
    ]
    assert read == [Example.from_dict(line) for line in found]


def test_parquet_holds_the_same_and_is_read_by_the_trainer(texts: Path, tmp_path: Path) -> None:
    run(settings(texts), tmp_path / "a", Script())
    run(settings(texts, format="parquet"), tmp_path / "b", Script())
    assert lines(tmp_path / "b", "parquet") == lines(tmp_path / "a")
    rows, _ = read_source(Source("b", "examples"), tmp_path, max_bad_share=0.0)
    assert rows == [Example.from_dict(line) for line in lines(tmp_path / "a")]


def test_a_second_run_asks_nothing(texts: Path, tmp_path: Path) -> None:
    first = run(settings(texts), tmp_path / "out", Script())
    llm = Script()
    assert run(settings(texts), tmp_path / "out", llm) == first
    assert not llm.requests


def test_rows_of_a_template_are_asked_together(texts: Path, tmp_path: Path) -> None:
    llm = Script()
    run(settings(texts), tmp_path / "out", llm)
    first = [request.recipe for request in llm.requests[:10]]
    assert first == sorted(first)


def test_other_settings_are_refused_unless_forced(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(settings(texts), out, Script())
    with pytest.raises(ConfigError, match="seed: 0 -> 1"):
        run(settings(texts, seed=1), out, Script())
    run(settings(texts, seed=1), out, Script(), force=True)
    assert len(lines(out)) == 60
    (old,) = out.glob("old-*")
    assert len(lines(old)) == 60


def test_changed_texts_are_refused(texts: Path, tmp_path: Path) -> None:
    run(settings(texts), tmp_path / "out", Script())
    write_texts(texts, 7)
    with pytest.raises(ConfigError, match="contents of files"):
        run(settings(texts), tmp_path / "out", Script())


def test_a_useless_reply_is_asked_again_hotter_then_recorded(texts: Path, tmp_path: Path) -> None:
    llm = Script(failing=["answer"])
    manifest = run(settings(texts, tasks=("answer", "entities")), tmp_path / "out", llm)
    asked = [r for r in llm.requests if r.recipe == "answer"]
    assert len(asked) == 3 * 6
    first = [r for r in asked if r.id == asked[0].id]
    assert [r.temperature for r in first] == [0.7, 0.9, 1.1]
    assert len({r.seed for r in first}) == 3
    failed = [shard["failed"] for shard in manifest["shards"].values()]
    assert failed == [{"reply: not JSON": 5}, {"reply: not JSON": 1}]
    assert {line["task"] for line in lines(tmp_path / "out")} == {"entities"}


def test_failed_rows_are_asked_again_when_told_to(texts: Path, tmp_path: Path) -> None:
    out, made = tmp_path / "out", settings(texts, tasks=("answer", "entities"))
    run(made, out, Script(failing=["answer"]))
    llm = Script()
    run(made, out, llm)
    assert not llm.requests
    run(made, out, llm, retry_failed=True)
    assert [r.recipe for r in llm.requests] == ["answer"] * 6
    run(made, tmp_path / "whole", Script())
    assert lines(out) == lines(tmp_path / "whole")


class Talkative(Script):
    """Needs 300 tokens for answers."""

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for i, reply in super().generate(requests):
            most = requests[i].max_tokens
            cut = requests[i].recipe == "answer" and most < 300
            yield i, Reply(reply.text[:50], 10, most) if cut else reply


def test_replies_that_were_cut_are_given_more_tokens(texts: Path, tmp_path: Path) -> None:
    def made(most: int) -> Settings:
        return settings(texts, tasks=("answer", "entities"), sampling=Sampling(max_tokens=most))

    out = tmp_path / "out"
    manifest = run(made(200), out, Talkative())
    assert [shard["failed"] for shard in manifest["shards"].values()] == [
        {"reply: cut at max_tokens": 5},
        {"reply: cut at max_tokens": 1},
    ]
    llm = Talkative()
    manifest = run(made(400), out, llm, retry_failed=True)
    assert [r.recipe for r in llm.requests] == ["answer"] * 6
    assert manifest["settings"]["sampling"]["max_tokens"] == 400
    run(made(400), tmp_path / "whole", Talkative())
    assert lines(out) == lines(tmp_path / "whole")


def test_a_silent_llm_stops_the_run_and_loses_no_row(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    silent = Script(failing=list(REPLIES), error="connection refused")
    with pytest.raises(BackendError, match=r"none of 5 rows.*connection refused"):
        run(settings(texts), out, silent)
    run(settings(texts), out, Script())
    run(settings(texts), tmp_path / "whole", Script())
    assert lines(out) == lines(tmp_path / "whole")


class OneSilent(Script):
    """Never answers about one text."""

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for i, reply in super().generate(requests):
            silent = "Note3x1 " in requests[i].user
            yield i, Reply("", error="timeout", transient=True) if silent else reply


@pytest.mark.parametrize("batch", [1, 4])
def test_a_row_that_is_never_answered_is_recorded(texts: Path, tmp_path: Path, batch: int) -> None:
    made = settings(texts, tasks=("entities",), retries=1)
    asking = partial(ask, OneSilent(), sampling=made.sampling, retries=1, batch=batch)
    manifest = generate(made, tmp_path / "out", asking)
    assert [shard["failed"] for shard in manifest["shards"].values()] == [{"llm: timeout": 1}]


def test_retrying_in_vain_keeps_what_there_is(texts: Path, tmp_path: Path) -> None:
    out, made = tmp_path / "out", settings(texts, tasks=("answer", "entities"))
    run(made, out, Script(failing=["answer"]))
    before = lines(out)
    silent = Script(failing=list(REPLIES), error="connection refused")
    with pytest.raises(BackendError, match="connection refused"):
        run(made, out, silent, retry_failed=True)
    assert lines(out) == before
    llm = Script()
    run(made, out, llm)
    assert not llm.requests
    run(made, out, llm, retry_failed=True)
    assert len(lines(out)) == 6 + 6 * 3


def test_a_missing_or_cut_shard_is_made_again_without_asking(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(settings(texts), out, Script())
    before = lines(out)
    (out / "part-00000.jsonl").unlink()
    (out / "part-00001.jsonl").write_text("{", encoding="utf-8")
    llm = Script()
    run(settings(texts), out, llm)
    assert lines(out) == before
    assert not llm.requests


def test_the_manifest_is_not_written_with_every_shard_and_whole_at_the_end(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = Store.write_manifest

    def note(store: Store, manifest: dict[str, Any]) -> None:
        written.append(len(manifest["shards"]))
        write(store, manifest)

    monkeypatch.setattr(Store, "write_manifest", note)
    clock = SimpleNamespace(perf_counter=partial(next, itertools.count()))
    monkeypatch.setattr("glinermt.synth.generate.time", clock)  # every write takes a second
    made = replace(settings(texts), shard_rows=1)
    run(made, tmp_path / "out", Script())
    assert len(written) < 36 / 5
    stopped = Script(failing=[name for name in PAPERS if name != "entities"], error="HTTP 503")
    with pytest.raises(BackendError):
        run(made, tmp_path / "stopped", stopped)
    on_disk = json.loads((tmp_path / "stopped/manifest.json").read_text())
    files = {file.stem for file in (tmp_path / "stopped").glob("part-*.jsonl")}
    assert set(on_disk["shards"]) == files != set()


def test_a_reply_line_cut_by_a_kill_is_asked_again(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(settings(texts), out, Script())
    before = lines(out)
    manifest = json.loads((out / "manifest.json").read_text())
    del manifest["shards"]["part-00000"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    raw = out / "work/raw/part-00000.jsonl"
    raw.write_bytes(raw.read_bytes()[:-20])
    llm = Script()
    run(settings(texts), out, llm)
    assert len(llm.requests) == 1
    assert lines(out) == before


def test_a_damaged_manifest_is_named(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(settings(texts), out, Script())
    (out / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match=r"manifest\.json:0: damaged.*--force"):
        run(settings(texts), out, Script())
    run(settings(texts), out, Script(), force=True)
    assert len(lines(out)) == 60


def test_replies_are_kept_when_examples_are_made_otherwise(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(settings(texts), out, Script())
    before = lines(out)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "pipeline": 0}))
    (out / "part-00000.jsonl").write_text("", encoding="utf-8")
    llm = Script()
    assert run(settings(texts), out, llm) == first
    assert lines(out) == before
    assert not llm.requests


def test_replies_without_a_manifest_are_set_aside(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(settings(texts), out, Script())
    (out / "manifest.json").unlink()
    llm = Script()
    run(settings(texts), out, llm)
    assert len(llm.requests) == 36
    assert (out / "old-without-manifest/work/raw/part-00000.jsonl").is_file()


def test_what_is_left_out_of_the_plan_is_counted_in_the_manifest(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "texts.jsonl", 1)
    file.write_text(file.read_text() * 3, encoding="utf-8")
    manifest = run(settings(file, tasks=("entities",)), tmp_path / "out", Script())
    assert manifest["plan"] == {
        "texts": 3, "passages": 1, "rows": 1, "drops": {"passage: near duplicate": 2}
    }  # fmt: skip


def test_texts_that_give_no_row_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("Too short.\n", encoding="utf-8")
    with pytest.raises(DataError, match="none of 1 texts gives a passage of at least 30 words"):
        run(settings(tmp_path / "texts.txt"), tmp_path / "out", Script())
    (tmp_path / "texts.txt").write_text("")
    with pytest.raises(DataError, match="none of 0 texts gives a passage"):
        preview(Console(), settings(tmp_path / "texts.txt"), lambda _: iter(()), 3, Prices())


def test_two_processes_do_not_share_a_folder(texts: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(DataError, match="another run writes"):
        run(settings(texts), tmp_path / "out", Script())


COMMAND = """
import sys
from glinermt.cli import main
sys.argv = ["glinermt", "generate", *sys.argv[1:]]
main()
"""


def test_killed_at_any_moment_a_run_loses_and_doubles_nothing(texts: Path, tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    rows = [{"recipe": task, "reply": reply} for task, reply in REPLIES.items()]
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def command(out: Path, delay: float) -> list[str]:
        options = ["--llm", "scripted", "--model", str(replies), "--out", str(out)]
        rest = ["--set", "shard_rows=5", "--batch", "3", "--llm-option", f"delay={delay}"]
        return [str(texts), *options, *rest]

    def records(out: Path) -> list[str]:
        files = sorted((out / "work/raw").glob("*.jsonl"))
        return [json.loads(line)["id"] for f in files for line in f.read_text().splitlines()]

    out, whole = tmp_path / "out", tmp_path / "whole"
    draw, kills = random.Random(5), 0
    wanted = 2
    while kills < wanted:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *command(out, 0.04)], stdout=subprocess.DEVNULL
        )
        seen = len(records_safely(out))
        while process.poll() is None and len(records_safely(out)) < seen + 4:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.15))
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert kills == wanted
    for folder in (out, whole):
        result = CliRunner().invoke(app, ["generate", *command(folder, 0)])
        assert result.exit_code == 0, result.output
    assert lines(out) == lines(whole)
    assert sorted(records(out)) == sorted(records(whole))
    assert len(set(records(out))) == len(records(out)) == 36


def records_safely(out: Path) -> list[bytes]:
    """Return the lines written so far by a process that may be in the middle of one."""
    return [
        line
        for file in (out / "work/raw").glob("*.jsonl")
        for line in file.read_bytes().splitlines()
    ]


def test_the_report_says_what_was_made(texts: Path, tmp_path: Path) -> None:
    made, out = settings(texts, tasks=("entities", "answer")), tmp_path / "out"
    run(made, out, Script(failing=["answer"]))
    report = write_report(out, made, prices=Prices(1000.0, 2000.0), licence="cc-by-sa-4.0")
    assert report["recipes"]["entities"] == {
        "rows": 6,
        "failed": 0,
        "cut": 0,
        "empty": 0,
        "examples": 6,
        "spans": 36,
        "without_span": 0,
        "labels_without_span": 12,
        "yield": 1.0,
        "negatives_share": 0.0,
    }
    assert report["recipes"]["answer"]["failed"] == 6
    assert report["alignment"] == {"exact": 18, "repeated": 12, "normalised": 6}
    assert report["alignment_rate"] == 1.0
    assert report["labels"] == {"city": 18, "physicist": 12, "award": 6}
    use = report["usage"]
    assert (use["tokens_in"], use["tokens_out"]) == (60 + 180, 30 + 90)
    assert use["cost"] == use["cost_whole_plan"] == pytest.approx(0.24 + 0.24)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: cc-by-sa-4.0\n")
    assert "| city | 18 |" in card
    assert json.loads((out / "report.json").read_text()) == report
    assert (out / "labels.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"reply": []}', "expected a row with 'reply'"),
        ('{"reply": "{}", "text": 5}', "'text' should be a string, got 5"),
    ],
)
def test_a_line_of_replies_that_is_none_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text(f'{{"reply": "{{}}"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError, match=rf"replies\.jsonl:2: {message}"):
        connect("scripted", str(file), {})
