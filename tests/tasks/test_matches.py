"""Open information extraction: pieces of text that an instruction asks for."""

import pytest

from glinermt.config import TaskSettings
from glinermt.tasks import extract_matches
from glinermt.types import Query, Span
from tests.stub import StubExtractor

TEXT = "The bridge opened in 1932 and closed in 2004."


def years(query: Query) -> list[tuple[str, str, float]]:
    return [("1932", query.labels[0], 0.7), ("closed in 2004", query.labels[0], 0.4)]


def test_matches_are_spans_of_the_text() -> None:
    model = StubExtractor(years)
    spans = extract_matches(TEXT, "what happened to the bridge", threshold=0.4, model=model)
    assert spans == [
        Span(21, 25, "1932", "match", 0.7),
        Span(30, 44, "closed in 2004", "match", 0.4),
    ]
    assert model.queries == [Query(TEXT, ("match",), "what happened to the bridge")]


def test_the_models_own_threshold_and_wordings_are_used() -> None:
    settings = TaskSettings(
        thresholds={"matches": 0.35, "open_entities": 0.9},
        prompts={"matches": "Match this: {instruction}"},
        labels={"matches": "piece", "open_entities": "entity"},
    )
    model = StubExtractor(years, settings=settings)
    assert [span.label for span in extract_matches(TEXT, "years", model=model)] == ["match"] * 2
    assert model.queries == [Query(TEXT, ("piece",), "Match this: years")]
    assert len(extract_matches(TEXT, "years", threshold=0.5, model=model)) == 1


def test_each_text_may_have_its_own_instruction() -> None:
    model = StubExtractor(years)
    results = extract_matches([TEXT, TEXT], ["years", "{events}"], model=model)
    assert [len(spans) for spans in results] == [1, 1]
    assert [query.prompt for query in model.queries] == ["years", "{events}"]


def test_an_empty_instruction_is_refused() -> None:
    with pytest.raises(ValueError, match="instruction is empty"):
        extract_matches(TEXT, "", model=StubExtractor(years))
