"""Reading: all kinds at once are what their own tasks give, in one pass."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from pydantic import BaseModel

from glinermt import read
from glinermt.config import TaskSettings
from glinermt.model import GlinerMT
from glinermt.tasks import classify, extract_entities
from glinermt.types import Query, Relation, Span
from tests.stub import StubExtractor
from tests.tasks.heads_model import HeadsModel
from tests.tiny_models import tiny_model

TEXT = "Ada Berg founded Acme in Oslo. Order A-7: 12 lamps, paid. Great work!"


class Order(BaseModel):
    number: str
    pieces: int | None = None
    status: Literal["paid", "open"] | None = None


SCHEMA: dict[str, Any] = {
    "entities": {"person": "a human being", "company": {"threshold": 0.6}, "city": {}},
    "relations": {"founded": {"head": ["person"], "tail": ["company"]}},
    "classes": {
        "mood": ["good", "bad"],
        "topics": {"labels": ["business", "sports"], "multi_label": True, "threshold": 0.4},
    },
    "records": {"order": Order},
}
SAID = {
    "person: a human being": [("Ada Berg", 0.9), ("Berg", 0.8)],
    "company": [("Acme", 0.7), ("Ada", 0.55)],
    "city": [("Oslo", 0.8), ("Acme", 0.3)],
    "number": [("A-7", 0.9)],
    "pieces": [("12", 0.8)],
    "status": [("paid", 0.7)],
}


def span(text: str, label: str, score: float, within: str = TEXT) -> Span:
    start = within.index(text)
    return Span(start, start + len(text), text, label, score)


def script(query: Query) -> list[Span]:
    return [
        span(text, label, score, query.text)
        for label in query.labels
        for text, score in SAID.get(label, ())
        if text in query.text
    ]


def founded(query: Query) -> list[Relation]:
    if "founded" not in query.relations or "Ada" not in query.text:
        return []
    head = span("Ada Berg", "person: a human being", 0.9, query.text)
    return [Relation(head, "founded", span("Acme", "company", 0.7, query.text), 0.8)]


def model(**settings: Any) -> HeadsModel:
    logits = {"good": 2.0, "bad": -2.0, "business": 1.0, "sports": -3.0}
    return HeadsModel(script, TaskSettings(**settings), relations=founded, classes=logits)


def test_every_kind_is_found_in_one_query() -> None:
    stub = model()
    found = read(TEXT, SCHEMA, model=stub)
    assert len(stub.queries) == 1
    assert [(s.text, s.label) for s in found.entities] == [
        ("Ada Berg", "person"),
        ("Acme", "company"),
        ("Oslo", "city"),
    ]
    assert [(r.head.text, r.label, r.tail.text) for r in found.relations] == [
        ("Ada Berg", "founded", "Acme")
    ]
    assert found.classes["mood"].label == "good"
    assert found.classes["topics"].labels == ("business",)
    assert sum(found.classes["mood"].scores.values()) == pytest.approx(1)
    (order,) = found.records["order"]
    assert order.value == Order(number="A-7", pieces=12, status="paid")
    assert order.spans["number"][0].text == "A-7"


def test_a_result_is_plain_data_for_json() -> None:
    data = json.loads(json.dumps(read(TEXT, SCHEMA, model=model()).to_dict()))
    assert list(data) == ["entities", "relations", "classes", "records"]
    assert data["classes"]["mood"]["label"] == "good"
    assert data["records"]["order"][0]["value"]["pieces"] == 12


def test_a_text_gives_one_a_list_a_list_an_iterator_an_iterator() -> None:
    texts = [TEXT, "Oslo.", ""]
    several = read(texts, SCHEMA, model=model())
    assert several == [read(text, SCHEMA, model=model()) for text in texts]
    lazily = read(iter(texts), SCHEMA, model=model())
    assert not isinstance(lazily, list)
    assert list(lazily) == several
    assert several[2].entities == ()
    assert several[2].classes["mood"].label is None


def test_thresholds_hold_as_in_each_task() -> None:
    saved = {"thresholds": {"entities": 0.75}, "label_thresholds": {"city": 0.9}}
    found = read(TEXT, SCHEMA, model=model(**saved))
    assert [s.text for s in found.entities] == ["Ada Berg", "Acme"]  # its own: 0.6
    assert found.relations
    strict = read(TEXT, SCHEMA, threshold=0.85, model=model())
    assert [s.text for s in strict.entities] == ["Ada Berg", "Acme"]
    assert strict.relations == ()
    assert set(strict.records["order"][0].spans) >= {"number"}
    assert strict.records["order"][0].value.pieces is None
    named = read(TEXT, SCHEMA, threshold={"person": 0.95, "founded": 0.1}, model=model())
    assert [s.text for s in named.entities] == ["Acme", "Oslo"]
    with pytest.raises(ValueError, match="threshold: unknown label 'planet'"):
        read(TEXT, SCHEMA, threshold={"planet": 0.1}, model=model())


def test_temperatures_are_those_of_each_task() -> None:
    sure = model(temperatures={"entities": 0.5, "classify": 4.0})
    found = read(TEXT, SCHEMA, model=sure)
    assert found.entities[0].score > 0.98
    assert found.classes["mood"].scores["good"] < 0.8
    assert found.records["order"][0].score < 0.9


def test_patterns_and_validators_of_entities_hold_for_relations_too() -> None:
    no_companies = {**SCHEMA, "entities": {"person": "a human being", "company": {}}}
    no_companies["entities"]["company"] = {"validator": lambda text: "Inc" in text}
    found = read(TEXT, no_companies, model=model())
    assert [s.label for s in found.entities] == ["person"]
    assert found.relations == ()
    coded = read(TEXT, {"entities": {"order": {"pattern": r"[A-Z]-\d"}}}, model=model())
    assert [(s.text, s.score) for s in coded.entities] == [("A-7", 1.0)]


def test_relations_alone_find_their_own_ends() -> None:
    relations = {"founded": {"head": ["company"], "tail": ["city"]}}
    stub = model()
    found = read(TEXT, {"relations": relations}, model=stub)
    assert stub.queries[0].labels == ("company", "city")
    assert found.entities == ()


def test_the_same_class_of_two_questions_is_asked_with_the_question() -> None:
    stub = model()
    read(TEXT, {"classes": {"urgent": ["yes", "no"], "polite": ["yes", "no"]}}, model=stub)
    assert stub.queries[0].classes == ("urgent yes", "urgent no", "polite yes", "polite no")
    assert stub.queries[0].class_groups == (("urgent", 2), ("polite", 2))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({}, "asks for nothing"),
        ({"entities": []}, "asks for nothing"),
        ({"entitys": ["a"]}, "schema: unknown key 'entitys'"),
        ({"classes": ["good"]}, "by the name of what they answer"),
        (
            {"classes": {"mood": {"labels": ["a"], "top": 1}}},
            "classes 'mood': unknown option 'top'",
        ),
        ({"records": {"order": {"schema": Order, "anchors": 1}}}, "unknown option 'anchors'"),
        ({"records": {"order": {"schema": Order, "many": True, "anchor": "x"}}}, "anchor 'x'"),
        ({"relations": {"in": {"heads": ["a"]}}}, "unknown option 'heads'"),
        ({"entities": np.array(["person", "city"])}, "labels must be a list or a mapping, got arr"),
        ({"classes": {"mood": "good, bad"}}, r"question 'mood': labels must be a list .* 'bad'\]"),
        (["person"], "schema must be a mapping"),
    ],
)
def test_a_wrong_schema_is_refused(schema: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        read(TEXT, schema, model=model())


@pytest.mark.parametrize("kind", ["relations", "classes"])
def test_a_kind_that_the_model_lacks_is_refused(kind: str) -> None:
    plain = StubExtractor(script)
    with pytest.raises(ValueError, match=f"this model finds spans, and no {kind} in the same"):
        read(TEXT, {kind: SCHEMA[kind]}, model=plain)
    records = read(TEXT, {"records": SCHEMA["records"]}, model=plain).records["order"]
    assert records[0].value == Order(number="A-7", pieces=12, status="paid")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> GlinerMT:
    torch.manual_seed(0)
    return tiny_model(tmp_path_factory.mktemp("tiny"), kind="bert").with_heads().eval()


def passes(model: GlinerMT, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the rows that the network reads from now on."""
    rows: list[int] = []
    output = model.fast.output

    def counted(network: Any, batch: Any) -> Any:
        rows.extend([len(batch.input_ids)])
        return output(network, batch)

    monkeypatch.setattr(model.fast, "output", counted)
    return rows


def test_the_encoder_reads_each_window_once(
    network: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = passes(network, monkeypatch)
    record = {"type": "object", "properties": {"n": {"type": "string"}}}
    schema = {
        "entities": ["a", "b"],
        "relations": {"in": {"head": ["a"]}},
        "classes": {"m": ["x", "y"]},
        "records": {"o": record},
    }
    text = "Bill wrote in Paris."
    found = read(text, schema, threshold=0.01, model=network)
    assert sum(rows) == 1
    assert found.entities
    assert all(text[s.start : s.end] == s.text for s in found.entities)
    rows.clear()
    long = " ".join([text] * 12)
    read(long, schema, threshold=0.01, model=network)
    all_kinds = sum(rows)
    rows.clear()
    extract_entities(long, ["a", "b", "in", "x", "y", "n"], model=network)
    assert all_kinds == sum(rows) > 2


def test_one_kind_alone_is_what_its_task_gives(network: GlinerMT) -> None:
    labels = ["person", "city"]
    alone = extract_entities(TEXT, labels, threshold=0.4, model=network)
    assert read(TEXT, {"entities": labels}, threshold=0.4, model=network).entities == tuple(alone)
    mood = read(TEXT, {"classes": {"mood": ["good", "bad"]}}, model=network).classes["mood"]
    assert mood == classify(TEXT, ["good", "bad"], model=network)


def test_a_family_with_records_of_its_own_reads_all_in_one_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(__file__).parents[1] / "glinermt/checkpoints/fixtures/gliner2/count_lstm"
    gliner2 = GlinerMT.from_pretrained(folder / "checkpoint")
    rows: list[Any] = []
    reader: Any = gliner2.reader
    encoder = reader.encoder
    monkeypatch.setattr(
        reader, "encoder", lambda ids, wanted: rows.extend(ids) or encoder(ids, wanted)
    )
    found = read(TEXT, SCHEMA, threshold=0.3, model=gliner2)
    assert len(rows) == 1
    assert set(found.records) == {"order"}
    assert set(found.classes["topics"].scores) == {"business", "sports"}
