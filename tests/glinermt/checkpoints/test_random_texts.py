"""The package gliner and ours find the same in generated texts, for the same random weights.

A few texts by default, 500 for each with ``-m slow``.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from glinermt.families.prompted_network import ADJACENCIES
from glinermt.heads.span_modes import SPAN_VECTORS
from glinermt.model import GlinerMT
from glinermt.types import Ask, Query
from tests.glinermt.checkpoints.peer_cases import (
    plain_spans,
    relations,
    their_relations,
    their_spans,
)
from tests.glinermt.checkpoints.random_models import (
    LABELS,
    RELATIONS,
    agree,
    asked,
    save_backbone,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # the package's own

UNI = {
    "markerV1": {"span_mode": "markerV1", "max_width": 5},
    "mt5": {"span_mode": "markerV0", "max_width": 4, "model_name": "mt5"},
    "fused-bert": {"span_mode": "token_level", "fuse_layers": True, "model_name": "long-bert"},
    "markers": {"span_mode": "markerV0", "max_width": 4, "ent_token": "[E]", "sep_token": "[S]"},
    "decoder": {"span_mode": "markerV0", "max_width": 4, "labels_decoder": "gpt2"},
    "decoder-token": {"span_mode": "token_level", "labels_decoder": "gpt2"},
    "bi": {"span_mode": "markerV0", "max_width": 4, "labels_encoder": "bert"},
    "bi-token": {"span_mode": "token_level", "labels_encoder": "bert", "hidden_size": 24},
    "bi-represented": {
        "span_mode": "token_level", "labels_encoder": "bert", "represent_spans": True,
    },
    "poly": {
        "span_mode": "markerV0", "max_width": 4, "labels_encoder": "bert",
        "post_fusion_schema": "l2l-l2t-t2t-t2l", "num_post_fusion_layers": 2,
    },
}  # fmt: skip
RELEX = {
    "dot": {"span_mode": "markerV0", "max_width": 4, "relations_layer": "dot"},
    "attention": {"span_mode": "token_level", "relations_layer": "attention"},
    "mlp": {"span_mode": "markerV1", "max_width": 4, "relations_layer": "mlp"},
    "distmult": {
        "span_mode": "markerV0", "max_width": 4, "relations_layer": "none",
        "triples_layer": "DistMult",
    },
    "no-marker": {"span_mode": "token_level", "relations_layer": "gcn", "embed_rel_token": False},
    "fused": {
        "span_mode": "markerV0", "max_width": 4, "relations_layer": "GCN", "fuse_layers": True,
    },
}  # fmt: skip
MODES = ("markerV0", "marker", *SPAN_VECTORS, "token_level")
FUSIONS = ("", "l2l-l2t-t2t", "t2l", "l2t-t2l-t2t-l2l")


def mixed(number: int) -> dict[str, Any]:
    """Return settings that every family has, all different from one number to the next."""
    return {
        "span_mode": MODES[number % len(MODES)],
        "max_width": (4, 6, 1, 7)[number // 2 % 4],
        "subtoken_pooling": ("first", "last", "mean", "max")[number % 4],
        "num_rnn_layers": number % 3,
        "embed_ent_token": number % 5 < 3,
        "hidden_size": (32, 48)[number % 2],
        "model_name": ("deberta", "modernbert", "mt5")[number // 2 % 3],
        "represent_spans": number % 3 == 1,
    }


def with_labels_encoder(number: int) -> dict[str, Any]:
    chosen = {**mixed(number), "model_name": ("deberta", "modernbert")[number // 3 % 2]}
    fusion = {"post_fusion_schema": FUSIONS[number % 4], "num_post_fusion_layers": 1 + number % 2}
    return {**chosen, **fusion, "labels_encoder": ("bert", "deberta")[number // 2 % 2]}


def with_relations(number: int) -> dict[str, Any]:
    layer = ("none", *ADJACENCIES)[number % (1 + len(ADJACENCIES))]
    triples = {"triples_layer": "DistMult"} if number % 3 == 2 else {}
    return {**mixed(number), **triples, "relations_layer": layer, "embed_rel_token": number % 5 > 0}


UNI |= {f"mixed-{i}": {**mixed(i), "fuse_layers": i % 5 == 0} for i in range(2 * len(MODES))}
UNI |= {f"bi-mixed-{i}": with_labels_encoder(i) for i in range(2 * len(MODES))}
RELEX |= {f"mixed-{i}": {**with_relations(i), "fuse_layers": i % 7 == 0} for i in range(32)}


def usual(options: dict[str, Any]) -> list[Any]:
    """Return the names, all but a few of them slow: each model takes seconds to make."""
    few = ("markerV1", "mt5", "fused-bert", "decoder-token", "bi", "poly", "attention", "fused")
    return [name if name in few else pytest.param(name, marks=pytest.mark.slow) for name in options]


def made(folder: Path, options: dict[str, Any]) -> tuple[Any, GlinerMT]:
    """Return a random model of the package gliner, and ours of what it saved."""
    gliner = pytest.importorskip("gliner")
    options = {"max_types": 30, "dropout": 0.0, "hidden_size": 32, **options}
    for key, usual in (
        ("model_name", "deberta"), ("labels_encoder", None), ("labels_decoder", None),
    ):  # fmt: skip
        kind = options.get(key, usual)
        if kind:
            options[key] = str(save_backbone(folder / key, kind))
    torch.manual_seed(0)
    theirs = gliner.GLiNER.from_config(gliner.GLiNERConfig(**options)).eval()
    with torch.no_grad():
        for parameter in theirs.model.parameters():
            parameter.mul_(1.5)
    theirs.save_pretrained(folder / "saved", safe_serialization=True)
    return theirs, GlinerMT.from_pretrained(folder / "saved")


@pytest.mark.parametrize("name", usual(UNI))
def test_entities_are_those_of_gliner(name: str, count: int, tmp_path: Path) -> None:
    theirs, model = made(tmp_path, UNI[name])
    compared = 0
    for text, names, threshold, flat, several in asked(count, 1):
        # A label of the last kind is asked by a description, in whose place gliner puts it.
        labels = {n: n if i else "a very long label" for i, n in enumerate(names)}
        options = {"threshold": threshold, "flat_ner": flat, "multi_label": several}
        try:
            expected = theirs.predict_entities(text, labels, **options)
        except RuntimeError as error:
            if "ambiguous" not in str(error):  # what the decoder says where it has nothing to word
                raise
            continue
        ours = model.predict_entities(text, labels, **options)
        assert agree(their_spans(ours), their_spans(expected), threshold), (text, labels, options)
        compared += 1 + len(expected)
    assert compared > count


@pytest.mark.parametrize("name", usual(RELEX))
def test_relations_are_those_of_gliner(name: str, count: int, tmp_path: Path) -> None:
    theirs, model = made(tmp_path, RELEX[name])
    # The package joins every two spans that it finds, and in longer texts has 16 GB of pairs.
    for text, labels, threshold, flat, _ in asked(count, 2, longest=8):
        try:
            (entities,), (expected,) = theirs.inference(
                [text], labels, relations=RELATIONS, threshold=threshold, flat_ner=flat
            )
        except AttributeError as error:
            if "has no attribute 'dim'" not in str(error):  # what attention over no entity says
                raise
            entities, expected = [], []
        query = Query(text, tuple(labels), "", tuple(RELATIONS), across_lines=True)
        overlap = "flat" if flat else "nested"
        (ours,) = model.read([query], Ask(threshold, overlap, False, "min", threshold))
        assert agree(relations(ours), their_relations(expected), threshold), (
            text,
            labels,
            threshold,
        )
        assert agree(plain_spans(ours), their_spans(entities), threshold), (text, labels, threshold)


@pytest.mark.parametrize(
    "options",
    [
        {"span_mode": "token_level", "num_rnn_layers": 0},
        {"span_mode": "markerV0", "max_width": 4, "relations_layer": "mlp"},
    ],
    ids=["token", "relex"],
)
def test_label_vectors_computed_once_are_those_of_gliner(
    options: dict[str, Any], tmp_path: Path
) -> None:
    """A checkpoint with ``precomputed_prompts_mode`` reads no labels, and has theirs as weights."""
    theirs, _ = made(tmp_path, options)
    relex = "relations_layer" in options
    texts = [text for text, *_ in asked(4, 5)]
    extra = {"rel_labels": RELATIONS} if relex else {}
    theirs.compress_prompt_embeddings(texts, LABELS, **extra)
    theirs.save_pretrained(tmp_path / "stored", safe_serialization=True)
    model = GlinerMT.from_pretrained(tmp_path / "stored")
    found = 0
    for text, _, threshold, flat, several in asked(8, 6):
        rules = {"threshold": threshold, "flat_ner": flat, "multi_label": several}
        if relex:
            (expected,), (related,) = theirs.inference([text], LABELS, relations=RELATIONS, **rules)
            ours, edges = model.predict_relations(text, LABELS, RELATIONS, **rules)
            assert their_relations(edges).keys() == their_relations(related).keys(), text
        else:
            expected = theirs.predict_entities(text, LABELS, **rules)
            ours = model.predict_entities(text, LABELS, **rules)
        assert agree(their_spans(ours), their_spans(expected), threshold), (text, rules)
        found += len(expected)
    assert found
    with pytest.raises(ValueError, match="'river' is not among the names whose vectors this"):
        model.predict_entities("Paris", ["river"])
