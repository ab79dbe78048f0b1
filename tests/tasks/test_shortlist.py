"""Of very many labels only the likeliest are asked of a text."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from glinermt.tasks import extract_entities
from tests.stub import StubExtractor

TOPICS = {"sport": 0, "match": 0, "player": 0, "music": 1, "song": 1, "guitar": 1, "law": 2}
LABELS = ["law", "player", "song", "match", "guitar", "music"]


@dataclass
class ComparingStub(StubExtractor):
    """Its vectors count the words of each topic, one window a line."""

    read: list[str] = field(default_factory=list)

    def sentence_vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        self.read += texts
        return [np.stack([self._vector(line) for line in text.split("\n")]) for text in texts]

    def _vector(self, text: str) -> np.ndarray:
        vector = np.full(3, 0.01)
        for word in text.lower().split():
            vector[TOPICS.get(word, 0)] += word in TOPICS
        length: np.ndarray = vector / np.linalg.norm(vector)
        return length


def comparing() -> ComparingStub:
    return ComparingStub(lambda query: [("It", label, 0.9) for label in query.labels])


def asked(model: ComparingStub) -> list[tuple[str, ...]]:
    return [query.labels for query in model.queries]


def test_only_the_likeliest_labels_are_asked_in_their_order() -> None:
    model = comparing()
    texts = ["It was music , a song", "It was sport"]
    found = extract_entities(texts, LABELS, shortlist=3, model=model)
    assert asked(model) == [("song", "guitar", "music"), ("law", "player", "match")]
    assert {spans[0].label for spans in found} <= {"song", "law", "guitar", "music", "player"}
    assert sorted(model.read) == sorted([*LABELS, *texts])  # each once


def test_a_label_whose_words_the_text_has_is_likelier() -> None:
    model = comparing()
    extract_entities("It is sport and law", ["match", "law", "song"], shortlist=2, model=model)
    assert asked(model) == [("match", "law")]


def test_each_window_of_a_long_text_counts() -> None:
    model = comparing()
    extract_entities("It is sport sport\nmusic", LABELS[:5], shortlist=4, model=model)
    assert asked(model) == [("player", "song", "match", "guitar")]


def test_few_labels_are_all_asked_and_not_compared() -> None:
    model = comparing()
    found = extract_entities("It is sport", LABELS, shortlist=6, model=model)
    assert asked(model) == [tuple(LABELS)]
    assert found == extract_entities("It is sport", LABELS, model=comparing())
    assert model.read == []


def test_labels_with_a_pattern_are_asked_besides() -> None:
    model = comparing()
    labels = {"code": {"pattern": r"\d+"}, "law": {}, "song": {}, "guitar": {}}
    spans = extract_entities("It was music 77", labels, shortlist=1, model=model)
    assert asked(model) == [("code", "song")]
    assert ("77", "code") in [(span.text, span.label) for span in spans]


def test_what_cannot_be_shortlisted_is_refused() -> None:
    with pytest.raises(ValueError, match="shortlist must be at least 1, got 0"):
        extract_entities("It", LABELS, shortlist=0, model=comparing())
    with pytest.raises(TypeError, match=r"shortlist must be a whole number, got 2\.5"):
        extract_entities("It", LABELS, shortlist=2.5, model=comparing())  # type: ignore[arg-type]
    plain = StubExtractor(lambda _: [])
    with pytest.raises(ValueError, match="StubExtractor has no sentence_vectors"):
        extract_entities("It", LABELS, shortlist=2, model=plain)
