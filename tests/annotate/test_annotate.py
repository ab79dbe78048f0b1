"""Jobs over many documents: hostile rows, what is refused, going on, and being killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glinermt import cli
from glinermt.annotate import Engine, annotate, shard
from glinermt.annotate.job import Job
from glinermt.errors import ConfigError, DataError, UsageError
from tests.annotate.jobs import LABELS, SHARD, TEXTS, write_jsonl, written

HOSTILE = [
    b'{"text": "bill gates in paris."}\n',
    b'{"text": null}\n',
    b'{"other": 1}\n',
    b"\n",
    b"not json\n",
    b'{"text": "\xff\xfe"}\n',
    b'{"text": "\\ud800"}\n',
    b'{"text": {"nested": ["deep"]}}\n',
    b"[1, 2]\n",
    b"[" * 5000 + b"\n",
    json.dumps({"text": "x" * 3000}).encode() + b"\n",
    b'{"text": ""}\n',
    b'{"text": "paris."}',
]


def test_hostile_rows_are_recorded_and_the_others_read(tmp_path: Path, model: str) -> None:
    path = tmp_path / "hostile.jsonl"
    path.write_bytes(b"".join(HOSTILE))
    out = tmp_path / "out"
    report = annotate(path, out, "entities", LABELS, model=model, max_chars=2000)
    rows = written(out)
    assert [row["row"] for row in rows] == list(range(len(HOSTILE)))
    assert [row["row"] for row in rows if row["status"] == "ok"] == [0, 11, 12]
    assert report.counts.errors == 10
    assert all(row["error"] for row in rows if row["status"] == "error")
    assert "no field 'text'" in rows[2]["error"]
    assert "longer than max_chars 2,000" in rows[10]["error"]
    assert "report.md" in {p.name for p in out.iterdir()}


def test_hostile_columns_of_parquet_are_recorded_and_kept(tmp_path: Path, exported: str) -> None:
    strings = [b"bill gates", b"\xff\xfe\xfd", b"paris.", None, b"x" * 5_000_000, b""]
    text = pa.array(strings, pa.binary()).view(pa.string())  # as a careless writer leaves it
    nested = [{"deep": [i, None], "more": {"b": b"\xff"}} for i in range(6)]
    pairs = pa.array([[("a", i)] for i in range(6)], pa.map_(pa.string(), pa.int8()))
    data = pa.table({"text": text, "nested": nested, "pairs": pairs, "raw": strings})
    pq.write_table(data, tmp_path / "a.parquet")
    for kind in ("parquet", "jsonl"):
        out = tmp_path / kind
        report = annotate(
            tmp_path / "a.parquet", out, "entities", LABELS, model=exported, format=kind
        )
        assert (report.counts.rows, report.counts.errors) == (6, 3)
    rows = [json.loads(line) for line in (tmp_path / "jsonl" / SHARD).read_bytes().splitlines()]
    assert [row["status"] for row in rows] == ["ok", "error", "ok", "error", "error", "ok"]
    assert "no text but bytes: b'\\xff\\xfe\\xfd'" in rows[1]["error"]
    assert "no text but NoneType" in rows[3]["error"]
    assert "5,000,000 characters" in rows[4]["error"]
    table = pq.read_table(tmp_path / "parquet" / SHARD.replace("jsonl", "parquet"))
    assert table.select(data.column_names).equals(data)
    annotate(
        tmp_path / "a.parquet", tmp_path / "raw", "entities", LABELS, model=exported, field="raw"
    )
    errors = (
        pq.read_table(tmp_path / "raw" / SHARD.replace("jsonl", "parquet"), columns=["error"])
        .column("error")
        .to_pylist()
    )
    assert {error.split(":")[0] for error in errors} == {
        "'raw' is no text but bytes",
        "'raw' is no text but NoneType",
    }


def test_a_row_the_task_fails_on_does_not_harm_its_neighbours(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glinermt.annotate.job import Job

    run = Job.run

    def fails(job: Job, texts: list[str], loaded: Any) -> list[Any]:
        if any("number 7" in text for text in texts):
            raise RuntimeError("out of luck")
        return run(job, texts, loaded)

    path = write_jsonl(tmp_path / "a.jsonl", [{"text": t} for t in TEXTS])
    monkeypatch.setattr(Job, "run", fails)
    annotate(path, tmp_path / "out", "entities", LABELS, model=model)
    failed = [row for row in written(tmp_path / "out") if row["status"] == "error"]
    assert [(row["row"], row["error"]) for row in failed] == [(7, "RuntimeError: out of luck")]
    monkeypatch.setattr(Job, "run", run)
    report = annotate(path, tmp_path / "out", "entities", LABELS, model=model, retry_failed=True)
    assert report.counts.errors == 0
    assert {row["status"] for row in written(tmp_path / "out")} == {"ok"}
    assert len(written(tmp_path / "out")) == len(TEXTS)


def test_a_retry_killed_before_its_counts_are_written_is_done_again(
    tmp_path: Path, exported: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "paris."}, {"text": None}])
    out = tmp_path / "out"
    annotate(path, out, "entities", LABELS, model=exported)
    write_whole = shard.write_whole

    def killed(place: str, data: bytes) -> None:
        if "_stats" in place:
            raise KeyboardInterrupt
        write_whole(place, data)

    monkeypatch.setattr(shard, "write_whole", killed)
    with pytest.raises(KeyboardInterrupt):
        annotate(path, out, "entities", LABELS, model=exported, retry_failed=True)
    monkeypatch.setattr(shard, "write_whole", write_whole)
    asked = []
    report = annotate(
        path,
        out,
        "entities",
        LABELS,
        model=exported,
        retry_failed=True,
        watch=lambda *seen: asked.append(seen),
    )
    assert len(asked) == 1
    assert (report.counts.rows, report.counts.errors) == (2, 1)


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_failed_rows_are_retried_in_a_job_that_was_stopped(
    tmp_path: Path, stub: str, format: str
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": t} for t in (None, "paris.", "bill.")])

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    job: dict[str, Any] = {"model": stub, "shard_rows": 1, "format": format}
    with pytest.raises(KeyboardInterrupt):
        annotate(path, tmp_path / "out", "entities", LABELS, watch=stop, **job)
    report = annotate(path, tmp_path / "out", "entities", LABELS, retry_failed=True, **job)
    assert [row["status"] for row in written(tmp_path / "out")] == ["error", "ok", "ok"]
    assert (report.counts.rows, report.counts.errors) == (3, 1)


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_columns_called_as_ours_are_kept_under_another_name(
    ending: str, format: str, tmp_path: Path, stub: str
) -> None:
    row = {"text": "paris.", "source": "wiki", "input_source": "old", "result": "mine"}
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    elif ending == "csv":
        path.write_text("\n".join([",".join(row), ",".join(row.values())]))
    else:
        write_jsonl(path, [row])
    renamed = {"input_input_source": "wiki", "input_source": "old", "input_result": "mine"}
    annotate(path, tmp_path / "all", "entities", LABELS, model=stub, format=format)
    annotate(
        path, tmp_path / "kept", "entities", LABELS, model=stub, format=format, keep=tuple(row)
    )
    (whole,), (kept,) = written(tmp_path / "all"), written(tmp_path / "kept")
    assert (kept["source"], kept["status"]) == (str(path), "ok")
    assert renamed.items() <= kept.items()
    if format == "parquet" and ending != "parquet":
        assert json.loads(whole["input"]) == row
    else:
        assert renamed.items() <= whole.items()


def test_a_timeout_that_cannot_be_kept_is_refused_before_the_work(
    tmp_path: Path, stub: str
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "paris."}])
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(
            annotate, path, tmp_path / "out", "entities", LABELS, model=stub, timeout=5
        )
        with pytest.raises(ConfigError, match=r"timeout: 5 seconds .* main thread"):
            job.result()
    assert not (tmp_path / "out").exists()


def test_a_slow_row_is_given_up(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glinermt.annotate.job import Job

    run = Job.run

    def slow(job: Job, texts: list[str], loaded: Any) -> list[Any]:
        if any("number 3" in text for text in texts):
            time.sleep(30)
        return run(job, texts, loaded)

    monkeypatch.setattr(Job, "run", slow)
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": t} for t in TEXTS[2:5]])
    annotate(path, tmp_path / "out", "entities", LABELS, model=model, timeout=3)
    rows = written(tmp_path / "out")
    assert [row["status"] for row in rows] == ["ok", "error", "ok"]
    assert "more than" in rows[1]["error"]


def test_causes_of_failure_do_not_differ_by_row(tmp_path: Path, stub: str) -> None:
    rows = [{f"other {i}": ""} for i in range(20)] + [{"text": "a" * i} for i in range(11, 20)]
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "Ada"}, *rows])
    report = annotate(file, tmp_path / "out", "entities", LABELS, model=stub, max_chars=10)
    causes = {"no field 'text'": 20, "longer than max_chars 10": 9}
    assert dict(report.counts.failures) == causes


def test_counts_that_are_lost_are_made_again(tmp_path: Path, stub: str) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "Ada"}] * 6)
    out = tmp_path / "out"
    first = annotate(file, out, "entities", LABELS, model=stub, shard_rows=2)
    stats = sorted((out / shard.STATS).iterdir())
    stats[0].unlink()
    stats[1].write_text('{"rows": 2')
    again = annotate(file, out, "entities", LABELS, model=stub, shard_rows=2)
    assert again.counts.rows == first.counts.rows == 6
    assert again.counts.labels == first.counts.labels


def test_what_a_kill_or_a_full_disk_leaves_half_written_is_removed(
    tmp_path: Path, stub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "Ada"}])
    out = tmp_path / "out"
    out.mkdir()
    (out / ".part-00000-00000000.parquet.4711").write_bytes(b"half")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            annotate(file, out, "entities", LABELS, model=stub)
    assert [path.name for path in out.rglob("*") if path.is_file()] == [".lock"]


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ({"name": "ray", "devices": ("cpu",)}, "those of engine 'local'"),
        ({"name": "ray", "threads": 2}, "those of engine 'local'"),
        ({"gpus": 1.0}, "those of engine 'ray'"),
        ({"name": "ray", "workers": (4, 2)}, "least and greatest"),
    ],
)
def test_options_that_would_do_nothing_are_refused(engine: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Engine(**engine)


def test_a_device_that_is_not_here_fails_no_row(tmp_path: Path, model: str) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "Ada"}])
    engine = Engine(devices=("nowhere",))
    with pytest.raises(UsageError, match="'nowhere' cannot be used here"):
        annotate(file, tmp_path / "out", "entities", LABELS, model=model, engine=engine)
    assert not list((tmp_path / "out").glob("part-*"))


def test_the_threads_of_a_job_in_one_process_are_set(
    tmp_path: Path, stub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(Job, "load_model", lambda *_, **options: asked.append(options))
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "Ada"}])
    engine = Engine(threads=3)
    annotate(file, tmp_path / "out", "entities", LABELS, model=stub, engine=engine)
    assert {"threads": 3} in asked


def test_another_job_is_refused_in_the_same_folder_unless_forced(
    tmp_path: Path, model: str
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": t} for t in TEXTS])
    out = tmp_path / "out"
    annotate(path, out, "entities", LABELS, model=model)
    other = {"labels": ["city"]}
    with pytest.raises(ConfigError, match=r"holds another job: arguments was .*--force"):
        annotate(path, out, "entities", other, model=model)
    write_jsonl(path, [{"text": "paris."}])
    with pytest.raises(ConfigError, match="holds another job: inputs was"):
        annotate(path, out, "entities", LABELS, model=model)
    annotate(path, out, "entities", other, model=model, force=True)
    assert len(written(out)) == 1


def test_force_forgets_shards_whose_manifest_is_gone(tmp_path: Path, stub: str) -> None:
    path, out = write_jsonl(tmp_path / "a.jsonl", [{"text": "Ada"}]), tmp_path / "out"
    annotate(path, out, "entities", LABELS, model=stub)
    (out / "manifest.json").unlink()
    write_jsonl(path, [{"text": "Grace"}])
    annotate(path, out, "entities", LABELS, model=stub, force=True)
    assert [row["result"][0]["text"] for row in written(out)] == ["Grace"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "entitys"}, "unknown task 'entitys' .did you mean 'entities'"),
        ({"result": "status"}, "a column of every output"),
        ({"format": "csv"}, "unknown format"),
    ],
)
def test_impossible_jobs_are_refused(
    tmp_path: Path, model: str, change: dict[str, Any], message: str
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "paris."}])
    settings = {"task": "entities", "arguments": LABELS, "model": model, **change}
    with pytest.raises(ConfigError, match=message):
        annotate(path, tmp_path / "out", **settings)


def test_arguments_that_the_task_refuses_stop_the_job_before_it_begins(
    tmp_path: Path, model: str
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "paris."}])
    with pytest.raises(ValueError, match="threshold"):
        annotate(
            path, tmp_path / "out", "entities", {"labels": ["city"], "threshold": 3}, model=model
        )
    assert not written(tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({**LABELS, "threshold": 3}, "threshold"), ({**LABELS, "tresholds": 1}, "'tresholds'")],
)
def test_arguments_that_the_task_refuses_are_told_where_no_input_has_a_row(
    tmp_path: Path, model: str, arguments: dict[str, Any], message: str
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [])
    with pytest.raises(ValueError, match=message):
        annotate(path, tmp_path / "out", "entities", arguments, model=model)
    assert annotate(path, tmp_path / "out", "entities", LABELS, model=model).counts.rows == 0


def test_a_job_that_cannot_begin_leaves_the_folder_as_it_was(tmp_path: Path, model: str) -> None:
    path, out = write_jsonl(tmp_path / "a.jsonl", [{"text": "paris."}]), tmp_path / "out"
    with pytest.raises(ConfigError, match=r"task 'answer': .* argument: 'question'"):
        annotate(path, out, "answer", model=model)
    annotate(path, out, "entities", LABELS, model=model)  # no other job has begun there
    before = written(out)
    with pytest.raises(ConfigError, match=r"task 'entities': .* argument 'question'"):
        annotate(path, out, "entities", {**LABELS, "question": "?"}, model=model, force=True)
    assert written(out) == before


def test_lines_are_json_where_a_column_has_no_number(tmp_path: Path, stub: str) -> None:
    path = tmp_path / "a.parquet"
    columns = {"text": ["a", "b"], "price": [float("nan"), 2.5], "deep": [[float("inf")], [1.0]]}
    pq.write_table(pa.table(columns), path)
    annotate(path, tmp_path / "out", "entities", LABELS, model=stub, format="jsonl")
    lines = (tmp_path / "out" / "part-00000-00000000.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [row["price"] for row in rows] == [None, 2.5]
    assert [row["deep"] for row in rows] == [[None], [1.0]]


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_records_say_why_they_are_not_valid(format: str, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "Ada Lovelace was born in London."}])
    asked = {"person": {"type": "string"}, "phone": {"type": "string"}}
    schema = {"type": "object", "properties": asked, "required": ["phone"]}
    arguments = {"schema": schema, "on_invalid": "keep"}
    annotate(path, tmp_path / "out", "records", arguments, format=format)
    ((record,),) = (row["result"] for row in written(tmp_path / "out"))
    assert record["error"] == "'phone' is a required property"


def test_the_command_says_in_a_log_how_far_it_is(
    tmp_path: Path, stub: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}] * 4)
    options = ["--out", str(tmp_path / "out"), "--task", "entities", "--labels", "person"]
    command = ["annotate", str(path), *options, "--model", stub, "--shard-rows", "1"]
    cli.app(command, standalone_mode=False)
    said = capsys.readouterr().err
    assert all(f"entities: {share}%" in said for share in (25, 50, 75, 100))


def test_the_command_takes_relations_with_the_types_of_their_ends(
    tmp_path: Path, stub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def nothing(job: Job, texts: list[str], _: object) -> list[list[Any]]:
        asked.append(job.arguments["relations"])
        return [[] for _ in texts]

    monkeypatch.setattr(Job, "run", nothing)
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}])
    command = ["annotate", str(path), "--out", str(tmp_path / "out"), "--task", "relations"]
    command += ["--model", stub, "--relations"]
    cli.app([*command, "born in: person > city | town, led"], standalone_mode=False)
    born = {"head": ["person"], "tail": ["city", "town"]}
    assert asked[-1] == {"born in": born, "led": {}}
    with pytest.raises(UsageError, match="or 'name: head type > tail type'"):
        cli.app([*command, "born in person > city"], standalone_mode=False)


def test_jsonl_output_keeps_the_fields_of_the_input(tmp_path: Path, model: str) -> None:
    rows = [{"text": t, "meta": {"deep": [i, None]}} for i, t in enumerate(TEXTS)]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    out = tmp_path / "out"
    annotate(path, out, "entities", LABELS, model=model, format="jsonl", shard_rows=7)
    assert [{k: r[k] for k in ("text", "meta")} for r in written(out)] == rows
    other = tmp_path / "other"
    annotate(path, other, "entities", LABELS, model=model, keep=("meta",))
    assert [json.loads(row["meta"]) for row in written(other)] == [row["meta"] for row in rows]


def test_several_processes_give_the_same_bytes_as_one(tmp_path: Path, model: str) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": t} for t in TEXTS])
    one, two = tmp_path / "one", tmp_path / "two"
    annotate(path, one, "entities", LABELS, model=model, shard_rows=3)
    engine = Engine(devices=("cpu", "cpu"))
    annotate(path, two, "entities", LABELS, model=model, shard_rows=3, engine=engine)
    for path in one.glob("part-*"):
        assert path.read_bytes() == (two / path.name).read_bytes()


def start(path: Path, out: Path, model: str, processes: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "glinermt", "annotate", str(path), "--out", str(out)]
    command += ["--task", "entities", "--labels", "person|city", "--model", model]
    command += ["--shard-rows", "1", "--processes", str(processes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_killed_at_any_moment_loses_and_doubles_nothing(
    processes: int, tmp_path: Path, exported: str
) -> None:
    check_kills(tmp_path, exported, kills=20, texts=400, processes=processes)


def test_a_job_killed_loses_and_doubles_nothing(tmp_path: Path, exported: str) -> None:
    check_kills(tmp_path, exported, kills=1, texts=40, processes=1)


def check_kills(tmp_path: Path, model: str, kills: int, texts: int, processes: int) -> None:
    rows = [{"text": f"{TEXTS[i % 23]} {i}"} for i in range(texts)]
    path, out = write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "out"
    rng = random.Random(0)
    for kill in range(kills):
        job = start(path, out, model, processes)
        wanted = (kill + 1) * texts // (kills + 1)
        limit = time.monotonic() + 600
        while len(list(out.glob("part-*"))) < wanted:
            assert job.poll() is None, job.communicate()
            assert time.monotonic() < limit
            time.sleep(0.01)
        time.sleep(rng.random() / 5)
        os.kill(job.pid, signal.SIGKILL)
        job.communicate()
    last = start(path, out, model, processes)
    output, _ = last.communicate(timeout=600)
    assert last.returncode == 0, output.decode()
    fresh = tmp_path / "fresh"
    annotate(path, fresh, "entities", {"labels": ["person", "city"]}, model=model, shard_rows=1)
    assert [row["row"] for row in written(out)] == list(range(texts))
    for path in fresh.glob("part-*"):
        assert path.read_bytes() == (out / path.name).read_bytes()


def test_two_jobs_cannot_write_one_folder(tmp_path: Path, model: str) -> None:
    from filelock import FileLock

    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "paris."}])
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(DataError, match="another process"):
        annotate(path, tmp_path / "out", "entities", LABELS, model=model)


def test_a_ray_window_holds_few_shards_that_bring_their_rows() -> None:
    from glinermt.annotate.ray import WINDOW, windows
    from glinermt.annotate.rows import Row, Shard
    from glinermt.annotate.sources import Source

    light = [Shard(f"part-{i}", Source("a.jsonl", "jsonl"), i, 1) for i in range(3 * WINDOW)]
    heavy = [replace(shard, rows=(Row(0, {}),)) for shard in light]
    assert [len(w) for w in windows(light, 2 * WINDOW)] == [2 * WINDOW, WINDOW]
    assert [len(w) for w in windows(heavy, 2 * WINDOW)] == [WINDOW] * 3
    assert [s.name for w in windows(heavy, 2) for s in w] == [s.name for s in heavy]
