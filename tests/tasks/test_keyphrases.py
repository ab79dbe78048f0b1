"""Key phrases: ranked, each once, at its best place."""

import pytest

from glinermt.tasks import extract_keyphrases
from glinermt.types import Query, Span
from tests.stub import StubExtractor

TEXT = "Solar cells made cheap. Cheap solar cells need silicon; solar cells last."


def phrases(query: Query) -> list[Span]:
    found = [(0, 11, 0.4), (17, 22, 0.15), (30, 41, 0.7), (47, 54, 0.5), (68, 72, 0.05)]
    return [Span(a, b, query.text[a:b], query.labels[0], score) for a, b, score in found]


def test_phrases_are_ranked_and_given_once_where_they_score_best() -> None:
    model = StubExtractor(phrases)
    found = extract_keyphrases(TEXT, model=model)
    assert [(s.text, s.start, s.label) for s in found] == [
        ("solar cells", 30, "keyphrase"),
        ("silicon", 47, "keyphrase"),
        ("cheap", 17, "keyphrase"),
    ]
    assert all(TEXT[s.start : s.end] == s.text for s in found)
    assert model.queries[0].labels == ("keyphrase",)


def test_the_number_and_the_threshold_bound_them() -> None:
    model = StubExtractor(phrases)
    assert len(extract_keyphrases(TEXT, top_k=1, model=model)) == 1
    assert len(extract_keyphrases(TEXT, threshold=0, model=model)) == 4
    assert len(extract_keyphrases(TEXT, threshold=0.5, model=model)) == 2
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        extract_keyphrases(TEXT, top_k=0, model=model)
