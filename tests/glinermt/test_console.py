"""Reading texts: as UTF-8, with every character of the file where it stands."""

import io
import sys
from pathlib import Path

import pytest

from glinermt.console import read_text
from glinermt.errors import DataError


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
