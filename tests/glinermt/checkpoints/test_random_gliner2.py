"""The package gliner2 and ours find the same in generated texts, for the same random weights.

A few texts by default, 500 for each with ``-m slow``.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import torch

from glinermt.model import GlinerMT
from glinermt.structures import RECORD_MODES, Field, Structure
from glinermt.types import Ask, Attributes, Query
from tests.glinermt.checkpoints.peer_cases import FIXTURES, clipped, plain_spans, relations
from tests.glinermt.checkpoints.random_models import (
    RELATIONS,
    asked,
    compared,
    save_backbone,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # the package's own


@pytest.mark.parametrize("name", ["gliner2/count_lstm", "gliner25/shared"])
def test_entities_are_those_of_gliner2(name: str, count: int, tmp_path: Path) -> None:
    gliner2 = pytest.importorskip("gliner2", reason="pip install gliner2==2.1.0")
    shutil.copytree(FIXTURES / name / "checkpoint", tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    if "architecture" not in config:  # the package no longer reads the older form of its own
        head = {"max_width": config["max_width"], "span_mode": "markerV0"}
        config = {**config, "architecture": "span", "span_head": head}
        (tmp_path / "config.json").write_text(json.dumps(config))
    theirs = gliner2.AutoExtractor.from_pretrained(str(tmp_path))

    def entities(
        text: str, labels: list[str], threshold: float, flat: bool, _: bool
    ) -> dict[Any, float]:
        found = theirs.extract_entities(
            text, labels, threshold=threshold, include_confidence=True, include_spans=True,
            **({} if flat else {"overlap_policy": "nested"}),
        )  # fmt: skip
        found_places: dict[Any, float] = {}
        for label, rows in found["entities"].items():
            for e in rows:  # a full stop that the package adds is cut off, and leaves doubles
                place = min(e["start"], len(text)), min(e["end"], len(text)), label
                found_places[place] = max(e["confidence"], found_places.get(place, 0.0))
        return {place: score for place, score in found_places.items() if place[0] < place[1]}

    compared(count, entities, GlinerMT.from_pretrained(tmp_path), several=True)


POOL = {
    "boundary_dim": 16, "pair_dim": 16, "candidate_pool": "shared", "pool_boundary_top_k": 12,
    "pool_size": 48, "min_pool_per_query": 4, "record_dim": 16, "multihead_pair_compat_heads": 4,
}  # fmt: skip
CONTENT = {"enable_span_content": True, "content_dim": 8}
PLAIN_POOL = {"candidate_attention_layers": 0, "query_attention_layers": 0}
HEADS: list[dict[str, Any]] = [
    {},
    {"boundary_attention_layers": 2},
    {"boundary_attention_layers": 1, "boundary_attention_window": 3},
    {"boundary_refinement_layers": 2, "boundary_ffn_multiplier": 1.5, "dropout": 0.0},
    PLAIN_POOL,
    {"candidate_attention_layers": 1, "query_attention_layers": 0},
    {**CONTENT, **PLAIN_POOL, "content_soft_max_pool": True},
    CONTENT,
    {"use_inside_evidence": False, "enable_abstention": False},
    {"overlap_policy": "nested"},
    {"pair_temperature": 1.7, "relation_temperature": 0.6},
    {"directional_relation_states": True, "relation_biaffine_content": True},
    {"relation_heads_per_type": 3, "relation_tails_per_type": 5, "relation_pair_cap": 7},
    {"min_pool_per_query": 0, "boundary_refinement_layers": 0},
]
COUNTS = [
    {"counting_layer": layer, "token_pooling": pooling, "span_head": {"max_width": width}}
    for layer, pooling, width in (
        ("count_lstm", "first", 8), ("count_lstm", "mean", 1), ("count_lstm_v2", "max", 4),
        ("count_lstm_v2", "first", 12), ("count_lstm_moe", "first", 4),
        ("count_lstm_moe", "max", 8),
    )
]  # fmt: skip
GLINER2 = [{"architecture": "span", **options} for options in COUNTS]
GLINER2 += [{"architecture": "boundary", "boundary_head": {**POOL, **head}} for head in HEADS]
FEW_GLINER2 = (1, 12)


@pytest.mark.parametrize(
    "number",
    [i if i in FEW_GLINER2 else pytest.param(i, marks=pytest.mark.slow) for i in range(20)],
)
def test_generated_models_find_what_gliner2_finds(number: int, count: int, tmp_path: Path) -> None:
    """Entities, relations, and records with a choice, whose words stand before the text."""
    pytest.importorskip("gliner2", reason="pip install gliner2==2.1.0")
    from gliner2.auto import AutoExtractor
    from gliner2.configuration import ExtractorConfig

    encoder = save_backbone(tmp_path / "encoder", ("deberta", "modernbert")[number % 2])
    torch.manual_seed(0)
    config = ExtractorConfig(model_name=str(encoder), **GLINER2[number])
    AutoExtractor.from_config(config).save_pretrained(str(tmp_path / "saved"))
    theirs = AutoExtractor.from_pretrained(str(tmp_path / "saved")).eval()
    model = GlinerMT.from_pretrained(tmp_path / "saved")
    fields = Field("place"), Field("color", choices=("red", "blue one"))
    compared, different = 0, []
    for text, labels, threshold, _, _ in asked(count, 3):
        query = Query(
            text, tuple(labels), "", tuple(RELATIONS), across_lines=True,
            structures=(Structure("thing", fields),),
        )  # fmt: skip
        ours, expected = _places(model, query, threshold), _their_places(theirs, query, threshold)
        compared += len(ours[0])
        if ours != expected:
            different.append((query, threshold))
    assert compared
    # Scores that are equal but for the last bit of a 32-bit number: which is the higher one, or
    # at the threshold, is up to the order of the sums. 64-bit numbers have no such ties.
    theirs.double()
    model.network.double()
    for query, threshold in different:
        assert _places(model, query, threshold) == _their_places(theirs, query, threshold), query


def _places(model: GlinerMT, query: Query, threshold: float) -> tuple[Any, ...]:
    """Return the places of entities, relations and the records' spans, each asked alone."""
    alone = [
        replace(query, relations=(), structures=()),
        replace(query, labels=(), structures=()),
        replace(query, labels=(), relations=()),
    ]
    ask = Ask(threshold, multi_label=True, relation_threshold=threshold)
    spans, pairs, records = model.read(alone, ask)
    rows = [{(s.start, s.end) for s in r.spans["place"]} for r in records.records["thing"]]
    return plain_spans(spans).keys(), relations(pairs).keys(), [row for row in rows if row]


def _their_places(theirs: Any, query: Query, threshold: float) -> tuple[Any, ...]:
    """Return the same as the package finds it, without the full stop that it adds to a text."""
    text = query.text
    asks = {"threshold": threshold, "include_confidence": True, "include_spans": True}
    found = theirs.extract_entities(text, list(query.labels), **asks)["entities"]
    spans = {(*clipped(e, text), name) for name in found for e in found[name]}
    found = theirs.extract_relations(text, list(query.relations), **asks)["relation_extraction"]
    edges = {
        (*clipped(e["head"], text), name, *clipped(e["tail"], text))
        for name in found
        for e in found[name]
    }
    schema = theirs.create_schema().structure("thing").field("place", dtype="list")
    schema = schema.field("color", dtype="str", choices=["red", "blue one"])
    found = theirs.extract(text, schema, **asks).get("thing", [])
    rows = [{clipped(e, text) for e in row["place"] or []} for row in found]
    rows = [{place for place in row if place[0] < place[1]} for row in rows]
    return (
        {place for place in spans if place[0] < place[1]},
        {edge for edge in edges if edge[0] < edge[1] and edge[3] < edge[4]},
        [row for row in rows if row],
    )


RECORDS = [
    (mode, exclusive, cardinalities)
    for mode in RECORD_MODES
    for exclusive in (True, False)
    for cardinalities in (
        ("required_one", "zero_or_more"), ("optional_one", "one_or_more"), (None, None),
    )
]  # fmt: skip


CHOICES = ("red", "blue")


@pytest.mark.parametrize("choices", [(), CHOICES], ids=["spans", "choices"])
def test_records_are_told_apart_as_gliner2_does(
    choices: tuple[str, ...], count: int, tmp_path: Path
) -> None:
    pytest.importorskip("gliner2", reason="pip install gliner2==2.1.0")
    from gliner2.auto import AutoExtractor
    from gliner2.configuration import ExtractorConfig

    torch.manual_seed(0)
    head = {**POOL, "record_instance_queries": 6}
    config = ExtractorConfig(
        model_name=str(save_backbone(tmp_path / "encoder", "deberta")),
        architecture="boundary",
        boundary_head=head,
    )
    AutoExtractor.from_config(config).save_pretrained(str(tmp_path / "saved"))
    theirs = AutoExtractor.from_pretrained(str(tmp_path / "saved")).eval()
    model = GlinerMT.from_pretrained(tmp_path / "saved")
    asks = {"include_confidence": True, "include_spans": True}
    compared = 0
    texts = list(asked(count // 4, 7))
    for i, (mode, exclusive, (one, many)) in enumerate(RECORDS * max(1, count // 50)):
        text, _, threshold, _, _ = texts[i % len(texts)]
        schema = theirs.create_schema().structure("thing", mode=mode)
        schema = schema.field("name", dtype="str", cardinality=one, exclusive=exclusive)
        schema = schema.field("place", dtype="list", cardinality=many, exclusive=exclusive)
        fields = [
            Field("name", cardinality=one, exclusive=exclusive),
            Field("place", cardinality=many, exclusive=exclusive),
        ]
        if choices:
            color = ("optional_one", "required_one", None)[i % 5 % 3]
            dtype = "str" if color else "list"
            schema = schema.field("color", dtype=dtype, choices=list(choices), cardinality=color)
            fields.append(Field("color", choices=choices, cardinality=color))
        query = Query(text, structures=(Structure("thing", tuple(fields), mode=mode),))
        query = replace(query, across_lines=True)
        (found,) = model.read([query], Ask(threshold, multi_label=True))
        try:
            rows = theirs.extract(text, schema, threshold=threshold, **asks).get("thing", [])
        except ValueError as error:
            if "out of range" not in str(error):  # what an anchor among the choices says
                raise
            continue
        expected = [_their_record(row, text, mode) for row in rows]
        if mode == "natural":  # of anchors among the choices, which are no mentions
            expected = [record for record in expected if record[0]]
        ours = [_our_record(one, fields, threshold) for one in found.records["thing"]]
        assert [r for r in ours if any(r)] == [r for r in expected if any(r)], (mode, text)
        compared += len(expected)
    assert compared > 20


def _their_record(row: dict[str, Any], text: str, mode: str) -> tuple[Any, ...]:
    """Return the best name, all places, and the colors, without the full stop that is added.

    Where that alone is the best name, ours is the next one or none: ``ANY``, but for an anchor.
    """
    colors = row.get("color") or []
    chosen = {color["text"] for color in (colors if isinstance(colors, list) else [colors])}
    places_there = {clipped(place, text) for place in row["place"] or []}
    places_there = {place for place in places_there if place[0] < place[1]}
    name = clipped(row["name"], text) if row["name"] else None
    if name and name[0] == name[1]:
        name = ANY if mode != "natural" and (places_there or chosen) else None
    return name, places_there, chosen


def _our_record(found: Any, fields: list[Field], threshold: float) -> tuple[Any, ...]:
    name, colors = found.spans["name"], found.choices.get("color", {})
    chosen = {color for color, score in colors.items() if score >= threshold}
    if chosen and fields[-1].cardinality is not None:
        chosen = {max(colors, key=lambda color: colors[color])}
    return (
        (name[0].start, name[0].end) if name else None,
        {(s.start, s.end) for s in found.spans["place"]},
        chosen,
    )


def test_attributes_in_64_bit_numbers_are_those_of_gliner2(tmp_path: Path) -> None:
    """In 32-bit numbers ``count_lstm_v2`` is at the mercy of their order: 1e-4 either way."""
    gliner2 = pytest.importorskip("gliner2", reason="pip install gliner2==2.1.0")
    from gliner2.auto import AutoExtractor
    from gliner2.configuration import ExtractorConfig

    torch.manual_seed(0)
    config = ExtractorConfig(
        model_name=str(save_backbone(tmp_path / "encoder", "deberta")),
        architecture="span",
        counting_layer="count_lstm_v2",
    )
    made = AutoExtractor.from_config(config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(1.5)
    made.save_pretrained(str(tmp_path / "saved"))
    theirs = AutoExtractor.from_pretrained(str(tmp_path / "saved")).eval().double()
    model = GlinerMT.from_pretrained(tmp_path / "saved")
    model.network.double()
    schema = {
        "entities": ["person", "city"],
        "entity_attributes": {"mood": {"labels": ["good", "bad"]}},
    }
    compared = 0
    for text, *_ in asked(6, 11):
        query = Query(
            text, ("person", "city"), attributes=(Attributes("mood", ("good", "bad")),),
            across_lines=True,
        )  # fmt: skip
        (found,) = model.read([query], Ask(0.2, multi_label=True))
        said = {
            (s.start, s.end, s.label): mood["mood"]
            for s, mood in zip(found.spans, found.attributes, strict=True)
        }
        expected = theirs.extract(
            text, gliner2.Schema.from_dict(schema), threshold=0.2, include_confidence=True,
            include_spans=True,
        )  # fmt: skip
        for label, entities in expected["entities"].items():
            for entity in entities:
                start, end = clipped(entity, text)
                if start < end:
                    mood = entity["mood"]
                    score = said[start, end, label][mood["label"]]
                    assert score == pytest.approx(mood["confidence"], abs=1e-6), text
                    compared += 1
    assert compared > 3
