"""The Haystack component in a real pipeline."""

from pathlib import Path

import pytest

pytest.importorskip("haystack", reason="needs the extra [haystack]")

from haystack import Document, Pipeline

from glinermt.integrations.haystack import GlinerMTExtractor
from glinermt.tasks import extract_entities
from tests.stub import StubExtractor
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.extras
LABELS = {"person": {"threshold": 0.2}, "city": {}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("model")
    tiny_model(folder / "encoder").save_pretrained(folder / "model")
    return str(folder / "model")


def test_documents_get_what_the_function_finds_and_keep_the_rest(model: str) -> None:
    pipeline = Pipeline()
    pipeline.add_component("extract", GlinerMTExtractor(LABELS, relations=["in"], model=model))
    given = [Document(content="bill gates in paris", meta={"page": 1}), Document(content=None)]
    first, second = pipeline.run({"extract": {"documents": given}})["extract"]["documents"]
    expected = extract_entities("bill gates in paris", LABELS, model=model)
    assert expected
    assert first.meta["entities"] == [
        {**span.to_dict(), "score": pytest.approx(span.score, abs=1e-5)} for span in expected
    ]
    assert isinstance(first.meta["relations"], list)
    assert (first.id, first.meta["page"]) == (given[0].id, 1)
    assert second == given[1]
    assert "entities" not in given[0].meta


def test_a_pipeline_is_saved_and_loaded(model: str) -> None:
    pipeline = Pipeline()
    extractor = GlinerMTExtractor(LABELS, threshold=0.3, meta_field="found", model=model)
    pipeline.add_component("extract", extractor)
    loaded = Pipeline.loads(pipeline.dumps(), allowed_modules=[GlinerMTExtractor.__module__])
    document = Document(content="bill gates in paris")
    before, after = (
        one.run({"extract": {"documents": [document]}})["extract"]["documents"][0].meta["found"]
        for one in (pipeline, loaded)
    )
    assert before == after


def test_a_loaded_model_is_used_but_not_saved() -> None:
    stub = StubExtractor(lambda _: [("Bob", "person", 0.9)])
    pipeline = Pipeline()
    pipeline.add_component("extract", GlinerMTExtractor(["person"], model=stub))
    given = {"extract": {"documents": [Document(content="Bob came.")]}}
    (document,) = pipeline.run(given)["extract"]["documents"]
    assert document.meta["entities"][0]["text"] == "Bob"
    with pytest.raises(TypeError, match="a folder or hub id as model, not a loaded StubExtractor"):
        pipeline.dumps()


def test_texts_in_the_place_of_documents_are_refused() -> None:
    extractor = GlinerMTExtractor(["person"], model=StubExtractor(lambda _: []))
    with pytest.raises(TypeError, match=r"write Document\(content=text\)"):
        extractor.run(["Bob came."])  # type: ignore[list-item]
