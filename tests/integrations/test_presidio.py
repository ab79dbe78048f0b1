"""The Presidio recognizer in the real analyzer and anonymizer."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("presidio_analyzer", reason="needs the extra [presidio]")
pytest.importorskip("presidio_anonymizer", reason="needs presidio-anonymizer")

import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_anonymizer import AnonymizerEngine

from glinermt.integrations.presidio import GlinerMTRecognizer
from glinermt.types import Query, Span
from tests.stub import StubExtractor
from tests.tiny_models import tiny_model

pytestmark = pytest.mark.extras
TEXT = "Maria Silva (maria@example.org) lives in Porto. Maria Silva is well."


def script(query: Query) -> list[Span]:
    known = {"Maria Silva": ("person", 0.9), "Porto": ("city", 0.7)}
    return [
        Span(start, start + len(name), name, label, score)
        for name, (label, score) in known.items()
        if label in query.labels
        for start in range(len(query.text))
        if query.text.startswith(name, start)
    ]


class BlankEngine(SpacyNlpEngine):
    """Presidio's spaCy engine with pipelines that need no download."""

    def __init__(self, *languages: str) -> None:
        super().__init__()
        self.nlp = {language: spacy.blank(language) for language in languages}


def analyzer(*recognizers: GlinerMTRecognizer, languages: tuple[str, ...] = ("en",)) -> Any:
    registry = RecognizerRegistry(supported_languages=list(languages))
    registry.load_predefined_recognizers(languages=list(languages))
    for recognizer in recognizers:
        registry.add_recognizer(recognizer)
    return AnalyzerEngine(
        registry=registry, nlp_engine=BlankEngine(*languages), supported_languages=list(languages)
    )


def test_analyzer_and_anonymizer_use_what_the_model_finds() -> None:
    engine = analyzer(GlinerMTRecognizer(model=StubExtractor(script)))
    results = engine.analyze(TEXT, language="en")
    found = {(r.entity_type, TEXT[r.start : r.end]) for r in results}
    assert {("PERSON", "Maria Silva"), ("LOCATION", "Porto")} <= found
    assert ("EMAIL_ADDRESS", "maria@example.org") in found
    anonymous = AnonymizerEngine().anonymize(text=TEXT, analyzer_results=results).text
    assert "Maria" not in anonymous
    assert "Porto" not in anonymous
    assert anonymous.count("<PERSON>") == 2


def test_only_what_is_asked_for_is_looked_for() -> None:
    stub = StubExtractor(script)
    engine = analyzer(GlinerMTRecognizer(model=stub))
    (result,) = engine.analyze(TEXT, language="en", entities=["LOCATION"])
    assert TEXT[result.start : result.end] == "Porto"
    assert all("person" not in query.labels for query in stub.queries)


def test_thresholds_are_by_label_and_must_be_of_labels() -> None:
    stub = StubExtractor(script)
    strict = GlinerMTRecognizer(thresholds={"city": 0.8, "person": 0.5}, model=stub)
    assert {r.entity_type for r in strict.analyze(TEXT, [])} == {"PERSON"}
    with pytest.raises(ValueError, match="town"):
        GlinerMTRecognizer(thresholds={"town": 0.5}, model=stub)


def test_several_languages_share_a_model() -> None:
    stub = StubExtractor(script)
    languages = ("en", "de")
    engine = analyzer(*GlinerMTRecognizer.for_languages(languages, model=stub), languages=languages)
    for language in languages:
        found = engine.analyze(TEXT, language=language, entities=["PERSON"])
        assert len(found) == 2


def test_a_result_says_who_found_it_and_why() -> None:
    engine = analyzer(GlinerMTRecognizer(model=StubExtractor(script)))
    results = engine.analyze(TEXT, language="en", entities=["PERSON"], return_decision_process=True)
    assert results[0].analysis_explanation.recognizer == "GlinerMTRecognizer"
    assert "'person'" in results[0].analysis_explanation.textual_explanation


def test_a_recognizer_is_written_down_and_made_again(tmp_path: Path) -> None:
    tiny_model(tmp_path / "encoder").save_pretrained(tmp_path / "model")
    options: dict[str, Any] = {
        "labels": {"town": "LOCATION", "person": "PERSON"},
        "thresholds": {"town": 0.2},
        "model": str(tmp_path / "model"),
    }
    for recognizer in GlinerMTRecognizer.for_languages(["en", "de"], name="ours", **options):
        written = json.loads(json.dumps(recognizer.to_dict()))
        again = GlinerMTRecognizer.from_dict(written)
        assert again.to_dict() == recognizer.to_dict()
        assert (again.name, again.supported_language) == ("ours", recognizer.supported_language)
        assert again.supported_entities == ["LOCATION", "PERSON"]
        assert again.model is recognizer.model
    with pytest.raises(ValueError, match=r"supported_entities \['EMAIL'\] are not those"):
        GlinerMTRecognizer.from_dict({**written, "supported_entities": ["EMAIL"]})


def test_a_recognizer_with_a_loaded_model_says_that_it_cannot_be_written_down() -> None:
    recognizer = GlinerMTRecognizer(model=StubExtractor(script))
    with pytest.raises(ValueError, match="made with a loaded model, which a dict cannot hold"):
        recognizer.to_dict()
