"""Files of rows are read alike whatever holds them, and every complaint names file and line."""

import gzip
import lzma
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.errors import DataError
from glinermt.jsonl import data_files, parse_row, read_jsonl, to_line, write_beside, write_jsonl

ROWS: list[dict[str, Any]] = [{"text": f"Zürich {i}", "n": i} for i in range(2500)]
ENDS = (".jsonl", ".jsonl.gz", ".jsonl.xz", ".jsonl.zst", ".parquet")


@pytest.mark.parametrize("end", ENDS)
def test_what_is_written_is_read_back_with_its_line_numbers(end: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{end}"
    assert write_jsonl(path, ROWS) == 2500
    assert list(read_jsonl(path)) == list(enumerate(ROWS, start=1))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("end", ENDS[1:])
def test_a_file_that_breaks_off_is_an_error_and_not_a_shorter_file(
    end: str, tmp_path: Path
) -> None:
    path = tmp_path / f"rows{end}"
    write_jsonl(path, ROWS)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"rows{end}:\d+: cannot be read"):
        list(read_jsonl(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"[1]", "expected a JSON object, got "),
        (b"{", "not JSON: "),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": "\xff"}', "not UTF-8 text"),
    ],
)
def test_a_bad_line_is_named_by_file_and_line(line: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"text": "a"}\n\n' + line + b"\n")
    with pytest.raises(DataError, match=rf"x\.jsonl:3: {message}"):
        list(read_jsonl(path))


def test_a_byte_order_mark_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n  \r\n{"a": 2}')
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (3, {"a": 2})]


@pytest.mark.parametrize(("end", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_files_of_other_programs_are_unpacked(end: str, pack: Any, tmp_path: Path) -> None:
    path = tmp_path / f"x.jsonl{end}"
    path.write_bytes(pack(b'{"a": 1}\n') + pack(b'{"a": 2}\n'))
    assert [row["a"] for _, row in read_jsonl(path)] == [1, 2]


@given(st.dictionaries(st.text(), st.text(st.characters()), max_size=3))
def test_any_string_survives_and_stays_on_one_line(row: dict[str, str]) -> None:
    line = to_line(row)
    assert len(line.decode().splitlines()) == 1
    assert parse_row(line, "here") == row


def test_lone_surrogates_are_escaped() -> None:
    assert to_line({"a": "\ud800"}) == b'{"a": "\\ud800"}\n'


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_jsonl(path, [{"a": 1}])
    with pytest.raises(KeyError):
        write_jsonl(path, ({"a": {}[i]} for i in range(3)))
    with pytest.raises(ZeroDivisionError), write_beside(path) as beside:
        beside.write_text(f"half {1 / 0}")
    assert list(read_jsonl(path)) == [(1, {"a": 1})]
    assert [file.name for file in tmp_path.iterdir()] == ["x.jsonl"]


def test_a_folder_without_such_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(DataError, match=r"the folder has no file that ends in \.jsonl, "):
        data_files(tmp_path)
    with pytest.raises(DataError, match=r"none\.jsonl: there is no such file"):
        data_files(tmp_path / "none.jsonl")


def test_parquet_keeps_what_only_later_rows_have(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows: list[dict[str, Any]] = [
        {"text": "a", "spans": [{"start": 0}]},
        *({"text": "b"} for _ in range(1500)),
        {"text": "c", "spans": [{"start": 1, "score": 0.5}], "relations": ["x"]},
    ]
    path = tmp_path / "rows.parquet"
    assert write_jsonl(path, iter(rows)) == len(rows)
    found = [row for _, row in read_jsonl(path)]
    assert found == [{**rows[0], "spans": [{"start": 0, "score": None}]}, *rows[1:]]


@pytest.mark.parametrize("value", ["x", {}, "\ud800"])
def test_what_parquet_cannot_hold_is_named(tmp_path: Path, value: object) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    with pytest.raises(DataError, match=r"/rows\.parquet: Parquet cannot hold these rows"):
        write_jsonl(path, [{"a": 1}, *([{"a": 2}] * 1000), {"a": value}])
    assert not path.exists()
