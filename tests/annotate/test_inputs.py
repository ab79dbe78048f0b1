"""Inputs of a job: every kind of file, packed, with other delimiters, broken, or not there."""

import bz2
import csv
import gzip
import json
import lzma
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glinermt.annotate import annotate, rows
from glinermt.errors import ConfigError, DataError
from tests.annotate.jobs import LABELS, SHARD, TEXTS, write_jsonl, written

PACK = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: pytest.importorskip("zstandard").compress(data),
}


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


def test_missing_and_unknown_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.jsonl: no such file or folder"):
        annotate(tmp_path / "no.jsonl", tmp_path / "out", "entities", LABELS)
    (tmp_path / "a.docx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.docx: not known by its name"):
        annotate(tmp_path / "a.docx", tmp_path / "out", "entities", LABELS)
