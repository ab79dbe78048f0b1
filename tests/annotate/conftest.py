"""Models of the tests of jobs."""

import pytest

from glinermt.annotate.job import Job
from tests.tiny_models import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a tiny model, small enough to be loaded in every process."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model(tmp_path_factory.mktemp("encoder")).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of an exported tiny model, with which a process starts without torch."""
    pytest.importorskip("onnx", reason="needs the extra [export]")
    folder = tmp_path_factory.mktemp("exported")
    tiny_model(tmp_path_factory.mktemp("encoder"), kind="bert").export_onnx(folder)
    return str(folder)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> str:
    """Make jobs load no model and find each text's first word; return the model's name."""
    from glinermt.types import Span

    def first_words(_: Job, texts: list[str], __: object) -> list[list[Span]]:
        words = [text.split()[:1] for text in texts]
        return [[Span(0, len(word), word, "person", 0.9) for word in each] for each in words]

    monkeypatch.setattr(Job, "load_model", lambda *_, **__: None)
    monkeypatch.setattr(Job, "run", first_words)
    return "a/stub"
