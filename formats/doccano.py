"""doccano: JSON lines of its projects of spans, of relations and of classes."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.formats.document import Document, Lost, given_span, names, text_of
from glinermt.formats.tokens import each_document, rows
from glinermt.jsonl import write_jsonl
from glinermt.types import Relation, Span


def read_doccano(path: Path, lost: Lost) -> Iterator[Document]:  # noqa: ARG001
    """Read JSON lines of doccano: ``label`` or ``labels`` of spans or names, or ``entities``."""
    yield from each_document(rows(path), _doccano_document)


def _doccano_document(row: Mapping[str, Any], where: str) -> Document:
    text = text_of(row, where)
    if "entities" in row:
        return _doccano_entities(text, row, where)
    labels = row.get("label", row.get("labels"))
    if labels and isinstance(labels, str | list) and isinstance(labels[0], str):
        return Document(text, classes=tuple(names(labels, where, "label")), unmarked=True)
    return Document(text, tuple(_triples(text, labels, where)))


def _doccano_entities(text: str, row: Mapping[str, Any], where: str) -> Document:
    spans: list[Span] = []
    by_id: dict[Any, Span] = {}
    for raw in row["entities"] or []:
        span = given_span(text, raw["start_offset"], raw["end_offset"], raw["label"], None, where)
        spans.append(span)
        if "id" in raw:  # only relations need it
            by_id[raw["id"]] = span
    relations = []
    for raw in row.get("relations") or []:
        head, tail = raw["from_id"], raw["to_id"]
        for end in (head, tail):
            if end not in by_id:
                raise DataError(f"{where}: a relation names {end!r}, which is no entity's id")
        relations.append(Relation(by_id[head], raw["type"], by_id[tail]))
    return Document(text, tuple(spans), tuple(relations))


def _triples(text: str, labels: Any, where: str) -> Iterator[Span]:
    if labels is None or labels == "":
        return
    if not isinstance(labels, list) or not all(
        isinstance(raw, list) and len(raw) == 3 for raw in labels
    ):
        raise DataError(
            f"{where}: 'label' should be a name, names, or [start, end, name] for each span, got "
            f"{labels!r:.80}"
        )
    for start, end, label in labels:
        yield given_span(text, start, end, label, None, where)


def write_doccano(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write JSON lines of one project type: of entities with relations, or of classes."""
    write_jsonl(path, _doccano_rows(documents, lost))


def _doccano_rows(documents: Iterable[Document], lost: Lost) -> Iterator[dict[str, Any]]:
    for document in documents:
        if document.unmarked and not (document.relations or document.classes):
            # Without a label it would say that there are no entities.
            lost["texts in which nobody looked for entities"] += 1
        else:
            yield _doccano_row(document, lost)


def _doccano_row(document: Document, lost: Lost) -> dict[str, Any]:
    ends = [side for r in document.relations for side in (r.head, r.tail)]
    spans = list(dict.fromkeys([*document.spans, *ends]))
    if document.classes and not spans:
        lost["notes that a text has no entities"] += not document.unmarked
        return {"text": document.text, "label": list(document.classes)}
    lost["notes that nobody looked for entities"] += document.unmarked
    lost["notes that no class holds"] += document.classes == ()
    lost["classes beside spans"] += len(document.classes or ())
    names = {span: i for i, span in enumerate(spans)}
    return {
        "text": document.text,
        "entities": [
            {"id": i, "start_offset": s.start, "end_offset": s.end, "label": s.label}
            for i, s in enumerate(spans)
        ],
        "relations": [
            {"id": i, "from_id": names[r.head], "to_id": names[r.tail], "type": r.label}
            for i, r in enumerate(document.relations)
        ],
    }
