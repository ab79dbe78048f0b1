"""The formats by name, how to tell which one a file has, and what reads and writes them."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glinermt.config import TaskSettings
from glinermt.errors import DataError, UsageError, unknown_choice
from glinermt.formats.brat import read_brat, write_brat
from glinermt.formats.docbin import read_docbin, write_docbin
from glinermt.formats.doccano import read_doccano, write_doccano
from glinermt.formats.document import Document, Lost, count_lost
from glinermt.formats.label_studio import read_label_studio, write_label_studio
from glinermt.formats.prodigy import read_prodigy, write_prodigy
from glinermt.formats.spacy_tuples import is_tuples, read_spacy_tuples, write_spacy_tuples
from glinermt.formats.tables import (
    read_csv,
    read_gliner2,
    read_squad,
    write_csv,
    write_gliner2,
    write_squad,
)
from glinermt.formats.tokens import (
    read_conll,
    read_gliner,
    read_token_classification,
    rows,
    write_conll,
    write_gliner,
    write_token_classification,
)
from glinermt.jsonl import read_jsonl, write_jsonl
from glinermt.tasks import TASKS
from glinermt.tasks.labels import read_labels, readable
from glinermt.tasks.questions import ANSWER, Question
from glinermt.tasks.task import example
from glinermt.types import Example, Query, Span

_log = logging.getLogger(__name__)
Read = Callable[[Path, Lost], Iterator[Document]]
Write = Callable[[Iterable[Document], Path, Lost], None]


class NoTextError(DataError):
    """A file is empty, or has nothing but what is passed over."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: there is no annotated text in it; is it the right file, and whole?"
        )


@dataclass(frozen=True, slots=True)
class Format:
    """A format of annotated texts."""

    read: Read
    write: Write
    holds: frozenset[str]
    """Of ``spans``, ``relations``, ``classes``, ``questions``, ``scores`` (of spans), and
    ``unmarked``: that nobody looked for entities in a text of which something else is said."""
    keys: frozenset[str] = frozenset()
    """Keys by which its first JSON row is known."""
    endings: tuple[str, ...] = ()
    """Of file names that have this format and no other."""


SPANS, RELATIONS, CLASSES, QUESTIONS = "spans", "relations", "classes", "questions"
UNMARKED, SCORES = "unmarked", "scores"
FORMATS = {
    "conll": Format(
        read_conll, write_conll, frozenset({SPANS}), endings=(".conll", ".bio", ".iob", ".tsv")
    ),
    "gliner": Format(
        read_gliner, write_gliner, frozenset({SPANS, RELATIONS}), frozenset({"tokenized_text"})
    ),
    "gliner2": Format(
        read_gliner2,
        write_gliner2,
        frozenset({SPANS, RELATIONS, CLASSES, UNMARKED}),
        frozenset({"input", "output"}),
    ),
    "label-studio": Format(
        read_label_studio,
        write_label_studio,
        frozenset({SPANS, RELATIONS, CLASSES, UNMARKED, SCORES}),
        frozenset({"data", "annotations"}),
    ),
    "prodigy": Format(
        read_prodigy,
        write_prodigy,
        frozenset({SPANS, RELATIONS, CLASSES, UNMARKED}),
        frozenset({"text", "answer"}),
    ),
    "doccano": Format(
        read_doccano,
        write_doccano,
        frozenset({SPANS, RELATIONS, CLASSES, UNMARKED}),
        frozenset({"text", "label"}),
    ),
    "brat": Format(read_brat, write_brat, frozenset({SPANS, RELATIONS}), endings=(".ann",)),
    "docbin": Format(
        read_docbin, write_docbin, frozenset({SPANS, CLASSES, UNMARKED}), endings=(".spacy",)
    ),
    "spacy-tuples": Format(
        read_spacy_tuples,
        write_spacy_tuples,
        frozenset({SPANS, CLASSES, UNMARKED}),
        frozenset({"classes", "annotations"}),
        endings=(".py",),
    ),
    "hf": Format(
        read_token_classification,
        write_token_classification,
        frozenset({SPANS}),
        frozenset({"tokens", "ner_tags"}),
    ),
    "csv": Format(read_csv, write_csv, frozenset({CLASSES}), endings=(".csv",)),
    "squad": Format(read_squad, write_squad, frozenset({QUESTIONS}), frozenset({"data"})),
}
OURS = "glinermt"
"""Our own format: a line of JSON for each Example."""


def detect(path: Path) -> str:
    """Return the name of the format that a file or folder has, by its name and first row.

    Raises:
        DataError: it cannot be told, or there is no such file.
    """
    if path.is_dir():
        if any(path.rglob("*.ann")):
            return "brat"
        raise DataError(f"{path}: a folder without .ann files; name a file in it, or --from")
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    for name, form in FORMATS.items():
        if path.name.endswith(form.endings or ("\0",)):
            return name
    if path.suffix == ".txt":
        return "conll"
    if is_tuples(path):
        return "spacy-tuples"
    return _detect_row(path)


def _detect_row(path: Path) -> str:
    """Return the format that the keys of the first row of JSON show."""
    first = next(rows(path), None)
    if first is None:
        raise NoTextError(path)
    keys = set(first[1])
    if {"text", "labels", "spans"} <= keys:
        return OURS
    if "data" in keys and keys & {"annotations", "predictions"}:
        return "label-studio"  # what nobody has annotated yet has predictions only
    for name, form in FORMATS.items():
        if form.keys and form.keys <= keys:
            return name
    if "text" in keys and keys & {"entities", "labels"}:
        return "doccano"
    raise DataError(
        f"{path}: its format cannot be told from the keys {sorted(keys)}; name one of "
        f"{', '.join([OURS, *FORMATS])} with --from"
    )


def read_documents(path: str | Path, format: str = "auto") -> list[Document]:
    """Read an annotated file or folder as Documents.

    Of our own format, what several Examples say of one text is one Document. What a Document cannot
    hold is counted in a warning.

    Raises:
        DataError: it cannot be read; the message names the file and the line or entry.
        ValueError: there is no such format.
    """
    path, lost = Path(path), Lost()
    documents = _documents(path, detect(path) if format == "auto" else format, lost)
    if +lost:
        counts = ", ".join(f"{number:,} {what}" for what, number in sorted((+lost).items()))
        _log.warning("%s: left out: %s", path, counts)
    return documents


def _documents(path: Path, name: str, lost: Lost) -> list[Document]:
    if name == OURS:
        return _merged(_own(path), lost)
    if name not in FORMATS:
        raise UsageError(unknown_choice("format", name, [OURS, "auto", *FORMATS]))
    return list(FORMATS[name].read(path, lost))


def read_examples(
    path: str | Path,
    format: str = "auto",
    *,
    labels: Sequence[str] | None = None,
    settings: TaskSettings | None = None,
) -> list[Example]:
    """Read an annotated file as training examples, worded as the tasks ask.

    Args:
        path: file or folder.
        format: its format; ``auto`` tells by name and first row.
        labels: what was looked for in every text; None = all labels that the file has.
        settings: of the model to train, whose wordings are used; None = the tasks' own.

    Raises:
        DataError: the file cannot be read, has no text, or a label that is not among ``labels``.
        ValueError: there is no such format.
    """
    path = Path(path)
    name = detect(path) if format == "auto" else format
    if name == OURS:
        return list(_own(path))
    documents = read_documents(path, name)
    if not documents:
        raise NoTextError(path)
    return _as_examples(documents, path, labels, settings)


def _as_examples(
    documents: Sequence[Document],
    path: Path,
    labels: Sequence[str] | None = None,
    settings: TaskSettings | None = None,
) -> list[Example]:
    known = {
        SPANS: _names(s.label for d in documents if d.question is None for s in d.spans),
        RELATIONS: _names(r.label for d in documents for r in d.relations),
        CLASSES: _names(c for d in documents for c in d.classes or ()),
    }
    if labels is not None:
        unknown = set(known[SPANS]) - set(labels)
        if unknown:
            raise DataError(f"{path}: label {sorted(unknown)[0]!r} is not among {list(labels)}")
        known[SPANS] = list(labels)
    many = any(len(d.classes or ()) > 1 for d in documents)
    force = settings or TaskSettings()
    return [e for d in documents for e in _examples(d, known, many, force)]


def convert(source: str | Path, target: str | Path, to: str, format: str = "auto") -> Lost:
    """Convert a file; return what was left out, counted: not read, or not held by the target.

    Raises:
        DataError: the source cannot be read, or has no text.
        ValueError: there is no such format.
    """
    if to not in (OURS, *FORMATS):
        raise UsageError(unknown_choice("format", to, [OURS, *FORMATS]))
    lost: Lost = Lost()
    source, target = Path(source), Path(target)
    name = detect(source) if format == "auto" else format
    if name == to == OURS:
        write_jsonl(target, (e.to_dict() for e in _own(source)))
        return lost
    documents = _documents(source, name, lost)
    if not documents and not +lost:
        raise NoTextError(source)
    if to == OURS:
        write_jsonl(target, (e.to_dict() for e in _as_examples(documents, source)))
        labels = [s.label for d in documents if d.question is None for s in d.spans]
        lost["names that come back otherwise"] += sum(readable(n) != n for n in labels)
        return +lost
    form = FORMATS[to]
    form.write(count_lost(documents, form.holds, lost), target, lost)
    return +lost


def _names(labels: Iterable[str]) -> list[str]:
    return sorted(set(labels))


def _examples(
    document: Document, known: dict[str, list[str]], many: bool, settings: TaskSettings
) -> Iterator[Example]:
    """Yield what a document teaches, one example for each task it speaks of."""
    if document.question is not None:
        asked = Question(document.question)
        yield example(ANSWER, document.text, asked, document.spans, settings)
        return
    if known[SPANS] and not document.unmarked:
        labels = read_labels(known[SPANS])
        yield example(TASKS["entities"], document.text, labels, document.spans, settings)
    if document.relations:
        ends = dict.fromkeys(s for r in document.relations for s in (r.head, r.tail))
        entities = tuple(dict.fromkeys([*document.spans, *ends]))
        query = Query(document.text, (), relations=tuple(known[RELATIONS]), entities=entities)
        yield Example(query, (), task="relations", relations=document.relations)
    if document.classes is not None and known[CLASSES]:
        query = Query(document.text, (), classes=tuple(known[CLASSES]))
        yield Example(query, (), task="classify", classes=document.classes, multi_label=many)


def _own(path: Path) -> Iterator[Example]:
    number = 0
    for number, row in read_jsonl(path):
        try:
            yield Example.from_dict(row)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from error
    if not number:
        raise NoTextError(path)


def _merged(examples: Iterable[Example], lost: Lost) -> list[Document]:
    """Return a Document for each text, with all that its Examples say, and one for each question.

    Left apart, each would seem to say that what the others found is not there.
    """
    merged: dict[object, Document] = {}
    given: dict[str, set[tuple[int, int]]] = {}
    for number, one in enumerate(examples):
        lost["ranges of which nobody said what is in them"] += len(one.silent)
        lost["texts of which only some pairs were judged"] += one.judged is not None
        query = one.query
        given.setdefault(query.text, set()).update((s.start, s.end) for s in query.entities or ())
        classes = one.classes if query.classes else None
        unmarked = not query.labels and not one.spans
        said = Document(query.text, one.spans, one.relations, classes, unmarked=unmarked)
        if query.prompt and one.task not in ("entities", "redact", "classify"):
            question = query.prompt if one.task == "answer" else None
            merged[number] = replace(said, question=question)
            continue
        before = merged.get(query.text)
        merged[query.text] = said if before is None else _both(before, said)
    for text, places in given.items():
        if document := merged.get(text):
            ends = [side for r in document.relations for side in (r.head, r.tail)]
            known = {(span.start, span.end) for span in (*document.spans, *ends)}
            lost["entities that only relations were asked between"] += len(places - known)
    return [_typed(document) for document in merged.values()]


def _typed(document: Document) -> Document:
    """Return the Document with a label on every end of a relation: its entity's, or ``entity``.

    Entities are labelled as they are asked for, ``home city``, and ends may say ``home_city``.
    """
    at = {(s.start, s.end, label): s for s in document.spans for label in ("", readable(s.label))}

    def typed(end: Span) -> Span:
        own = replace(end, label=end.label or "entity")
        return at.get((end.start, end.end, readable(end.label) if end.label else ""), own)

    relations = tuple(
        replace(r, head=typed(r.head), tail=typed(r.tail)) for r in document.relations
    )
    return replace(document, relations=relations)


def _both(one: Document, other: Document) -> Document:
    """Return all that two Documents say of the same text."""
    classes = one.classes
    if other.classes is not None:
        classes = tuple(dict.fromkeys([*(classes or ()), *other.classes]))
    return Document(
        one.text,
        tuple(dict.fromkeys([*one.spans, *other.spans])),
        tuple(dict.fromkeys([*one.relations, *other.relations])),
        classes,
        unmarked=one.unmarked and other.unmarked,
    )
