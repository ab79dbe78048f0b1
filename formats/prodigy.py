"""Prodigy: what ``prodigy db-out`` writes, and examples to import or to correct."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from glinermt.formats.document import Document, Lost, given_span, names, text_of
from glinermt.formats.tokens import each_document, rows
from glinermt.jsonl import write_jsonl
from glinermt.types import Relation, Span


def read_prodigy(path: Path, lost: Lost, *, unsaid: str = "accept") -> Iterator[Document]:
    """Read what ``prodigy db-out`` writes; rejected and ignored examples are passed over.

    ``unsaid`` is the answer of examples that have none.
    """
    yield from each_document(_accepted(path, lost, unsaid), _prodigy_document)


def _accepted(path: Path, lost: Lost, unsaid: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, row in rows(path):
        if row.get("answer", unsaid) == "accept":
            yield where, row
        else:
            lost["examples that were not accepted"] += 1


def _prodigy_document(row: Mapping[str, Any], where: str) -> Document:
    text = text_of(row, where)
    spans = [
        given_span(text, s.get("start"), s.get("end"), s.get("label"), None, where)
        for s in row.get("spans") or []
    ]
    relations = []
    for raw in row.get("relations") or []:
        head, tail = (
            given_span(
                text,
                raw[f"{side}_span"]["start"],
                raw[f"{side}_span"]["end"],
                raw[f"{side}_span"].get("label") or "entity",
                None,
                where,
            )
            for side in ("head", "child")
        )
        relations.append(Relation(head, raw["label"], tail))
    classes = row.get("accept") if "options" in row else row.get("label")
    said = None if classes is None else tuple(names(classes, where, "accept"))
    unmarked = "spans" not in row and (said is not None or bool(relations))
    return Document(text, tuple(spans), tuple(relations), said, unmarked=unmarked)


def write_prodigy(documents: Iterable[Document], path: Path, lost: Lost) -> None:  # noqa: ARG001
    """Write JSON lines for Prodigy; classes are options that are accepted."""
    write_jsonl(path, map(_prodigy_row, documents))


def _prodigy_row(document: Document) -> dict[str, Any]:
    def place(span: Span) -> dict[str, Any]:
        return {"start": span.start, "end": span.end, "label": span.label}

    row: dict[str, Any] = {"text": document.text, "answer": "accept"}
    if not document.unmarked:
        row["spans"] = [place(span) for span in document.spans]
    if document.relations:
        row["relations"] = [
            {"head_span": place(r.head), "child_span": place(r.tail), "label": r.label}
            for r in document.relations
        ]
    if document.classes is not None:
        row["options"] = [{"id": name, "text": name} for name in document.classes]
        row["accept"] = list(document.classes)
    return row


def write_unanswered(documents: Iterable[Document], path: Path) -> None:
    """Write examples that nobody has accepted or rejected yet."""
    answered = map(_prodigy_row, documents)
    write_jsonl(path, ({k: v for k, v in row.items() if k != "answer"} for row in answered))
