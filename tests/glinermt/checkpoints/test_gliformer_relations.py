"""GLiFormer's joint relations are those that the package gliformer finds (fixtures/README.md)."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from glinermt import extract_entities, extract_relations
from glinermt.families.gliformer_reader import GliformerReader
from glinermt.model import GlinerMT
from glinermt.types import Ask, Found, Query, Span
from tests.glinermt.checkpoints.peer_cases import (
    FIXTURES,
    Fixture,
    close,
    options,
    plain_spans,
    queries,
    relations,
    their_relations,
    their_spans,
    worst,
)
from tests.glinermt.checkpoints.random_models import RELATIONS, agree, asked, save_backbone

GROUP = "relations"
"""The name of the group that asks for relations."""


@pytest.fixture(scope="module", params=["pairs", "slots"])
def fixture(request: pytest.FixtureRequest) -> Fixture:
    return Fixture.load(f"gliformer/{request.param}")


def test_entities_and_relations_are_those_of_the_package(fixture: Fixture) -> None:
    compared = 0
    for case in fixture.cases:
        ((query, _),) = queries(case)
        for key, expected in case["results"].items():
            rules = options(key)
            threshold, overlap = float(rules["th"]), "flat" if rules["flat"] == "True" else "nested"
            near = None if rules["adj"] == "None" else float(rules["adj"])
            (found,) = fixture.model.read(
                [query], Ask(threshold, overlap, False, "min", threshold, near)
            )
            assert close(plain_spans(found), their_spans(expected["entities"][0]))
            theirs = their_relations(expected["relations"][0])
            assert close(relations(found), theirs), (case["id"], key)
            compared += len(theirs)
    assert compared > 400


def test_logits_of_relations_are_those_of_the_package(fixture: Fixture) -> None:
    reader = fixture.model.reader
    assert isinstance(reader, GliformerReader)
    head = reader.network.relations
    assert head is not None
    compared = 0
    for case, theirs in fixture.with_tensor("rel_logits"):
        ((query, _),) = queries(case)
        (text,) = reader.query_encoder.tokenize_texts([query.text])
        ((row, vectors, words),) = reader._run(list(reader.rows.of(0, query, text)))
        places, pairs, mask = (
            fixture.tensors[f"{case['id']}/{name}"][0]
            for name in ("entity_spans", "rel_idx", "rel_mask")
        )
        spans = torch.stack([places[:, 0], places[:, 1] + 1], dim=1)
        related = vectors[len(vectors) - len(row.text.relations) :]
        with torch.inference_mode():
            own, logits = head(words, vectors[1], spans, related, 0.5)
        ours = {tuple(pair): logit for pair, logit in zip(own.tolist(), logits, strict=True)}
        kept = mask.bool()
        expected = {
            tuple(pair): logit
            for pair, logit in zip(pairs[kept].tolist(), theirs[0][kept], strict=True)
        }
        assert ours.keys() == expected.keys()
        for pair, logit in expected.items():
            assert worst(ours[pair], logit) < 5e-5
        compared += len(expected)
    assert compared > 5


PLACES = {"type": "fourier", "params": {}}
TRAINED = {
    "relations_layer": "anchor_modeling",
    "anchor_layer": {"type": "fixed", "params": {"num_slots": 30}},
    "anchor_refinement": {
        "type": "cross_attention",
        "params": {
            "num_layers": 2, "num_heads": 8, "norm_style": "pre_norm", "layer_scale_init": 0.1,
        },
    },
    "anchor_cross_attention_bias": {
        "type": "gaussian_distance",
        "params": {"sigma": 0.5, "weight": 1.0, "units": "query_steps"},
    },
    "anchor_memory_position": PLACES,
    "anchor_query_position": PLACES,
    "anchor_memory_position_usage": "keys_and_values",
}  # fmt: skip
"""The options that GLiFormer's own configuration for all text tasks has."""
HEADS: list[dict[str, Any]] = [
    {},
    TRAINED,
    {"relations_layer": "dot"},
    {"relations_layer": "anchor_modeling"},
    {"relations_layer": "mlp", "triples_layer": "DistMult"},
    {
        "relations_layer": "anchor-modeling", "anchor_modeling": "mlp", "num_fixed_slots": 25,
        "anchor_refine_layers": 1, "anchor_refine_heads": 4,
    },
    {"relations_layer": "bilinear"},
    TRAINED | {
        "anchor_memory_position_usage": "keys_only", "anchor_query_position": None,
        "triples_layer": "DistMult",
    },
    {"relations_layer": "gcn"},
    TRAINED | {
        "anchor_cross_attention_bias": {"type": "gaussian_distance"},
        "anchor_memory_position": "none",
        "anchor_refinement": {"type": "decoder", "layers": 3, "heads": 2},
    },
    {"relations_layer": "gat"},
    TRAINED | {
        "anchor_refinement": None, "anchor_refine_layers": 2, "anchor_refine_norm": "pre_norm",
        "anchor_refine_layer_scale_init": 0.5, "anchor_cross_attention_bias": None,
        "anchor_memory_position_usage": None,
    },
    {"relations_layer": "attention"},
]  # fmt: skip


def saved(number: int, folder: Path) -> Any:
    """Make a random model of the package, all different from one number to the next."""
    gliformer = pytest.importorskip("gliformer", reason="pip install gliformer==0.1.3")
    config = gliformer.GLiFormerConfig(
        model_name=str(
            save_backbone(folder / "encoder", ("deberta", "modernbert")[number // 4 % 2])
        ),
        model_type="gliformer-text",
        model_variant="text",
        hidden_size=(32, 48)[number // 3 % 2],
        num_rnn_layers=number % 3,
        dropout=(0.0, 0.1)[number % 2],
        ner_config={"anchor_modeling": ("linear", "mlp")[number // 2 % 2]},
        classification_config={},
        joint_relex_config=HEADS[number],
        **({"ner_parent_token": "[GROUP]"} if number % 3 == 1 else {}),
    )
    torch.manual_seed(number)
    model = gliformer.GLiFormer.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(12 if name.endswith("_scale") else 1.5)
    model.save_pretrained(str(folder / "saved"))
    return model


@pytest.mark.filterwarnings("ignore")  # the package's own
@pytest.mark.parametrize(
    "number",
    [i if i < 2 else pytest.param(i, marks=pytest.mark.slow) for i in range(len(HEADS))],
)
def test_generated_models_relate_what_the_package_relates(
    number: int, count: int, tmp_path: Path
) -> None:
    """Entities, relations and a class in the same row."""
    theirs = saved(number, tmp_path)
    model = GlinerMT.from_pretrained(tmp_path / "saved")
    compared = 0
    for i, (text, labels, threshold, flat, several) in enumerate(asked(count, number, 20)):
        names = [*RELATIONS, "a longer relation"][: 1 + i % 3]
        near = (None, 0.1, 0.6)[i % 3]
        expected = theirs.inference(
            [text], joint_relations={GROUP: {"entities": labels, "relations": names}},
            classes={"mood": ["good", "bad"]}, threshold=threshold, flat_ner=flat,
            multi_label=several, **({} if near is None else {"adjacency_threshold": near}),
        )  # fmt: skip
        query = Query(text, tuple(labels), "mood", tuple(names), ("good", "bad"), across_lines=True)
        overlap = "flat" if flat else "nested"
        (found,) = model.read([query], Ask(threshold, overlap, several, "min", threshold, near))
        assert agree(plain_spans(found), their_spans(expected.get("ner", [[]])[0]), threshold)
        mine, others = relations(found), their_relations(expected.get("joint_relex", [[]])[0])
        assert agree(mine, others, threshold), (text, labels)
        compared += len(others)
    assert compared or "attention" in str(HEADS[number])  # whose pairs are seldom near


TEXT = "Bill Gates founded Microsoft in Albuquerque."


def joined(fixture: Fixture, query: Query, threshold: float = 0.3) -> Found:
    (found,) = fixture.model.read([query], Ask(threshold, "nested", False, "min", 0.0))
    return found


def test_given_entities_are_related_without_being_found(fixture: Fixture) -> None:
    given = (Span(0, 10, "Bill Gates", "person"), Span(19, 28, "Microsoft", "company"))
    found = joined(fixture, Query(TEXT, (), "", ("works for", "founded by"), entities=given))
    assert not found.spans
    pairs = {(relation.head, relation.tail) for relation in found.relations}
    assert pairs <= {given, given[::-1]}
    assert not joined(fixture, Query(TEXT, ("person",), entities=given)).relations


def test_a_long_text_has_relations_to_its_end(fixture: Fixture) -> None:
    text = " ".join([TEXT] * 80)
    found = joined(fixture, Query(text, ("person", "organization"), "", ("works for",)))
    assert max(relation.tail.end for relation in found.relations) > 0.8 * len(text)
    assert {end for r in found.relations for end in (r.head, r.tail)} <= set(found.spans)


def test_more_labels_and_relations_than_a_row_holds_are_all_asked(fixture: Fixture) -> None:
    labels = tuple(f"a kind of entity of number {i}" for i in range(30))
    names = tuple(f"a relation that is named {i}" for i in range(20))
    found = joined(fixture, Query(TEXT, labels, "", names))
    assert {relation.label for relation in found.relations} == set(names)


def changed(tmp_path: Path, **options: Any) -> Path:
    """Copy the checkpoint of pairs with other options of its relation head."""
    source = FIXTURES / "gliformer/pairs/checkpoint"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "gliner_config.json"
    data = json.loads(path.read_text())
    data["joint_relex_config"] |= options
    path.write_text(json.dumps(data))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"triples_layer": "TransE"}, "joint_relex_config.triples_layer = 'TransE' is not"),
        ({"relation_top_k_neighbors": 3}, "joint_relex_config.relation_top_k_neighbors = 3 is not"),
        ({"anchor_magic": 1}, "the key joint_relex_config.anchor_magic is not known"),
        (
            {"relations_layer": "anchor_modeling", "anchor_layer": "topk_norm"},
            "joint_relex_config.anchor_layer = 'topk_norm' is not supported",
        ),
        (
            TRAINED | {"anchor_refinement": {"params": {"norm_type": "rms_norm"}}},
            "joint_relex_config.anchor_refinement.norm_type = 'rms_norm' is not supported",
        ),
        (
            TRAINED | {"anchor_query_position": {"type": "fourier", "params": {"scale": 2}}},
            "the key joint_relex_config.anchor_query_position.scale is not known",
        ),
    ],
)
def test_an_option_that_is_not_known_leaves_a_model_without_relations(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.warns(UserWarning, match=message):
        model = GlinerMT.from_pretrained(changed(tmp_path, **options))
    assert model.kinds == {"spans", "classes"}
    whole = GlinerMT.from_pretrained(FIXTURES / "gliformer/pairs/checkpoint")
    labels = ["person", "organization"]
    found = extract_entities(TEXT, labels, threshold=0.1, model=model)
    assert found
    assert found == extract_entities(TEXT, labels, threshold=0.1, model=whole)
    with pytest.raises(ValueError, match="needs a model with a relation head"):
        extract_relations(TEXT, ["works for"], method="pairs", model=model)


def test_a_saved_model_relates_as_before(fixture: Fixture, tmp_path: Path) -> None:
    fixture.model.save_pretrained(tmp_path / "again")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = GlinerMT.from_pretrained(tmp_path / "again")
    query = Query(TEXT, ("person", "organization"), "", ("works for",))
    ask = Ask(0.3, "nested", False, "min", 0.0)
    assert list(again.read([query], ask)) == list(fixture.model.read([query], ask))
