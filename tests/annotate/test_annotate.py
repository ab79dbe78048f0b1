"""Jobs over many documents: every input kind, hostile rows, going on, and being killed."""

import bz2
import csv
import gzip
import json
import lzma
import os
import random
import re
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
from glinermt.annotate import Engine, annotate, rows, shard
from glinermt.annotate.job import Job
from glinermt.errors import ConfigError, DataError, UsageError
from tests.tiny_models import tiny_model

LABELS = {"labels": ["person", "city"], "threshold": 0.5}
PACK = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: pytest.importorskip("zstandard").compress(data),
}
TEXTS = [f"bill gates founded microsoft in paris number {i}." for i in range(23)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a tiny model, small enough to be loaded in every process."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model(tmp_path_factory.mktemp("encoder")).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of an exported tiny model, with which a process starts without torch."""
    pytest.importorskip("onnx", reason="needs the extra [export]")
    folder = tmp_path_factory.mktemp("exported")
    tiny_model(tmp_path_factory.mktemp("encoder"), kind="bert").export_onnx(folder)
    return str(folder)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> str:
    """Make jobs load no model and find each text's first word; return the model's name."""
    from glinermt.types import Span

    def first_words(_: Job, texts: list[str], __: object) -> list[list[Span]]:
        words = [text.split()[:1] for text in texts]
        return [[Span(0, len(word), word, "person", 0.9) for word in each] for each in words]

    monkeypatch.setattr(Job, "load_model", lambda *_, **__: None)
    monkeypatch.setattr(Job, "run", first_words)
    return "a/stub"


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def written(out: Path) -> list[dict[str, Any]]:
    """Return all output rows in the order of the shards."""
    rows = []
    for path in sorted(out.glob("part-*")):
        if path.suffix == ".parquet":
            rows += pq.read_table(path).to_pylist()
        else:
            rows += [json.loads(line) for line in path.read_bytes().splitlines()]
    return rows


def test_every_row_of_every_kind_of_file_comes_out_once_with_its_spans(
    tmp_path: Path, model: str
) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    write_jsonl(inputs / "a.jsonl", [{"text": t, "id": i} for i, t in enumerate(TEXTS)])
    with gzip.open(inputs / "b.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"text": t}) + "\n" for t in TEXTS)
    with (inputs / "c.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["id", "text"], *([i, f"{t}\nnext"] for i, t in enumerate(TEXTS))]
        )
    pq.write_table(
        pa.table({"text": TEXTS, "n": pa.array(range(23), pa.int8())}),
        inputs / "d.parquet",
        row_group_size=4,
    )
    (inputs / "e.txt").write_text("\ufeffbill gates in paris.", encoding="utf-8")
    report = annotate(inputs, tmp_path / "out", "entities", LABELS, model=model, shard_rows=5)
    rows = written(tmp_path / "out")
    assert (report.counts.rows, report.counts.errors) == (len(rows), 0) == (4 * 23 + 1, 0)
    places = [(row["source"], row["row"]) for row in rows]
    assert len(set(places)) == len(places)
    spans = [span for row in rows for span in row["result"]]
    assert spans
    of_parquet = [row for row in rows if row["source"].endswith(".parquet")]
    assert [row["n"] for row in of_parquet] == list(range(23))
    for row in of_parquet:
        assert all(row["text"][s["start"] : s["end"]] == s["text"] for s in row["result"])
    kinds = pq.read_schema(next((tmp_path / "out").glob("part-00003-*.parquet")))
    assert kinds.field("n").type == pa.int8()
    assert kinds.field("result").type.value_type.field("start").type == pa.int32()


SHARD = "part-00000-00000000.jsonl"
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


def test_a_csv_whose_index_has_no_header_is_read_and_kept(tmp_path: Path, stub: str) -> None:
    pandas = pytest.importorskip("pandas")
    path, out = tmp_path / "a.csv", tmp_path / "out"
    pandas.DataFrame({"text": TEXTS[:2], "id": [7, 8]}).to_csv(path)
    with path.open("a") as file:
        file.write("2,paris.,9,more\n")
    annotate(path, out, "entities", LABELS, model=stub, format="jsonl")
    rows = written(out)
    assert [row["status"] for row in rows] == ["ok", "ok", "error"]
    assert [(row[""], row["id"]) for row in rows] == [("0", "7"), ("1", "8"), ("2", "9")]
    assert "more fields than the header names: ['more']" in rows[2]["error"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("text,note,note", r"a\.csv:1: columns 2 and 3 are both called 'note'"),
        ("text,,", r"a\.csv:1: columns 2 and 3 have no name"),
    ],
)
def test_a_csv_with_two_columns_of_one_name_is_refused(
    header: str, message: str, tmp_path: Path, stub: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\nparis.,a,b\n")
    with pytest.raises(DataError, match=message):
        annotate(path, tmp_path / "out", "entities", LABELS, model=stub)


def test_a_parquet_file_with_two_columns_of_one_name_is_refused(tmp_path: Path, stub: str) -> None:
    table = pa.Table.from_arrays([pa.array(["paris."]), pa.array(["x"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: columns 1 and 2 are both called 'text'"):
        annotate(tmp_path / "a.parquet", tmp_path / "out", "entities", LABELS, model=stub)


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "jsonl.gz"])
def test_a_field_that_no_row_has_is_refused_before_the_work(
    ending: str, tmp_path: Path, stub: str
) -> None:
    path, row = tmp_path / f"a.{ending}", {"text": "paris.", "id": "x"}
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    elif ending == "csv":
        path.write_text("text,id\nparis.,x\n")
    else:
        line = json.dumps(row).encode()
        path.write_bytes(gzip.compress(line) if ending.endswith("gz") else line)
    with pytest.raises(ConfigError, match=r"column of texts 'txet' .did you mean 'text'"):
        annotate(path, tmp_path / "out", "entities", LABELS, model=stub, field="txet")
    assert not list(tmp_path.glob("out/*.json"))


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


def test_a_column_to_keep_that_no_input_has_is_refused(tmp_path: Path, stub: str) -> None:
    pq.write_table(pa.table({"text": ["paris."], "title": ["x"]}), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text("text,id\nparis.,1\n")
    inputs = [tmp_path / "a.parquet", tmp_path / "b.csv"]
    with pytest.raises(ConfigError, match=r"column to keep 'titel' .did you mean 'title'"):
        annotate(inputs, tmp_path / "out", "entities", LABELS, model=stub, keep=("id", "titel"))
    report = annotate(
        inputs, tmp_path / "out", "entities", LABELS, model=stub, keep=("id", "title")
    )
    assert (report.counts.rows, report.counts.errors) == (2, 0)


def test_an_output_inside_its_input_is_not_read(tmp_path: Path, stub: str) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"text": "paris."}])
    out = tmp_path / "out"
    for force in (False, False, True):
        report = annotate(
            tmp_path, out, "entities", LABELS, model=stub, format="jsonl", force=force
        )
        assert report.counts.rows == 1
    with pytest.raises(ConfigError, match=r"lies in the output folder .*; name another"):
        annotate(out / SHARD, out, "entities", LABELS, model=stub, force=True)
    assert len(written(out)) == 1


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


@pytest.mark.parametrize("ending", [".gz", ".xz", ".bz2", ".zst"])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_packed_inputs_are_read_and_broken_ones_named(
    tmp_path: Path, stub: str, kind: str, ending: str
) -> None:
    rows = {"jsonl": '{"text": "Ada"}\n' * 500, "csv": "text\n" + "Ada\n" * 500, "txt": "Ada"}
    whole = PACK[ending](rows[kind].encode())
    file = tmp_path / f"a.{kind}{ending}"
    file.write_bytes(whole)
    report = annotate(file, tmp_path / "out", "entities", LABELS, model=stub)
    assert (report.counts.rows, report.counts.errors) == (1 if kind == "txt" else 500, 0)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=re.escape(f"{file}: cannot be read")):
        annotate(file, tmp_path / "cut", "entities", LABELS, model=stub)


def test_a_broken_parquet_file_is_named(tmp_path: Path, stub: str) -> None:
    file = tmp_path / "a.parquet"
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read"):
        annotate(file, tmp_path / "out", "entities", LABELS, model=stub)


def test_files_of_a_folder_that_are_not_read_are_told(tmp_path: Path, stub: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in (("a.txt", "Ada"), ("b.json", "{}"), ("c.docx", ""), (".hidden", "")):
        (folder / name).write_text(text)
    (folder / "empty.txt").write_text("")
    (folder / "empty.csv").write_text("")
    report = annotate(folder, tmp_path / "out", "entities", LABELS, model=stub)
    assert [Path(name).name for name in report.left_out] == ["b.json", "c.docx"]
    assert "2 files were not read" in (tmp_path / "out" / "report.md").read_text()


def test_a_file_is_not_read_twice(tmp_path: Path, stub: str) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "Ada"}])
    with pytest.raises(ConfigError, match=r"a\.jsonl is given twice"):
        annotate([file, tmp_path], tmp_path / "out", "entities", LABELS, model=stub)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id;text\n1;"Ada; Grace, Kay"\n2;Kay\n'),
        ("a.csv", "id\ttext\n1\tAda; Grace, Kay\n2\tKay\n"),
        ("a.tsv", "id\ttext\n1\tAda; Grace, Kay\n2\tKay\n"),
        ("a.tsv", "text\nAda; Grace, Kay\nKay\n"),
        ("a.json", '[{"text": "Ada; Grace, Kay"},\n {"text": "Kay"}]'),
        ("a.json", '{"text": "Ada; Grace, Kay"}\n{"text": "Kay"}\n'),
    ],
)
def test_tables_with_other_delimiters_and_lists_in_json_are_read(
    tmp_path: Path, stub: str, name: str, content: str
) -> None:
    file, out = tmp_path / name, tmp_path / "out"
    file.write_text(content, encoding="utf-8")
    report = annotate(file, out, "entities", LABELS, model=stub, keep=("text",))
    assert (report.counts.rows, report.counts.errors) == (2, 0)
    assert [row["text"] for row in written(out)] == ["Ada; Grace, Kay", "Kay"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "Ada"},\n {"text": ', r"a\.json: not JSON: .* check that it is whole"),
        ('{"rows": []}', "unknown column of texts 'text': choose from 'rows'"),
        ('[{"text": "Ada"}]' + " " * 50, r"larger than 0 MiB, .* write its objects as JSON lines"),
    ],
)
def test_a_file_of_json_that_is_no_list_of_rows_stops_the_job(
    tmp_path: Path, stub: str, monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    monkeypatch.setattr(rows, "MOST_JSON", 50)
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    with pytest.raises((ConfigError, DataError), match=message):
        annotate(tmp_path / "a.json", tmp_path / "out", "entities", LABELS, model=stub)


def test_one_file_under_two_spellings_is_one_job(
    tmp_path: Path, stub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "a.jsonl", [{"text": "Ada"}])
    annotate("a.jsonl", "out", "entities", LABELS, model=stub)
    for again in ("./a.jsonl", ".//a.jsonl"):
        assert annotate(again, "out", "entities", LABELS, model=stub).counts.rows == 1
    assert [row["source"] for row in written(tmp_path / "out")] == ["a.jsonl"]


def test_a_quote_that_nothing_closes_is_a_failed_row_and_swallows_none_silently(
    tmp_path: Path, stub: str
) -> None:
    file = tmp_path / "a.csv"
    file.write_text('id,text\n1,Ada\n2,"Grace\n3,Edsger\n', encoding="utf-8")
    report = annotate(file, tmp_path / "out", "entities", LABELS, model=stub)
    assert (report.counts.rows, report.counts.errors) == (2, 1)
    error = written(tmp_path / "out")[1]["error"]
    assert error == "a quote is opened in it that nothing closes up to the end of the file"


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


def test_missing_and_unknown_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.jsonl: no such file or folder"):
        annotate(tmp_path / "no.jsonl", tmp_path / "out", "entities", LABELS)
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.docx: not known by its name"):
        annotate(tmp_path / "a.docx", tmp_path / "out", "entities", LABELS)


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
