"""Reading source texts."""

import gzip
from pathlib import Path

import pytest

from glinermt.errors import DataError
from glinermt.synth.texts import read_texts


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne.\r\nTwo.\r\n")
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "Three."}\n')
    files = [tmp_path / "a.txt", tmp_path / "b.jsonl"]
    assert list(read_texts(files, "text")) == ["One.", "Two.", "Three."]


def test_a_damaged_archive_and_a_wrong_encoding_are_named(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"some text that is here\n" * 50))
    packed[10] = 0xFF  # no such kind of block
    (tmp_path / "a.txt.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"a\.txt\.gz:0: cannot be read"):
        list(read_texts([tmp_path / "a.txt.gz"], "text"))
    (tmp_path / "b.txt").write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"b\.txt:2: not UTF-8"):
        list(read_texts([tmp_path / "b.txt"], "text"))
