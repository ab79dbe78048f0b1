"""Label Studio: its JSON exports, tasks for import, predictions to correct, and a configuration."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from glinermt.errors import DataError
from glinermt.formats.document import Document, Lost, Utf16, given_span, names
from glinermt.formats.tokens import each_document, rows
from glinermt.jsonl import write_text
from glinermt.types import Relation, Span

FROM, TO, TEXT, CHOICE = "label", "text", "text", "choice"
"""Names of the tags in Label Studio's labelling configuration, as we write them."""
REGIONS = ("labels", "hypertextlabels")
"""What the values of its results call the labels of a piece of the text."""
MARKED = "entities_marked"
"""Key in a task's data, which Label Studio keeps: false where nobody has looked for entities."""


def read_label_studio(path: Path, lost: Lost, *, predictions: bool = True) -> Iterator[Document]:
    """Read a JSON export: the first annotation of each task that was not cancelled.

    A task that nobody annotated is read with its first prediction, unless ``predictions`` is False.
    One that was skipped, so that nobody said what is in it, is passed over; so is one with neither.
    Label Studio counts UTF-16 units where its offsets come from a browser. A text in which nobody
    looked for entities is told from one without any by ``entities_marked`` in its data, which is
    ours. Choices that are made of a region say nothing of the text as a whole and are passed over.
    """

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
                own = [given_span(text, start, end, label, said, where) for label in given]
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


def write_label_studio(documents: Iterable[Document], path: Path, lost: Lost) -> None:
    """Write tasks with annotations, for import into a project with the tags named above."""
    del lost  # it holds all
    _write_tasks(path, map(_annotated, documents))


def _annotated(document: Document) -> dict[str, Any]:
    return {
        "data": {TEXT: document.text} | ({MARKED: False} if document.unmarked else {}),
        "annotations": [{"result": label_studio_results(document)}],
    }


def write_predictions(documents: Iterable[Document], path: Path, *, model: str) -> None:
    """Write tasks with predictions of a model of this name, which people accept or correct."""
    _write_tasks(path, (_predicted(document, model) for document in documents))


def _predicted(document: Document, model: str) -> dict[str, Any]:
    scores = [span.score for span in document.spans]
    prediction = {
        "model_version": model,
        "score": sum(scores) / len(scores) if scores else 0.0,
        "result": label_studio_results(document),
    }
    return {"data": {TEXT: document.text}, "predictions": [prediction]}


def _write_tasks(path: Path, tasks: Iterable[dict[str, Any]]) -> None:
    write_text(path, json.dumps(list(tasks), ensure_ascii=False, indent=1) + "\n")


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
