"""The programs in examples/ do what they say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from glinermt.errors import CheckpointError
from glinermt.formats.label_studio import label_studio_config
from tests.stub import StubExtractor

pytest.importorskip("fastapi")
pytest.importorskip("httpx2")

from fastapi.testclient import TestClient

ROOT = Path(__file__).parents[1]
LABELS = "<View><Labels name='l' toName='t'>LABEL</Labels><Text name='t' value='$text'/></View>"


@pytest.fixture(scope="module")
def backend() -> ModuleType:
    path = ROOT / "examples" / "label_studio_backend.py"
    spec = importlib.util.spec_from_file_location("label_studio_backend", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(backend: ModuleType, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    model = StubExtractor(lambda query: [("Ann", query.labels[0], 0.75)])
    monkeypatch.setattr(backend, "load_extractor", lambda _: model)
    return TestClient(backend.app)


def test_label_studio_is_told_what_the_model_finds(client: TestClient) -> None:
    assert client.get("/health").json()["status"] == "UP"
    config = label_studio_config(["person", "city"])
    assert client.post("/setup", json={"schema": config}).status_code == 200
    task = {"id": 1, "data": {"text": "\U0001f600 Ann left"}}
    told = client.post("/predict", json={"tasks": [task], "label_config": config}).json()
    ((region,),) = [result["result"] for result in told["results"]]
    assert region["value"] == {"start": 3, "end": 6, "text": "Ann", "labels": ["person"]}
    assert (region["from_name"], region["to_name"], region["score"]) == ("label", "text", 0.75)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("<View><Text name='t' value='$t'/></View>", "no Labels for a Text"),
        ("<View", "is no XML"),
        (LABELS.replace("LABEL", ""), "names no label"),
        (LABELS.replace("LABEL", "<Label value=' '/><Label/>"), "names no label"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><View>&a;</View>", "declares entities of XML"),
        (None, "no labelling configuration"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(
    client: TestClient, config: str | None, message: str
) -> None:
    answer = client.post("/predict", json={"tasks": [], "label_config": config})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


def test_a_model_that_is_not_there_is_named_when_the_backend_starts(
    backend: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "MODEL", "/no/such/model")
    with pytest.raises(CheckpointError, match="no such folder here"), TestClient(backend.app):
        pass
