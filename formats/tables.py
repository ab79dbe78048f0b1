"""Formats of single tasks: CSV for classification, SQuAD's JSON for questions, gliner2's lines."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from glinermt.csv_tables import csv_rows
from glinermt.errors import DataError
from glinermt.formats.document import Document, Lost, names
from glinermt.formats.tokens import each_document, rows
from glinermt.jsonl import read_text, write_jsonl, write_text
from glinermt.types import Relation, Span

_SEPARATOR = "|"
"""Between the classes of a CSV row that has several."""


def read_csv(path: Path, lost: Lost) -> Iterator[Document]:
    """Read columns ``text`` and ``label`` (or ``labels``); several labels stand between ``|``."""
    table = _table(path)
    _, header = next(table, (1, []))
    if not header:
        return
    known = [i for i, n in enumerate(header) if n.lower() in ("label", "labels", "class")]
    if "text" not in header or not known:
        raise DataError(f"{path}:1: expected columns 'text' and 'label', got {header}")
    if len(known) > 1 or header.count("text") > 1:
        raise DataError(f"{path}:1: expected one column 'text' and one 'label', got {header}")
    lost["other columns"] += len(header) - 2
    for line, row in table:
        if len(row) != len(header):
            raise DataError(
                f"{path}:{line}: expected {len(header)} columns, got {len(row)}; a text with "
                "commas stands in quotes"
            )
        labels = [name.strip() for name in row[known[0]].split(_SEPARATOR)]
        classes = tuple(name for name in labels if name)
        yield Document(row[header.index("text")], classes=classes, unmarked=True)


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with the number of its first line."""
    try:
        for line, row, is_open in csv_rows(io.StringIO(read_text(path), newline="")):
            if is_open:
                raise DataError(
                    f"{path}:{line}: a quote is opened here that nothing closes up to the end of "
                    "the file; double the quotes that belong to a text"
                )
            yield line, row
    except csv.Error as error:
        raise DataError(f"{path}: not CSV: {error}") from error


def write_csv(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write columns ``text`` and ``label``."""
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["text", "label"])
    for document in documents:
        if document.classes is None:
            lost["documents without a class"] += 1
        else:
            writer.writerow([document.text, _SEPARATOR.join(document.classes)])
            lost["names that come back otherwise"] += sum(
                _SEPARATOR in name or name != name.strip() for name in document.classes
            )
    write_text(path, table.getvalue())


def read_squad(path: Path, lost: Lost) -> Iterator[Document]:
    """Read SQuAD's JSON, version 1 or 2; a question's answers are its spans."""
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}:1: not JSON: {error}") from error
    yield from each_document(_questions(data, path), partial(_question, lost))


def _questions(data: Any, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each question with its context and where it stands: its id, for whoever mends it."""
    for article, one in enumerate(_items(data, "data", f"{path}: no SQuAD file"), start=1):
        of_article = f"{path}: article {article}"
        for number, paragraph in enumerate(_items(one, "paragraphs", of_article), start=1):
            where = f"{of_article}, paragraph {number}"
            for place, raw in enumerate(_items(paragraph, "qas", where), start=1):
                if not isinstance(raw, dict):
                    raise DataError(f"{where}: question {place} is no object but {raw!r:.60}")
                name = repr(raw["id"]) if "id" in raw else f"{place} of paragraph {number}"
                row = {**raw, "context": paragraph.get("context")}
                yield f"{of_article}, question {name}", row


def _items(raw: Any, key: str, where: str) -> list[Any]:
    found = raw.get(key) if isinstance(raw, dict) else None
    if not isinstance(found, list):
        raise DataError(f"{where}: expected an object with a list in {key!r}, got {raw!r:.60}")
    return found


def _question(lost: Lost, row: Mapping[str, Any], where: str) -> Document:
    text, question, spans = row["context"], row["question"], {}
    for name, value in (("context", text), ("question", question)):
        if not isinstance(value, str):
            raise DataError(f"{where}: expected a string in {name!r}, got {value!r:.60}")
    for answer in row.get("answers") or []:
        start, said = answer["answer_start"], answer["text"]
        if type(start) is not int or not said or start < 0 or not text.startswith(said, start):
            raise DataError(f"{where}: answer {said!r:.60} is not at {start}")
        spans[start, start + len(said)] = Span(start, start + len(said), said, "answer")
    lost["plausible answers"] += len(row.get("plausible_answers") or ())
    return Document(text, tuple(spans.values()), question=question)


def write_squad(documents: Iterable[Document], path: Path, lost: Lost) -> None:  # noqa: ARG001
    """Write SQuAD 2.0's JSON, one paragraph for each question."""
    paragraphs = [
        {
            "context": document.text,
            "qas": [
                {
                    "id": str(number),
                    "question": document.question,
                    "is_impossible": not document.spans,
                    "answers": [
                        {"text": span.text, "answer_start": span.start} for span in document.spans
                    ],
                }
            ],
        }
        for number, document in enumerate(documents)
    ]
    data = {"version": "v2.0", "data": [{"title": "", "paragraphs": paragraphs}]}
    write_text(path, json.dumps(data, ensure_ascii=False) + "\n")


def read_gliner2(path: Path, lost: Lost) -> Iterator[Document]:
    """Read ``{"input", "output"}``: gliner2 says what stands in the text and not where.

    Every place where it stands is a span, as gliner2 itself trains.
    """
    yield from each_document(rows(path), partial(_gliner2_document, lost))


def _gliner2_document(lost: Lost, row: Mapping[str, Any], where: str) -> Document:
    text, output = row.get("input", row.get("text")), row.get("output", row.get("schema"))
    if not isinstance(text, str) or not isinstance(output, dict):
        raise DataError(f"{where}: expected 'input' and 'output', got {sorted(row)}")
    spans = [
        span
        for label, mentions in (output.get("entities") or {}).items()
        for mention in names(mentions, where, label)
        for span in _everywhere(text, mention, label, where)
    ]
    relations = [
        Relation(_first(text, ends["head"], where), name, _first(text, ends["tail"], where))
        for one in output.get("relations") or []
        for name, ends in one.items()
    ]
    for key in output.keys() - {"entities", "relations", "classifications"}:
        lost[key] += len(output[key] or ())
    chosen = [c.get("true_label") for c in output.get("classifications") or []]
    classes = [name for c in chosen for name in names(c or [], where, "true_label")]
    return Document(
        text,
        tuple(spans),
        tuple(relations),
        tuple(classes) if chosen else None,
        unmarked="entities" not in output,
    )


def _everywhere(text: str, mention: str, label: str, where: str) -> Iterator[Span]:
    start = text.find(mention) if mention else -1
    if start < 0:
        raise DataError(f"{where}: {mention!r:.60} is not in the text")
    while start >= 0:
        yield Span(start, start + len(mention), mention, label)
        start = text.find(mention, start + len(mention))


def _first(text: str, mention: str, where: str) -> Span:
    return next(_everywhere(text, mention, "entity", where))


def write_gliner2(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write ``{"input", "output"}`` lines; the places of mentions are lost, and that is counted."""
    write_jsonl(path, (_gliner2_row(document, lost) for document in documents))


def _gliner2_row(document: Document, lost: Lost) -> dict[str, Any]:
    entities: dict[str, list[str]] = {}
    for span in document.spans:
        mentions = entities.setdefault(span.label, [])
        if span.text not in mentions:
            mentions.append(span.text)
    ends = {side for r in document.relations for side in (r.head, r.tail)}
    lost["places of mentions that stand elsewhere, too"] += sum(
        document.text.count(span.text) > 1 for span in {*document.spans, *ends}
    )
    output: dict[str, Any] = {} if document.unmarked else {"entities": entities}
    if document.relations:
        output["relations"] = [
            {r.label: {"head": r.head.text, "tail": r.tail.text}} for r in document.relations
        ]
    if document.classes is not None:
        names = list(document.classes)
        output["classifications"] = [{"task": "class", "labels": names, "true_label": names}]
    return {"input": document.text, "output": output}
