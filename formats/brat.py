"""brat standoff: a folder with a ``.txt`` and an ``.ann`` file for each text."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from glinermt.errors import DataError, UsageError
from glinermt.formats.document import Document, Lost
from glinermt.jsonl import read_text, write_beside, write_text
from glinermt.types import Relation, Span

_ENTITY = re.compile(r"(T\S+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t(.*)")
_NUMBERED = re.compile(r"\d{5,}\.(?:txt|ann)")
_RELATION = re.compile(r"R\S+\t(\S+) \S+:(\S+) \S+:(\S+)\s*")
_OTHERS = {
    "E": "events", "A": "attributes", "M": "attributes", "N": "normalisations",
    "*": "equivalences", "#": "notes",
}  # fmt: skip


def read_brat(path: Path, lost: Lost) -> Iterator[Document]:
    """Read a folder, or one ``.ann`` or ``.txt`` file of it; entities and relations are read.

    An entity of several pieces is read as the whole from the first to the last of them.
    """
    texts = sorted(path.rglob("*.txt")) if path.is_dir() else [path.with_suffix(".txt")]
    if not texts:
        raise DataError(f"{path}: the folder has no .txt file")
    for file in texts:
        text, notes = _exact_text(file), file.with_suffix(".ann")
        yield _document(text, notes, lost) if notes.exists() else Document(text)


def _exact_text(path: Path) -> str:
    """Return the text with its line ends as they are: brat's offsets count them."""
    return read_text(path)


def _document(text: str, path: Path, lost: Lost) -> Document:
    spans: dict[str, Span] = {}
    relations = []
    # Texts may hold other ends of lines, such as U+2028.
    for number, line in enumerate(read_text(path).replace("\r\n", "\n").split("\n"), start=1):
        if entity := _ENTITY.fullmatch(line):
            name, label, places, said = entity.groups()
            numbers = [int(n) for n in re.findall(r"\d+", places)]
            start, end = min(numbers), max(numbers)
            found = text[start:end]
            if not found or (";" not in places and said.split() != found.split()):
                raise DataError(
                    f"{path}:{number}: {said!r:.60} is not at {start}:{end}, where {found!r:.60} is"
                )
            spans[name] = Span(start, end, found, _read(label))
            lost["gaps in entities of several pieces"] += places.count(";")
        elif relation := _RELATION.fullmatch(line):
            label, head, tail = relation.groups()
            missing = {head, tail} - spans.keys()
            if missing:
                raise DataError(f"{path}:{number}: there is no entity {sorted(missing)[0]}")
            relations.append(Relation(spans[head], _read(label), spans[tail]))
        elif line.startswith(("T", "R")):
            raise DataError(
                f"{path}:{number}: expected an entity or relation of brat, whose fields stand "
                f"between tabs, got {line!r:.80}"
            )
        elif line.strip():
            lost[_OTHERS.get(line[0], "other lines")] += 1
    return Document(text, tuple(spans.values()), tuple(relations))


def write_brat(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write a folder with ``00000.txt``, ``00000.ann`` and so on.

    brat's names have no spaces, so these become underscores, and underscores are read as spaces:
    names that come back otherwise are counted. brat's texts on one line have no line ends, so these
    become spaces. Numbered documents that the folder had before are removed.

    Raises:
        UsageError: the folder has documents of other names, which would stand among the new ones.
    """
    path.mkdir(parents=True, exist_ok=True)
    before = [file for file in sorted(path.rglob("*")) if file.suffix in (".txt", ".ann")]
    for file in before:
        if file.parent != path or not _NUMBERED.fullmatch(file.name):
            raise UsageError(
                f"{path}: it has {file.relative_to(path)}, which would stand among the new "
                "documents; name an empty folder"
            )
    written = set()
    for index, document in enumerate(documents):
        ends = [side for r in document.relations for side in (r.head, r.tail)]
        spans = list(dict.fromkeys([*document.spans, *ends]))
        names = {span: f"T{i}" for i, span in enumerate(spans, start=1)}
        lines = [
            f"{name}\t{_name(span.label)} {span.start} {span.end}\t{' '.join(span.text.split())}"
            for span, name in names.items()
        ]
        lines += [
            f"R{i}\t{_name(r.label)} Arg1:{names[r.head]} Arg2:{names[r.tail]}"
            for i, r in enumerate(document.relations, start=1)
        ]
        named = [s.label for s in spans] + [r.label for r in document.relations]
        lost["names that come back otherwise"] += sum(_read(_name(n)) != n for n in named)
        lost["empty texts"] += not document.text
        text, notes = path / f"{index:05d}.txt", path / f"{index:05d}.ann"
        with write_beside(text) as beside:
            beside.write_text(document.text, encoding="utf-8", newline="")
        write_text(notes, "".join(f"{line}\n" for line in lines))
        written |= {text, notes}
    for file in before:
        if file not in written:
            file.unlink()


def _name(label: str) -> str:
    return re.sub(r"\s+", "_", label.strip())


def _read(name: str) -> str:
    return name.replace("_", " ")
