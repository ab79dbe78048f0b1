"""The task functions use what each family can do, and have the same shapes for all."""

from dataclasses import dataclass, replace
from typing import Literal

import pytest

from glinermt import classify, extract_entities, extract_records, extract_relations
from glinermt.model import GlinerMT
from glinermt.types import Span
from tests.glinermt.checkpoints.peer_cases import FIXTURES

TEXT = "Bill Gates founded Microsoft on April 4, 1975 in Albuquerque, New Mexico."
FAMILIES = {
    "variants/markerV1_mean_rnn0": {"spans"},
    "variants/decoder_span": {"spans"},
    "biencoder/span_v2": {"spans"},
    "relex/span_gcn": {"spans", "relations"},
    "gliner2/count_lstm": {"spans", "relations", "classes", "records"},
    "gliner25/shared": {"spans", "relations", "classes", "records"},
    "gliformer/text_default": {"spans", "classes"},
    "gliformer/pairs": {"spans", "relations", "classes"},
}
_MODELS: dict[str, GlinerMT] = {}


def model_of(name: str) -> GlinerMT:
    if name not in _MODELS:
        _MODELS[name] = GlinerMT.from_pretrained(FIXTURES / name / "checkpoint")
    return _MODELS[name]


def with_kind(kind: str) -> list[str]:
    return [name for name, kinds in FAMILIES.items() if kind in kinds]


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_finds_entities_and_says_what_else_it_can(name: str) -> None:
    model = model_of(name)
    assert set(model.kinds) >= FAMILIES[name]
    labels = {"person": "a human being", "place": {"description": "a city", "threshold": 0.1}}
    one = extract_entities(TEXT, labels, threshold=0.1, model=model)
    among_others = extract_entities([TEXT, "x"], labels, threshold=0.1, model=model)[0]
    assert [replace(span, score=0) for span in one] == [replace(s, score=0) for s in among_others]
    for span in one:
        assert TEXT[span.start : span.end] == span.text
        assert span.label in labels
    assert extract_entities("", labels, model=model) == []


@pytest.mark.parametrize("name", with_kind("relations"))
def test_relations_come_in_one_pass_between_found_or_given_entities(name: str) -> None:
    model = model_of(name)
    relations = ["works for", "located in", "founded by"]
    found = extract_relations(
        TEXT, relations, entities=["person", "date"], threshold=0.0, entity_threshold=0.1,
        model=model,
    )  # fmt: skip
    assert found
    for relation in found:
        assert relation.label in relations
        assert TEXT[relation.head.start : relation.head.end] == relation.head.text
    given = [Span(0, 10, "Bill Gates", "person"), Span(19, 28, "Microsoft", "company")]
    paired = extract_relations(TEXT, relations, entities=given, threshold=0.0, model=model)
    assert {place for r in paired for place in (r.head, r.tail)} <= set(given)


@pytest.mark.parametrize("name", with_kind("classes"))
def test_classes_have_scores_that_sum_to_one(name: str) -> None:
    result = classify(TEXT, ["good", "bad", "neutral"], threshold=0.0, model=model_of(name))
    assert result.label in ("good", "bad", "neutral")
    assert sum(result.scores.values()) == pytest.approx(1)
    several = classify(TEXT, ["good", "bad"], multi_label=True, threshold=0.0, model=model_of(name))
    assert set(several.scores) == {"good", "bad"}


@dataclass
class Company:
    """What the texts say of a company."""

    name: str | None = None
    price: str | None = None
    color: Literal["red", "blue", "black"] | None = None


@pytest.mark.parametrize("name", with_kind("records"))
def test_records_are_the_instances_that_the_model_counts(name: str) -> None:
    model = model_of(name)
    text = "The red phone costs $5. The blue one is $7."
    several = extract_records(text, Company, many=True, threshold=0.1, model=model)
    (one,) = extract_records(text, Company, threshold=0.1, model=model) or [None]
    if "gliner25" in name:  # which asks for several by their anchor, and for one by all fields
        assert all(record.value.name for record in several)
    else:
        assert one is None or one == several[0]
    for record in several:
        assert isinstance(record.value, Company)
        for spans in record.spans.values():
            assert all(text[span.start : span.end] == span.text for span in spans)
    if name.startswith("gliner2/"):
        assert several


@pytest.mark.parametrize("name", FAMILIES)
def test_no_entity_runs_across_lines(name: str) -> None:
    text = TEXT.replace(" ", "\n")
    found = extract_entities(text, ["person", "place"], threshold=0.1, model=model_of(name))
    assert not [span for span in found if "\n" in span.text]
