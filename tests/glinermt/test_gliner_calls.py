"""Scripts written for the package ``gliner`` run with the import changed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import glinermt
from glinermt import GlinerMT as GLiNER
from glinermt.gliner_calls import OTHER_CALLS
from glinermt.types import Query
from tests.tiny_models import tiny_model

TEXT = "bill gates founded microsoft in paris"
LABELS = ["person", "city"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_model(folder / "encoder").save_pretrained(folder / "saved")
    return folder / "saved"


@pytest.fixture(scope="module")
def model(folder: Path) -> GLiNER:
    return GLiNER.from_pretrained(folder)


def test_a_presidio_recognizer(folder: Path) -> None:
    """The calls of presidio-analyzer's ``GLiNERRecognizer`` (``load`` and ``analyze``)."""
    gliner = GLiNER.from_pretrained(
        str(folder), map_location="cpu", load_onnx_model=False, onnx_model_file="model.onnx"
    )
    predictions = gliner.predict_entities(
        text=TEXT, labels=LABELS, flat_ner=True, threshold=0.2, multi_label=False
    )
    assert predictions
    for prediction in predictions:
        assert prediction["label"] in LABELS
        assert TEXT[prediction["start"] : prediction["end"]] == prediction["text"]
        assert 0.2 <= prediction["score"] <= 1


def test_a_spacy_component(model: GLiNER) -> None:
    """The calls of gliner-spacy: chunks of a document, moved to their place."""
    found = []
    for start, chunk in ((0, TEXT[:19]), (19, TEXT[19:])):
        for ent in model.predict_entities(
            chunk, LABELS, flat_ner=True, threshold=0.2, multi_label=False
        ):
            found.append((ent["start"] + start, ent["end"] + start, ent["text"], ent["label"]))
    assert found
    assert all(TEXT[start:end] == text for start, end, text, _ in found)


def test_a_langchain_link_extractor(model: GLiNER) -> None:
    """The calls of langchain's ``GLiNERLinkExtractor``."""
    strings = [TEXT, "the city"]
    batches = model.batch_predict_entities(iter(strings), LABELS, threshold=0.2)
    links = [{(entity["label"], entity["text"]) for entity in entities} for entities in batches]
    assert len(links) == 2
    assert links[0]


def test_inference_takes_the_arguments_of_the_package(model: GLiNER) -> None:
    for labels in (LABELS, [LABELS, ["city"]]):
        found = model.inference(
            [TEXT, TEXT], labels, flat_ner=True, threshold=0.2, multi_label=True, batch_size=8,
            packing_config=None, return_class_probs=False,
        )  # fmt: skip
        assert len(found) == 2
    assert {entity["label"] for entity in found[1]} <= {"city"}
    assert model.inference(TEXT, LABELS, threshold=0.2) == [
        model.predict_entities(TEXT, LABELS, threshold=0.2)
    ]


def test_the_settings_hold_as_they_do_for_extract_entities(model: GLiNER) -> None:
    text = f"{TEXT}. The person of the city is in Paris. Bill Gates founded the city."
    before = model.settings
    model.settings = glinermt.TaskSettings(
        temperatures={"entities": 2.5},
        words_at_once={"entities": 6},
        prompts={"entities": "names:"},
        span_score="min",
    )
    try:
        expected = glinermt.extract_entities(text, LABELS, threshold=0.4, model=model)
        assert model.predict_entities(text, LABELS, threshold=0.4) == [
            span.to_dict() for span in expected
        ]
        assert max(span.start for span in expected) > len(TEXT)
        limits = {"city": 0.6, "person": 0.4}
        described = {"city": "a large town", "person": ""}
        found = model.predict_entities(text, described, threshold=limits)
        assert found == [
            span.to_dict()
            for span in glinermt.extract_entities(text, described, threshold=limits, model=model)
        ]
    finally:
        model.settings = before


def test_a_described_label_is_given_back_by_its_name(model: GLiNER) -> None:
    found = model.predict_entities(TEXT, {"city": "a large town", "person": ""}, threshold=0.1)
    assert {entity["label"] for entity in found} <= {"city", "person"}
    asked = Query(TEXT, ("city: a large town", "person"))
    (spans,) = model.extract([asked], threshold=0.1)
    assert [(e["start"], e["end"]) for e in found] == [(s.start, s.end) for s in spans]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.predict_entities(TEXT, LABELS, True), "threshold must be a number, got True"),
        (
            lambda m: m.predict_relations(TEXT, LABELS, ["in"], relation_threshold={"in": 0.4}),
            r"relation_threshold must be a number, got \{'in'",
        ),
        (lambda m: m.predict_entities(TEXT, "city"), r"labels must be .* write \['city'\]"),
        (lambda m: m.predict_entities(TEXT, {"city"}), r"labels must be .* got \{'city'\}"),
        (lambda m: m.predict_entities(TEXT, [1]), "one of labels must be str, got int: 1"),
        (
            lambda m: m.inference([TEXT] * 2, [["person"], "city"]),
            r"labels of text 1 must be .* write \['city'\]",
        ),
        (lambda m: m.inference([TEXT] * 2, ["city", ["person"]]), "labels of text 0 must be"),
        (lambda m: m.inference([TEXT], [["city", 3]]), "one of labels must be str, got int: 3"),
        (lambda m: m.inference([TEXT, None], LABELS), "text 1 must be str, got NoneType"),
        (lambda m: m.predict_entities([TEXT], LABELS), "text must be str, got list"),
        (lambda m: m.inference([TEXT], LABELS, flat_ner=1), "flat_ner must be True or False"),
        (lambda m: m.inference([TEXT], LABELS, return_vectors=True), "has no counterpart"),
        (lambda m: m.inference([TEXT], LABELS, treshold=0.3), "unexpected argument 'treshold'"),
        (lambda m: m.from_pretrained("x", load_onnx_model=True), "load_onnx_model=True has no"),
        (lambda m: m.from_pretrained("x", presicion="int8"), "unexpected argument 'presicion'"),
    ],
)
def test_what_cannot_be_done_is_told(model: GLiNER, call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(model)


def test_a_threshold_of_a_label_that_is_not_asked_is_refused(model: GLiNER) -> None:
    limits = {**dict.fromkeys(LABELS, 0.4), "persn": 0.4}
    for call in (model.predict_entities, lambda text, *a, **k: model.inference([text], *a, **k)):
        with pytest.raises(ValueError, match="threshold: unknown label 'persn'"):
            call(TEXT, LABELS, threshold=limits)


@pytest.mark.parametrize("name", OTHER_CALLS)
def test_calls_of_other_packages_are_told_what_to_write(model: GLiNER, name: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"{name!r}; write {OTHER_CALLS[name]}")):
        getattr(model, name)
    called = re.match(r"(?:model\.)?(\w+)\(", OTHER_CALLS[name])
    if called:
        assert hasattr(glinermt, called[1]) or hasattr(model, called[1])


def test_a_model_that_is_printed_says_what_it_finds(model: GLiNER) -> None:
    assert re.fullmatch(r"<GlinerMT that finds [\w, ]*spans>", repr(model))
    assert not hasattr(model, "no_such_thing")


def test_a_list_of_labels_for_each_text_or_an_error(model: GLiNER) -> None:
    with pytest.raises(ValueError, match="2 texts have 1 lists of labels"):
        model.inference([TEXT, TEXT], [["city"]])


def test_results_are_ready_for_json(model: GLiNER) -> None:
    (spans,) = model.extract([Query(TEXT, ("city",))], threshold=0.1)
    assert spans
    assert json.loads(json.dumps(spans, default=glinermt.to_json)) == [s.to_dict() for s in spans]
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        json.dumps(object(), default=glinermt.to_json)


def test_a_saved_model_has_a_card(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: glinermt\n")
    assert "\n- gliner\n" in card
    assert str(folder.parent) not in card


def test_a_card_that_is_there_stays(model: GLiNER, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    model.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_subfolder_is_read(folder: Path) -> None:
    again = GLiNER.from_pretrained(folder.parent, subfolder=folder.name)
    assert again.predict_entities(TEXT, LABELS, threshold=0.2)
