"""All six tasks with the shipped model: what must hold whatever a model knows."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from glinermt.model import GlinerMT
from glinermt.tasks import (
    answer,
    answers,
    extract_entities,
    extract_matches,
    extract_open_entities,
    extract_relations,
    summarize,
)
from glinermt.types import Span
from tests.tasks.scripted_model import scripted_model
from tests.tasks.texts import TEXTS, pages

LABELS = ["person", "organization", "place", "date", "product"]
TYPED: dict[str, Any] = {
    "works for": {"head": ["person"], "tail": ["organization"]},
    "located in": {"tail": ["place"]},
    "worked with": {"head": ["person"], "tail": ["person"], "symmetric": True},
}
each_text = pytest.mark.parametrize("domain", TEXTS)
FACT = "The bridge over the Orla was opened in 1932 after nine years of work."
QUESTION = "When was the bridge over the Orla opened?"


@pytest.fixture(scope="module")
def model() -> GlinerMT:
    return GlinerMT.from_pretrained()


def check(spans: list[Span], text: str, labels: set[str], least: float) -> None:
    """Check offsets, labels, scores, and the order of the text."""
    for span in spans:
        assert 0 <= span.start < span.end <= len(text)
        assert text[span.start : span.end] == span.text == span.text.strip()
        assert span.label in labels
        assert least <= span.score <= 1
    places = [(span.start, span.end) for span in spans]
    assert places == sorted(places)


@each_text
def test_entities_are_disjoint_and_of_the_labels_asked(model: GlinerMT, domain: str) -> None:
    text = TEXTS[domain]
    spans = extract_entities(text, LABELS, threshold=0.4, model=model)
    check(spans, text, set(LABELS), 0.4)
    assert spans
    assert all(a.end <= b.start for a, b in pairwise(spans))


@each_text
def test_nested_entities_cross_nowhere(model: GlinerMT, domain: str) -> None:
    text = TEXTS[domain]
    spans = extract_entities(
        text, LABELS, threshold=0.3, overlap="nested", multi_label=True, model=model
    )
    check(spans, text, set(LABELS), 0.3)
    assert len({(s.start, s.end, s.label) for s in spans}) == len(spans)
    for a in spans:
        for b in spans:
            assert not (a.start < b.start < a.end < b.end)


@each_text
def test_instructions_find_spans_of_the_text(model: GlinerMT, domain: str) -> None:
    text = TEXTS[domain]
    found = extract_open_entities(text, "all people and places", threshold=0.3, model=model)
    check(found, text, {"match"}, 0.3)
    check(extract_matches(text, "what changed", threshold=0.3, model=model), text, {"match"}, 0.3)


@each_text
def test_relations_keep_their_types_and_places(model: GlinerMT, domain: str) -> None:
    text = TEXTS[domain]
    entities = extract_entities(text, LABELS, threshold=0.4, model=model)
    relations = extract_relations(text, TYPED, entities=entities, threshold=0.3, model=model)
    keys = [(r.head.start, r.tail.start, r.label) for r in relations]
    assert keys == sorted(keys)
    mirrored = {(r.head.text, r.tail.text) for r in relations if r.label == "worked with"}
    for r in relations:
        assert r.head in entities
        assert r.tail in entities or not TYPED[r.label].get("tail")
        assert r.head.label in TYPED[r.label].get("head", LABELS)
        assert r.tail.label in TYPED[r.label]["tail"]
        assert r.head.text != r.tail.text
        assert not r.head.overlaps(r.tail)
        assert text[r.tail.start : r.tail.end] == r.tail.text
        assert 0.3 <= r.score <= 1
        assert r.label != "worked with" or (r.tail.text, r.head.text) not in mirrored


@each_text
def test_answers_are_ranked_and_do_not_overlap(model: GlinerMT, domain: str) -> None:
    text = TEXTS[domain]
    question = "Where does this happen?"
    found = answers(question, text, top_k=4, threshold=0.0, model=model)
    assert [a.score for a in found] == sorted((a.score for a in found), reverse=True)
    assert len({a.no_answer_score for a in found}) == 1
    spans = [a.span for a in found if a.span]
    for span in spans:
        check([span], text, {"answer"}, 0.0)
        assert not any(span.overlaps(other) for other in spans if other is not span)
    strict = answer(question, text, threshold=1.0, model=model)
    assert strict.span is None
    assert strict.no_answer_score == found[0].no_answer_score
    assert 0 <= strict.no_answer_score <= 1


@each_text
def test_summaries_keep_the_order_and_the_budget(model: GlinerMT, domain: str) -> None:
    text = TEXTS[domain]
    for spans in (
        summarize(text, sentences=2, model=model).spans,
        summarize(text, unit="span", model=model).spans,
    ):
        check(list(spans), text, {"summary"}, 0.0)
        assert all(a.end <= b.start for a, b in pairwise(spans))
    assert len(summarize(text, sentences=2, model=model).spans) == 2
    words = len(summarize(text, ratio=0.6, model=model).text.split())
    assert 0 < words <= round(0.6 * len(text.split()))


ODD = ["", " \n", "\u200b", "😀", "a" * 3000, "<<ENT>> [SEP] <<SEP>>", "\r\n.\r\n", "\x00", "م" * 9]


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_have_results_of_the_right_kind(model: GlinerMT, text: str) -> None:
    check(extract_entities(text, LABELS, threshold=0.2, model=model), text, set(LABELS), 0.2)
    check(extract_open_entities(text, "names", threshold=0.2, model=model), text, {"match"}, 0.2)
    check(extract_matches(text, "names", threshold=0.2, model=model), text, {"match"}, 0.2)
    assert isinstance(extract_relations(text, ["in"], threshold=0.2, model=model), list)
    assert 0 <= answer("Who?", text, model=model).no_answer_score <= 1
    assert bool(summarize(text, model=model).spans) == bool(text.strip())


def test_a_question_too_long_to_read_is_refused(model: GlinerMT) -> None:
    with pytest.raises(ValueError, match="shorten the prompt or the labels"):
        answer("why " * 1000, TEXTS["news"], model=model)


def test_a_list_gives_what_its_texts_give_alone(model: GlinerMT) -> None:
    texts = list(TEXTS.values())[:4]
    together = extract_entities(texts, LABELS, model=model)
    for text, spans in zip(texts, together, strict=True):
        alone = extract_entities(text, LABELS, model=model)
        assert [(s.start, s.end, s.label) for s in alone] == [
            (s.start, s.end, s.label) for s in spans
        ]


def test_a_question_without_answer_is_less_sure_than_one_with(model: GlinerMT) -> None:
    text = TEXTS["biography"]
    known = answer("Where was Lise Meitner born?", text, model=model)
    assert known.text == "Vienna"
    unknown = answer("Which goalkeeper saved a penalty?", text, model=model)
    assert unknown.no_answer_score > known.no_answer_score


def test_a_fact_on_page_forty_of_fifty_is_found_by_every_task(tmp_path: Path) -> None:
    """The real windows over a network that knows three words (by their first token)."""
    text = pages(50, {40: "Paris was founded, Bill wrote."})
    scores = {"paris": 0.9, "founded": 0.8, "bill": 0.7}

    def score(word: str, label: str, _: set[str]) -> float:
        return scores.get(word, 0.0) * ("<>" not in label or label == "paris<>in")

    model, batches = scripted_model(tmp_path, score, max_tokens=512)
    assert len(text.split()) > 50 * 400
    place = text.index("Paris")
    assert 0.78 < place / len(text) < 0.81
    entities = extract_entities(text, ["x"], model=model)
    assert [s.text for s in entities] == ["Paris", "founded", "Bill"]
    assert sum(batches) > 50
    assert extract_open_entities(text, "in", model=model)[0].start == place
    assert extract_matches(text, "in", model=model)[0].start == place
    assert answer("in?", text, model=model).text == "Paris"
    assert summarize(text, sentences=1, model=model).text == "Paris was founded, Bill wrote."
    relations = extract_relations(text, ["in"], entities=entities, model=model)
    assert [(r.head.text, r.tail.text) for r in relations] == [
        ("Paris", "founded"),
        ("Paris", "Bill"),
    ]


@pytest.mark.slow
def test_fifty_pages_are_read_by_all_tasks(model: GlinerMT) -> None:
    text = pages(50, {40: FACT})
    entities = extract_entities(text, ["person", "city", "company"], model=model)
    check(entities, text, {"person", "city", "company"}, 0.5)
    assert {s.text for s in entities} >= {"Ada Berg", "Gdansk"}
    assert entities[0].start < 2000
    assert entities[-1].end > len(text) - 2000
    for found in (
        extract_open_entities(text, "all cities", model=model),
        extract_matches(text, "every bridge and when it was opened", model=model),
    ):
        check(found, text, {"match"}, 0.5)
    summary = summarize(text, sentences=5, model=model)
    check(list(summary.spans), text, {"summary"}, 0.0)
    assert len(summary.spans) == 5
    start = text.index(FACT)
    near = [span for span in entities if abs(span.start - start) < 5000]
    for r in extract_relations(text, ["works for"], entities=near, model=model):
        assert r.head in near
        assert text[r.tail.start : r.tail.end] == r.tail.text


@pytest.mark.parametrize(("number", "page"), [(5, 4), pytest.param(50, 40, marks=pytest.mark.slow)])
def test_a_fact_planted_far_behind_answers_its_question(
    model: GlinerMT, number: int, page: int
) -> None:
    text = pages(number, {page: FACT})
    found = answer(QUESTION, text, threshold=0.0, model=model)
    assert found.text == "1932"
    assert found.span is not None
    assert text.index(FACT) < found.span.start < text.index(FACT) + len(FACT)
