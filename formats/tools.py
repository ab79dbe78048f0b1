"""Exports of annotation tools: Label Studio, Prodigy, doccano."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from glinermt.errors import DataError, UsageError, unknown_choice
from glinermt.formats.document import Document, Lost, Utf16, names
from glinermt.formats.tokens import each_document, rows
from glinermt.jsonl import write_jsonl, write_text
from glinermt.types import Relation, Span

FROM, TO, TEXT, CHOICE = "label", "text", "text", "choice"
"""Names of the tags in Label Studio's labelling configuration, as we write them."""
REGIONS = ("labels", "hypertextlabels")
"""What the values of its results call the labels of a piece of the text."""
MARKED = "entities_marked"
"""Key in a task's data, which Label Studio keeps: false where nobody has looked for entities."""


def read_label_studio(path: Path, lost: Lost) -> Iterator[Document]:
    """Read a JSON export: the first annotation of each task that was not cancelled.

    A task that nobody annotated is read with its first prediction. One that was skipped, so that
    nobody said what is in it, is passed over; so is one with neither. Label Studio counts UTF-16
    units where its offsets come from a browser. A text in which nobody looked for entities is told
    from one without any by ``entities_marked`` in its data, which is ours. Choices that are made of
    a region say nothing of the text as a whole and are passed over.
    """
    yield from _label_studio(path, lost, predictions=True)


def _label_studio(path: Path, lost: Lost, *, predictions: bool) -> Iterator[Document]:
    def read(task: Mapping[str, Any], where: str) -> Document | None:
        said = task.get("annotations") or []
        annotations = [each for each in said if not each.get("was_cancelled")]
        if predictions and not said:
            annotations = task.get("predictions") or []
        lost["tasks that were skipped, or not annotated"] += not annotations
        lost["annotations after a task's first"] += len(annotations[1:])
        if not annotations:
            return None
        data = task.get("data") or {}
        text = data[_text_key(data, where)]
        document = _label_studio_document(text, annotations[0].get("result") or [], where, lost)
        ends = {side for r in document.relations for side in (r.head, r.tail)}
        if data.get(MARKED) is False and ends.issuperset(document.spans):
            return replace(document, spans=(), unmarked=True)
        return document

    yield from each_document(rows(path), read)


def _text_key(data: Mapping[str, Any], where: str) -> str:
    if isinstance(data.get("text"), str):
        return "text"
    strings = [key for key, value in data.items() if isinstance(value, str)]
    if len(strings) != 1:
        raise DataError(f"{where}: data has no 'text', and {len(strings)} other strings")
    return strings[0]


def _label_studio_document(text: Any, results: list[Any], where: str, lost: Lost) -> Document:
    units = Utf16(text)
    spans: list[Span] = []
    by_id: dict[str, Span] = {}
    classes: list[str] | None = None
    for result in results:
        value = result.get("value") or {}
        for kind in REGIONS:
            if kind in value:
                start, end = (units.to_characters(place) for place in _places(value, where))
                given = names(value[kind], where, kind) or [""]  # which is refused
                said = value.get("text")
                own = [_span(text, start, end, label, said, where) for label in given]
                by_id.setdefault(result.get("id", ""), own[0])
                spans += own
        if "choices" in value and "start" not in value:
            classes = [*(classes or []), *names(value["choices"], where, "choices")]
        elif "choices" in value:
            lost["choices made of a region"] += 1
        elif not value.keys() & REGIONS and result.get("type") != "relation":
            lost[f"results of type {result.get('type')}"] += 1
    linked = [r for r in results if r.get("type") == "relation"]
    ended = [r for r in linked if {r["from_id"], r["to_id"]} <= by_id.keys()]
    lost["relations of what is no entity"] += len(linked) - len(ended)
    relations = [
        Relation(
            by_id[r["from_id"]],
            label,
            by_id[r["to_id"]],
        )
        for r in ended
        for label in names(r.get("labels") or "related to", where, "labels")
    ]
    return Document(
        text, tuple(spans), tuple(relations), None if classes is None else tuple(classes)
    )


def _places(value: Mapping[str, Any], where: str) -> tuple[int, int]:
    """Return where a result begins and ends; those of HTML have XPaths, and places beside them."""
    said = value.get("globalOffsets") or value
    try:
        return int(said["start"]), int(said["end"])
    except ValueError as error:
        raise DataError(
            f"{where}: a region begins at {said['start']!r:.60}; export it with globalOffsets, "
            "which Label Studio writes for regions of HyperText"
        ) from error


def _span(text: str, start: Any, end: Any, label: Any, said: Any, where: str) -> Span:
    """Return a span that lies in the text and says there what the export says it says."""
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise DataError(
            f"{where}: span {start!r}:{end!r} lies outside the text, which has {len(text)} "
            "characters"
        )
    if not isinstance(label, str) or not label.strip():
        raise DataError(f"{where}: span {start}:{end} has no label: {label!r}")
    found = text[start:end]
    if isinstance(said, str) and said != found and said.split() != found.split():
        raise DataError(
            f"{where}: span {said!r:.60} is not at {start}:{end}, where {found!r:.60} is"
        )
    return Span(start, end, found, label)


def write_label_studio(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write tasks with annotations, for import into a project with the tags named above."""
    del lost  # it holds all
    tasks = [
        {
            "data": {TEXT: document.text} | ({MARKED: False} if document.unmarked else {}),
            "annotations": [{"result": label_studio_results(document)}],
        }
        for document in documents
    ]
    write_text(path, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")


def label_studio_results(document: Document) -> list[dict[str, Any]]:
    """Return what Label Studio's annotations and predictions call their results."""
    units = Utf16(document.text)
    names = {_key(span): f"s{i}" for i, span in enumerate(document.spans)}
    results: list[dict[str, Any]] = []
    ends = [side for r in document.relations for side in (r.head, r.tail)]
    for span in [*document.spans, *(s for s in ends if _key(s) not in names)]:
        name = names.setdefault(_key(span), f"s{len(names)}")
        value = {
            "start": units.to_units(span.start),
            "end": units.to_units(span.end),
            "text": span.text,
            "labels": [span.label],
        }
        results.append(
            {"id": name, "from_name": FROM, "to_name": TO, "type": "labels", "value": value}
            | ({"score": span.score} if span.score != 1 else {})
        )
    results += [
        {
            "type": "relation",
            "from_id": names[_key(r.head)],
            "to_id": names[_key(r.tail)],
            "direction": "right",
            "labels": [r.label],
        }
        for r in document.relations
    ]
    if document.classes is not None:
        value = {"choices": list(document.classes)}
        results.append({"from_name": CHOICE, "to_name": TO, "type": "choices", "value": value})
    return results


def label_studio_config(labels: Iterable[str]) -> str:
    """Return the labelling configuration of a project for entities with these labels."""
    view = Element("View")
    choice = SubElement(view, "Labels", name=FROM, toName=TO)
    for label in labels:
        SubElement(choice, "Label", value=label)
    SubElement(view, "Text", name=TO, value=f"${TEXT}")
    indent(view)
    return tostring(view, encoding="unicode") + "\n"


def _key(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label


def read_prodigy(path: Path, lost: Lost) -> Iterator[Document]:
    """Read what ``prodigy db-out`` writes; rejected and ignored examples are passed over."""
    yield from each_document(_accepted(path, lost, "accept"), _prodigy_document)


def _accepted(path: Path, lost: Lost, unsaid: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows that were accepted; ``unsaid`` is the answer where a row has none."""
    for where, row in rows(path):
        if row.get("answer", unsaid) == "accept":
            yield where, row
        else:
            lost["examples that were not accepted"] += 1


def _prodigy_document(row: Mapping[str, Any], where: str) -> Document:
    text = _text(row, where)
    spans = [
        _span(text, s.get("start"), s.get("end"), s.get("label"), None, where)
        for s in row.get("spans") or []
    ]
    relations = []
    for raw in row.get("relations") or []:
        head, tail = (
            _span(
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


def read_doccano(path: Path, lost: Lost) -> Iterator[Document]:  # noqa: ARG001
    """Read JSON lines of doccano: ``label`` or ``labels`` of spans or names, or ``entities``."""
    yield from each_document(rows(path), _doccano_document)


def _doccano_document(row: Mapping[str, Any], where: str) -> Document:
    text = _text(row, where)
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
        span = _span(text, raw["start_offset"], raw["end_offset"], raw["label"], None, where)
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
        yield _span(text, start, end, label, None, where)


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


def _text(row: Mapping[str, Any], where: str) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise DataError(f"{where}: expected a string in 'text', got {text!r:.60}")
    return text


TOOLS = ("label-studio", "prodigy", "doccano")
"""Tools whose users correct what a model found."""


def write_for_correction(
    documents: Iterable[Document], path: Path, tool: str, *, model: str = "glinermt"
) -> None:
    """Write texts with what a model found, to be corrected in a tool.

    Label Studio is given predictions, Prodigy unanswered examples: both tell what people looked at
    from what they did not. doccano has no such difference.

    Args:
        documents: with the model's spans.
        path: JSON for Label Studio, else JSON lines.
        tool: one of ``TOOLS``.
        model: the name that Label Studio shows for the predictions.

    Raises:
        ValueError: an unknown tool.
    """
    if tool == "label-studio":
        tasks = [_predicted(document, model) for document in documents]
        write_text(path, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
    elif tool == "prodigy":
        answered = map(_prodigy_row, documents)
        write_jsonl(path, ({k: v for k, v in row.items() if k != "answer"} for row in answered))
    elif tool == "doccano":
        write_doccano(documents, path, Lost())
    else:
        raise UsageError(unknown_choice("tool", tool, TOOLS))


def _predicted(document: Document, model: str) -> dict[str, Any]:
    scores = [span.score for span in document.spans]
    prediction = {
        "model_version": model,
        "score": sum(scores) / len(scores) if scores else 0.0,
        "result": label_studio_results(document),
    }
    return {"data": {TEXT: document.text}, "predictions": [prediction]}


def read_corrected(path: Path, tool: str) -> Iterator[Document]:
    """Read a tool's export, without what nobody has looked at, skipped or rejected.

    Raises:
        DataError: the file is not such an export.
        ValueError: an unknown tool.
    """
    if tool not in TOOLS:
        raise UsageError(unknown_choice("tool", tool, TOOLS))
    lost = Lost()  # who corrects knows what was skipped
    if tool == "label-studio":
        yield from _label_studio(path, lost, predictions=False)
    elif tool == "prodigy":
        yield from each_document(_accepted(path, lost, ""), _prodigy_document)
    else:
        yield from read_doccano(path, lost)
