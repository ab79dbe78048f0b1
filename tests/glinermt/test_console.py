"""Reading texts: as UTF-8, with every character of the file where it stands."""

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from glinermt.console import Milestones, printable, read_text, to_json
from glinermt.errors import DataError
from glinermt.types import Span


def test_a_file_has_at_most_a_hundred_lines_of_a_jobs_way_and_a_terminal_none() -> None:
    for terminal, number in ((False, 100), (True, 0)):
        shown = io.StringIO()
        lines = Milestones(Console(file=shown, force_terminal=terminal), "rows")
        for done in range(1, 1001):
            lines.show(done / 1000, f"{done} of 1000")
        said = shown.getvalue().splitlines()
        assert len(said) == number
        assert said[-1:] == (["rows 100% 1000 of 1000"] if number else [])


@pytest.fixture(params=["file", "standard input"])
def source(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def read(source: str, content: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read the content from a file, or from standard input under another locale."""
    file = folder / "text.txt"
    file.write_bytes(content)
    stdin = io.TextIOWrapper(io.BytesIO(content), encoding="cp1252")
    monkeypatch.setattr(sys, "stdin", stdin)
    return read_text("-" if source == "standard input" else str(file))


@pytest.mark.parametrize("text", ["Dear\r\n\r\nAnn Lee\r", "Łódź\n東京", ""])
def test_every_character_is_kept(
    source: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(source, text.encode(), tmp_path, monkeypatch) == text


def test_a_byte_order_mark_is_not_counted(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(source, "Öl".encode("utf-8-sig"), tmp_path, monkeypatch) == "Öl"


def test_what_is_no_text_is_named(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"file": r"text\.txt"}.get(source, source)
    with pytest.raises(DataError, match=f"{name}: not UTF-8 text"):
        read(source, b"\xff\xfe", tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\u241b[2Jb"),
        ("bell\x07 null\x00 del\x7f", "bell\u2407 null\u2400 del\u2421"),
        ("two\r\nlines\tof\r text\n", "two \nlines\tof\u240d text\n"),
        ("\x9b2J \u2028 \u202e.", "\ufffd2J \ufffd \ufffd."),
        ("Łódź 東京 👍🏽 café", "Łódź 東京 👍🏽 café"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_as_a_picture(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert len(printable(text)) == len(text)


def test_json_is_one_line_whatever_the_text() -> None:
    text = "a\u2028b\u2029c\x85d\x1be\x7ff"
    line = to_json([Span(0, len(text), text, "x")])
    assert json.loads(line)[0]["text"] == text
    assert len(line.decode().splitlines()) == 1
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in line.decode())
