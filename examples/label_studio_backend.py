"""A machine learning backend for Label Studio: it shows what a glinermt model finds in each task.

    pip install 'glinermt[serve]'
    GLINERMT_MODEL=LOOP/round-1/model \
        uvicorn --app-dir examples label_studio_backend:app --port 9090

Then, in the project: Settings, Model, Connect Model, http://localhost:9090. The labels are those of
the project's labelling configuration. Learning stays with ``glinermt annotate-loop``: this only
predicts.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from xml.etree import ElementTree

from fastapi import Body, FastAPI, HTTPException

from glinermt import extract_entities
from glinermt.default_model import load_extractor
from glinermt.formats import Document
from glinermt.formats.label_studio import label_studio_results

MODEL = os.environ.get("GLINERMT_MODEL")
"""Folder or hub id; without it the shipped model."""
VERSION = MODEL or "glinermt"
Sent = Annotated[dict[str, Any], Body()]


@asynccontextmanager
async def loaded(_: FastAPI) -> AsyncIterator[None]:
    """Load the model at the start, so that a wrong folder is seen there and not in a project."""
    load_extractor(MODEL)
    yield


app = FastAPI(title="glinermt for Label Studio", lifespan=loaded)


@dataclass(frozen=True, slots=True)
class Tags:
    """What a labelling configuration says: the names of its tags, and its labels."""

    from_name: str
    to_name: str
    key: str
    """Where a task's data keep the text."""
    labels: list[str]


def read_config(config: str) -> Tags:
    """Read the first ``Labels`` tag and the ``Text`` that it belongs to.

    Raises:
        ValueError: the configuration has no such tags, names no label, or declares entities of XML.
    """
    if "<!DOCTYPE" in config or "<!ENTITY" in config:
        raise ValueError("the labelling configuration declares entities of XML")
    try:
        root = ElementTree.fromstring(config)
    except ElementTree.ParseError as error:
        raise ValueError(f"the labelling configuration is no XML: {error}") from error
    labels = root.find(".//Labels")
    texts = {tag.get("name"): tag for tag in root.iter("Text")}
    if labels is None or labels.get("toName") not in texts:
        raise ValueError("the labelling configuration has no Labels for a Text")
    names = [label.get("value", "").strip() for label in labels.iter("Label")]
    if not any(names):
        raise ValueError("the labelling configuration names no label: <Label value='person'/>")
    name = str(labels.get("toName"))
    return Tags(
        from_name=str(labels.get("name")),
        to_name=name,
        key=str(texts[name].get("value")).removeprefix("$"),
        labels=[each for each in names if each],
    )


@app.get("/")
@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "UP", "model_class": "glinermt"}


@app.post("/setup")
def setup(body: Sent) -> dict[str, str]:
    _tags(body.get("schema"))
    return {"model_version": VERSION}


@app.post("/predict")
def predict(body: Sent) -> dict[str, Any]:
    tags = _tags(body.get("label_config"))
    texts = [_text(task, tags.key) for task in body.get("tasks") or []]
    found = extract_entities(texts, tags.labels, model=load_extractor(MODEL))
    results = []
    for text, spans in zip(texts, found, strict=True):
        regions = label_studio_results(Document(text, tuple(spans)))
        named = [{**r, "from_name": tags.from_name, "to_name": tags.to_name} for r in regions]
        score = sum(span.score for span in spans) / len(spans) if spans else 0.0
        results.append({"result": named, "score": score, "model_version": VERSION})
    return {"results": results, "model_version": VERSION}


@app.post("/webhook")
def webhook() -> dict[str, str]:
    return {"status": "ignored"}


def _tags(config: Any) -> Tags:
    if not isinstance(config, str):
        raise HTTPException(422, "the request has no labelling configuration")
    try:
        return read_config(config)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error


def _text(task: Any, key: str) -> str:
    data = task.get("data") if isinstance(task, dict) else None
    text = data.get(key) if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise HTTPException(422, f"a task has no text in {key!r}")
    return text
