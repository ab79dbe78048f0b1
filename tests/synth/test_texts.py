"""Source texts from lines, rows, web pages, PDF files and Wikipedia dumps."""

import bz2
import gc
import gzip
from pathlib import Path
from xml.etree import ElementTree

import pytest

from glinermt.errors import DataError
from glinermt.synth.checks.passages import Benchmarks
from glinermt.synth.plan import PlanCounts, planned
from glinermt.synth.settings import Settings
from glinermt.synth.texts import READERS, read_texts, text_files

FIRST = (
    "Marie Curie was born in Warsaw in 1867 and later moved to Paris, where she studied physics."
)
SECOND = "In 1903 she won the Nobel Prize with Pierre Curie, her husband, for work on radiation."


def read(path: Path) -> list[str]:
    return list(read_texts(text_files([str(path)]), "text"))


def test_a_page_gives_its_main_text_without_menus_and_scripts(tmp_path: Path) -> None:
    pytest.importorskip("trafilatura")
    (tmp_path / "a.html").write_text(
        "<html><head><title>Curie</title><script>var secret = 1;</script></head><body>"
        "<nav><a href='/'>Home</a> <a href='/login'>Log in</a></nav>"
        f"<article><h1>Life</h1><p>{FIRST}</p><p>{SECOND}</p></article>"
        "<footer>Cookie settings</footer></body></html>",
        encoding="utf-8",
    )
    (text,) = read(tmp_path)
    assert FIRST in text
    assert SECOND in text
    assert not [word for word in ("secret", "Log in", "Cookie") if word in text]


def test_a_pdf_gives_the_text_of_its_pages_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    matplotlib = pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure = Figure(figsize=(8, 2))
        figure.text(0.05, 0.5, "Born in Warsaw in 1867")
        figure.savefig(tmp_path / "a.pdf")
    (text,) = read(tmp_path)
    assert text == "Born in Warsaw in 1867"
    damaged = (tmp_path / "a.pdf").read_bytes().replace(b"/FlateDecode", b"/FlateDecodX")
    (tmp_path / "a.pdf").write_bytes(damaged)
    with pytest.raises(DataError, match=r"a\.pdf:0: cannot be read \(NotImplementedError"):
        read(tmp_path)


def test_half_a_surrogate_pair_is_named_in_a_row_and_replaced_in_a_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = '{"text": "Marie"}\n{"text": "Marie \\ud83d Curie \\ud83d\\ude00"}\n'
    (tmp_path / "a.jsonl").write_text(row, encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl:2: field 'text' has half of a surrogate pair"):
        read(tmp_path)
    pypdf = pytest.importorskip("pypdf")
    file = tmp_path / "b.pdf"
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(file)
    monkeypatch.setattr(pypdf.PageObject, "extract_text", lambda _: "Marie \ud83d Curie")
    assert read(file) == ["Marie \ufffd Curie"]


def test_an_empty_document_stops_no_folder_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, ".pdf", lambda _: iter(["\n"]))
    (tmp_path / "SCAN.PDF").write_bytes(b"pictures")
    (tmp_path / "b.txt").write_text(f"{FIRST}\n", encoding="utf-8")
    (tmp_path / "c.jsonl").write_text('{"text": " "}\n', encoding="utf-8")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "notes.docx").write_bytes(b"PK")
    assert read(tmp_path) == ["", FIRST, ""]
    assert "SCAN.PDF: there is no text in it" in caplog.text
    assert "1 files or folders in it are not read" in caplog.text
    assert "notes.docx" in caplog.text
    counts = PlanCounts()
    settings = Settings(texts=(str(tmp_path),), tasks=("entities",), least_tokens=5, similarity=1)
    assert len(list(planned(settings, Benchmarks(()), counts))) == 1
    assert (counts.texts, counts.drops) == (3, {"text: empty": 2})


DUMP = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">
<page><title>Curie</title><ns>0</ns><revision><text>'''Marie Curie''' was a
[[physicist|scientist]].{{citation needed}} She lived in [[Paris]].</text></revision></page>
<page><title>M. Curie</title><ns>0</ns><redirect title="Curie"/><revision><text>#REDIRECT
[[Curie]]</text></revision></page>
<page><title>Talk:Curie</title><ns>1</ns><revision><text>I disagree.</text></revision></page>
</mediawiki>"""


def test_a_dump_is_not_held_in_memory(tmp_path: Path) -> None:
    pytest.importorskip("mwparserfromhell")
    page = f"<page><ns>0</ns><revision><text>{FIRST * 40}</text></revision></page>"
    (tmp_path / "a.xml").write_text(f"<mediawiki>{page * 60}</mediawiki>")
    texts = read_texts([tmp_path / "a.xml"], "text")
    held = 0
    for _ in texts:
        held = sum(type(thing) is ElementTree.Element for thing in gc.get_objects())
    assert held < 30


@pytest.mark.parametrize("name", ["a.xml", "a.xml.bz2"])
def test_a_dump_gives_articles_without_markup(name: str, tmp_path: Path) -> None:
    pytest.importorskip("mwparserfromhell")
    packed = bz2.compress(DUMP.encode()) if name.endswith("bz2") else DUMP.encode()
    (tmp_path / name).write_bytes(packed)
    (text,) = read(tmp_path)
    assert text.split() == "Marie Curie was a scientist. She lived in Paris.".split()


@pytest.mark.parametrize(
    ("name", "content", "package"),
    [
        ("a.pdf", b"no pdf", "pypdf"),
        ("a.xml", b"<mediawiki><page>", "mwparserfromhell"),
        ("a.xml.bz2", bz2.compress(DUMP.encode())[:-20], "mwparserfromhell"),
    ],
)
def test_what_cannot_be_read_is_named(
    name: str, content: bytes, package: str, tmp_path: Path
) -> None:
    pytest.importorskip(package)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}:0: "):
        read(tmp_path)


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
