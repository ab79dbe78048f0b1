"""Texts out of documents: web pages, PDF files, and the dumps of Wikipedia.

    .html .htm          the main text of a page (trafilatura)
    .pdf                the text of all its pages (pypdf)
    .xml .xml.bz2       the articles of a MediaWiki dump, without markup (mwparserfromhell)

The packages come with ``glinermt[documents]``. Nothing in a file is executed or fetched.
"""

import bz2
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast
from xml.etree import ElementTree

from glinermt.errors import BackendError, DataError, UsageError

_SPACES = re.compile(r"[ \t]*\n\s*\n\s*")
_NAMESPACE = re.compile(r"\{[^}]*\}")


def read_document(file: Path) -> Iterator[str]:
    """Yield the texts of a document: one, but of a dump one an article.

    Raises:
        DataError: it cannot be read, or has no text.
        BackendError: the package that reads it is not installed.
    """
    read = next(read for end, read in READERS.items() if file.name.casefold().endswith(end))
    number = 0
    try:
        for text in read(file):
            tidy = _SPACES.sub("\n\n", text).strip()
            if tidy:
                number += 1
                yield tidy
    except (OSError, EOFError, ValueError, ElementTree.ParseError) as error:
        raise DataError(f"{file}:0: cannot be read ({error}); check that it is whole") from error
    if not number:
        raise DataError(f"{file}:0: there is no text in it; a PDF of pictures needs OCR first")


def _page(file: Path) -> Iterator[str]:
    try:
        import trafilatura
    except ImportError as error:
        raise _needs("HTML", "trafilatura") from error
    yield trafilatura.extract(file.read_bytes(), include_comments=False) or ""


def _pdf(file: Path) -> Iterator[str]:
    try:
        import pypdf
    except ImportError as error:
        raise _needs("PDF", "pypdf") from error
    try:
        pages = [page.extract_text() for page in pypdf.PdfReader(file).pages]
    except pypdf.errors.PyPdfError as error:
        raise UsageError(str(error)) from error
    yield "\n\n".join(pages)


def _articles(file: Path) -> Iterator[str]:
    """Yield the articles of namespace 0 that are not redirects, each parsed by itself."""
    try:
        import mwparserfromhell
    except ImportError as error:
        raise _needs("a Wikipedia dump", "mwparserfromhell") from error
    with bz2.open(file) if file.suffix == ".bz2" else file.open("rb") as opened:
        stream = cast("IO[bytes]", opened)
        for _, element in ElementTree.iterparse(stream):
            if _name(element) != "page":
                continue
            parts = {_name(part): part for part in element.iter()}
            if "redirect" not in parts and _text(parts.get("ns")) == "0":
                code: Any = mwparserfromhell.parse(_text(parts.get("text")))
                yield code.strip_code()
            element.clear()  # a dump does not fit into memory


def _name(element: ElementTree.Element) -> str:
    return _NAMESPACE.sub("", element.tag)


def _text(element: ElementTree.Element | None) -> str:
    return (element.text or "") if element is not None else ""


def _needs(what: str, package: str) -> BackendError:
    return BackendError(f"reading {what} needs {package}: pip install 'glinermt[documents]'")


READERS: dict[str, Callable[[Path], Iterator[str]]] = {
    ".html": _page,
    ".htm": _page,
    ".pdf": _pdf,
    ".xml": _articles,
    ".xml.bz2": _articles,
}
