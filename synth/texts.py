"""Source texts from files, cut into passages between sentences.

    .jsonl .parquet     a field of each row
    .txt                a text a line
    .html .htm          the main text of a page (trafilatura)
    .pdf                the text of all its pages (pypdf)
    .xml .xml.bz2       the articles of a MediaWiki dump, without markup (mwparserfromhell)

The packages named come with ``glinermt[documents]``. Nothing in a file is executed or fetched.
"""

import bz2
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast
from xml.etree import ElementTree

from glinermt.errors import BackendError, DataError, UsageError
from glinermt.jsonl import ENDS as ROW_ENDS
from glinermt.jsonl import TEXT_ENDS, data_files, has_end, read_jsonl, read_lines
from glinermt.long_texts import split_sentences

_SPACES = re.compile(r"[ \t]*\n\s*\n\s*")
_NAMESPACE = re.compile(r"\{[^}]*\}")


def read_document(file: Path) -> Iterator[str]:
    """Yield the texts of a document: one, but of a dump one an article; of an empty one an empty.

    Raises:
        DataError: it cannot be read.
        BackendError: the package that reads it is not installed.
    """
    read = next(read for end, read in READERS.items() if file.name.casefold().endswith(end))
    number = 0
    try:
        for text in read(file):
            whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            tidy = _SPACES.sub("\n\n", whole).strip()
            if tidy:
                number += 1
                yield tidy
    except (OSError, EOFError, ValueError, ElementTree.ParseError) as error:
        raise DataError(f"{file}:0: cannot be read ({error}); check that it is whole") from error
    if not number:
        logging.getLogger(__name__).warning(
            "%s: there is no text in it; a PDF of pictures needs OCR first", file
        )
        yield ""


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
    except Exception as error:  # pypdf stumbles over damaged files in many ways
        raise UsageError(f"{type(error).__name__}: {error}") from error
    yield "\n\n".join(pages)


def _articles(file: Path) -> Iterator[str]:
    """Yield the articles of namespace 0 that are not redirects, each parsed by itself."""
    try:
        import mwparserfromhell
    except ImportError as error:
        raise _needs("a Wikipedia dump", "mwparserfromhell") from error
    with bz2.open(file) if has_end(file, [".bz2"]) else file.open("rb") as opened:
        stream = cast("IO[bytes]", opened)
        events = ElementTree.iterparse(stream, ("start", "end"))
        _, root = next(events)
        for event, element in events:
            if event == "start" or _name(element) != "page":
                continue
            parts = {_name(part): part for part in element.iter()}
            if "redirect" not in parts and _text(parts.get("ns")) == "0":
                code: Any = mwparserfromhell.parse(_text(parts.get("text")))
                yield code.strip_code()
            root.clear()  # with the page: a dump does not fit into memory


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


DOCUMENT_ENDS = tuple(READERS)
ENDS = (*ROW_ENDS, *TEXT_ENDS, *DOCUMENT_ENDS)
SHOWN = 5
"""Names in a warning."""
_TOKEN = re.compile(r"\w+|[^\w\s]")


def text_files(paths: Iterable[str]) -> list[Path]:
    """Return the files named, and those in folders named, in order.

    What else a folder has, such as folders, is named in a warning.

    Raises:
        DataError: one is missing or of no known kind, or a folder has none.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        found = data_files(path, ENDS)
        if not has_end(found[0], ENDS):
            raise DataError(f"{path}:0: expected a name that ends in {', '.join(ENDS)}")
        files.extend(found)
        if path.is_dir():
            _warn_of_others(path, found)
    return files


def _warn_of_others(folder: Path, found: Collection[Path]) -> None:
    others = [p.name for p in sorted(folder.iterdir()) if p not in found and p.name[0] not in "._"]
    if others:
        some = ", ".join(others[:SHOWN]) + (", ..." if len(others) > SHOWN else "")
        logging.getLogger(__name__).warning(
            "%s: %d files or folders in it are not read, as their names end in nothing known: %s",
            folder,
            len(others),
            some,
        )


def read_texts(files: Iterable[Path], field: str) -> Iterator[str]:
    """Yield the texts: ``field`` of each row, each line of a .txt file, or a whole document.

    Raises:
        DataError: a file cannot be read, or a row has no such text.
    """
    for file in files:
        if has_end(file, TEXT_ENDS):
            yield from (line.strip() for _, line in read_lines(file))
        elif has_end(file, DOCUMENT_ENDS):
            yield from read_document(file)
        else:
            yield from (_field(f"{file}:{n}", row, field) for n, row in read_jsonl(file))


def passages(text: str, most_tokens: int, least_tokens: int, language: str = "en") -> Iterator[str]:
    """Cut a text between sentences into passages; a sentence longer than that is left out."""
    if least_tokens <= num_tokens(text) <= most_tokens:
        yield text
        return
    start, end, size = 0, 0, 0
    for first, last in split_sentences(text, language):
        length = num_tokens(text[first:last])
        if size + length > most_tokens:
            if size >= least_tokens:
                yield text[start:end]
            size = 0
        if length > most_tokens:
            continue
        if not size:
            start = first
        end, size = last, size + length
    if size >= least_tokens:
        yield text[start:end]


def language_of(text: str) -> str:
    """Return the ISO 639-1 code of the language that py3langid takes a text for.

    Raises:
        BackendError: the package is not installed.
    """
    try:
        from py3langid import classify
    except ModuleNotFoundError as error:
        raise BackendError(
            "telling languages needs py3langid: pip install 'glinermt[documents]'"
        ) from error
    return str(classify(text)[0])


def num_tokens(text: str) -> int:
    """Return the number of words and punctuation marks."""
    return sum(1 for _ in _TOKEN.finditer(text))


def _field(where: str, row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise DataError(
            f"{where}: expected text in field {field!r}, found {value!r:.60}; "
            "name the right field with --field"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: field {field!r} has half of a surrogate pair, {value[error.start]!r}, at "
            f"character {error.start}; take it out, since no file can hold it"
        ) from error
    return value.strip()
