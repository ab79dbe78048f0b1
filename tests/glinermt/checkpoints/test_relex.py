"""Relex checkpoints give what the package gliner gives (fixtures/README.md)."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from glinermt.families.prompted_network import ADJACENCIES
from glinermt.families.prompted_reader import PromptedReader
from glinermt.types import Ask, Query, Span
from tests.glinermt.checkpoints.peer_cases import (
    Fixture,
    close,
    inside_text,
    options,
    queries,
    relations,
    spans,
    their_relations,
    their_spans,
    worst,
)


@pytest.fixture(scope="module", params=["span_gcn", "token_mlp", "token_none"])
def fixture(request: pytest.FixtureRequest) -> Fixture:
    return Fixture.load(f"relex/{request.param}")


def test_entities_and_relations_are_those_of_the_package(fixture: Fixture) -> None:
    compared = 0
    for case in fixture.cases:
        asked = queries(case)
        for key, expected in case["results"].items():
            rules = options(key)
            threshold = float(rules["th"])
            related = threshold if rules["rel"] == "None" else float(rules["rel"])
            overlap = "flat" if rules["flat"] == "True" else "nested"
            near = None if rules["adj"] == "None" else float(rules["adj"])
            ask = Ask(threshold, overlap, False, "min", related, near)
            found = fixture.model.read([query for query, _ in asked], ask)
            for i, (one, (_, names)) in enumerate(zip(found, asked, strict=True)):
                assert close(spans(one, names), their_spans(expected["entities"][i]))
                theirs = their_relations(expected["relations"][i])
                assert close(relations(one), theirs), (case["id"], key)
                compared += len(theirs)
    assert compared > 30


def test_the_calls_of_the_package_give_its_rows(fixture: Fixture) -> None:
    case = next(c for c in fixture.cases if isinstance(c["text"], str) and c["relations"])
    expected = case["results"]["th=0.3|flat=True|rel=0.5|adj=0.7"]
    thresholds = {"threshold": 0.3, "relation_threshold": 0.5, "adjacency_threshold": 0.7}
    asked = case["labels"], case["relations"]
    entities, related = fixture.model.predict_relations(case["text"], *asked, **thresholds)
    both = fixture.model.inference([case["text"]], asked[0], relations=asked[1], **thresholds)
    assert both == ([entities], [related])
    assert [(e["start"], e["end"], e["label"]) for e in entities] == [
        (e["start"], e["end"], e["label"]) for e in expected["entities"][0]
    ]
    keys = ("start", "end", "text", "type", "entity_idx")

    def plain(row: dict[str, Any]) -> tuple[Any, ...]:
        ends = [tuple(row[end][key] for key in keys) for end in ("head", "tail")]
        return (*ends, row["relation"])

    theirs = {plain(row) for row in expected["relations"][0] if row["head"] != row["tail"]}
    assert {plain(row) for row in related} == theirs


def test_logits_are_those_of_the_package(fixture: Fixture) -> None:
    reader = fixture.model.reader
    assert isinstance(reader, PromptedReader)
    compared = 0
    for case, theirs in fixture.with_tensor("logits"):
        ((query, _),) = queries(case)
        (text,) = reader.query_encoder.tokenize_texts([query.text])
        ((_, (words, labels, related)),) = reader._run(list(reader._plan(0, query, text)))
        with torch.inference_mode():
            ours = reader.network.logits(words, labels)
            if ours.shape[2] == 3:
                assert worst(ours, theirs[0]) < 5e-5
            else:
                assert worst(inside_text(ours), inside_text(theirs[0].permute(0, 2, 1))) < 5e-5
            compared += _compare_relations(fixture, case["id"], words, related)
    assert compared > 10


def _compare_relations(
    fixture: Fixture, name: str, words: torch.Tensor, related: torch.Tensor
) -> int:
    tensors = {
        key: fixture.tensors.get(f"{name}/{key}")
        for key in ("entity_spans", "rel_idx", "rel_mask", "rel_logits")
    }
    if any(tensor is None for tensor in tensors.values()) or not len(related):
        return 0
    places, pairs, mask, theirs = (tensor[0] for tensor in tensors.values() if tensor is not None)
    reader = fixture.model.reader
    assert isinstance(reader, PromptedReader)
    network = reader.network
    vectors = network.span_vectors(words, torch.stack([places[:, 0], places[:, 1] + 1], dim=1))
    pairs, theirs = pairs[mask.bool()], theirs[mask.bool()]
    assert network.pairs(vectors, 0.3).tolist() == pairs.tolist()
    assert worst(network.relation_logits(vectors, pairs, related), theirs) < 5e-5
    return len(pairs)


def test_given_entities_are_paired_without_being_found(fixture: Fixture) -> None:
    text = "Bill Gates founded Microsoft in Albuquerque."
    given = (Span(0, 10, "Bill Gates", "person"), Span(19, 28, "Microsoft", "company"))
    query = Query(text, ("person",), "", ("works for", "founded by"), entities=given)
    (found,) = fixture.model.read([query], Ask(0.01, relation_threshold=0.0))
    assert {(r.head, r.tail) for r in found.relations} <= {given, given[::-1]}
    (nothing,) = fixture.model.read(
        [replace(query, relations=())], Ask(0.01, relation_threshold=0.0)
    )
    assert not nothing.relations


def test_a_long_text_has_relations_to_its_end(fixture: Fixture) -> None:
    text = "Bill Gates founded Microsoft in Albuquerque. " * 200
    query = Query(text, ("person", "organization", "date"), "", ("works for", "founded by"))
    (found,) = fixture.model.read([query], Ask(0.3, relation_threshold=0.3))
    assert found.spans
    assert max(span.end for span in found.spans) > 0.9 * len(text)
    for relation in found.relations:
        assert text[relation.head.start : relation.head.end] == relation.head.text
        assert relation.head in found.spans
        assert relation.tail in found.spans


@pytest.mark.parametrize("name", sorted(ADJACENCIES))
def test_every_layer_of_pairs_gives_probabilities(name: str) -> None:
    torch.manual_seed(0)
    layer = ADJACENCIES[name](16).eval()
    with torch.inference_mode():
        near = layer(torch.randn(5, 16))
    assert near.shape == (5, 5)
    assert ((near >= 0) & (near <= 1)).all()
