"""The packages and ours find the same in generated texts, for the same random weights.

A few texts by default, 500 for each with ``-m slow``.
"""

import json
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    ModernBertConfig,
    ModernBertModel,
    MT5Config,
    MT5EncoderModel,
)

from glinermt.families.prompted_network import ADJACENCIES
from glinermt.heads.span_modes import SPAN_VECTORS
from glinermt.model import GlinerMT
from glinermt.structures import RECORD_MODES, Field, Structure
from glinermt.types import Ask, Query
from tests.glinermt.checkpoints.peer_cases import FIXTURES
from tests.tiny_models import save_encoder

pytestmark = pytest.mark.filterwarnings("ignore")  # the packages' own

ROUNDING = 2e-4
"""How far scores may lie apart. Logits of the enlarged random weights go beyond 10, and both sides
round: of all scores the worst two were 1.4e-4 apart, ours 3e-5 and the package's 1.1e-4 from what
64-bit numbers give."""
TIES = 250
"""One text in so many may have records that differ: where two spans that overlap have the same
score (0.4884528 both, in the one of 500 that was seen), rounding decides which is chosen."""
LABELS = ["person", "city", "a longer label", "answer", "x"]
RELATIONS = ["works for", "in"]
_WORDS = (
    "Bill Gates founded microsoft in Paris the city , . state-of-the-art e_mail 東京 é a 10:30 (x) "
    "م 😀 they're $5 https://x.y/z a@b.co"
)
PIECES = [*_WORDS.split(), "\n", "\t"]

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


@pytest.fixture(
    scope="module", params=[8, pytest.param(500, marks=pytest.mark.slow)], ids=["few", "many"]
)
def count(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def agree(ours: dict[Any, float], theirs: dict[Any, float], threshold: float) -> bool:
    """Say whether both found the same; what only one found must lie at the threshold."""
    return all(
        abs(ours.get(place, threshold) - theirs.get(place, threshold)) <= ROUNDING
        for place in ours.keys() | theirs.keys()
    )


def same_places(ours: dict[Any, float], theirs: dict[Any, float], threshold: float) -> bool:
    """Say whether both found the same places; what only one found must lie at the threshold."""
    alone = [(ours if place in ours else theirs)[place] for place in ours.keys() ^ theirs.keys()]
    return all(abs(score - threshold) <= ROUNDING for score in alone)


def usual(options: dict[str, Any]) -> list[Any]:
    """Return the names, all but a few of them slow: each model takes seconds to make."""
    few = ("markerV1", "mt5", "fused-bert", "decoder-token", "bi", "poly", "attention", "fused")
    return [name if name in few else pytest.param(name, marks=pytest.mark.slow) for name in options]


def asked(count: int, seed: int) -> Iterator[tuple[str, list[str], float, bool, bool]]:
    """Yield texts, labels, threshold, flat or nested, several labels or one."""
    source = random.Random(seed)
    for _ in range(count):
        text = " ".join(source.choice(PIECES) for _ in range(source.randint(1, 30)))
        labels = source.sample(LABELS, source.randint(1, len(LABELS)))
        yield (
            text, labels, source.choice([0.3, 0.5]), source.random() < 0.7, source.random() < 0.3
        )  # fmt: skip


def save_backbone(folder: Path, kind: str) -> Path:
    """Write a tiny random encoder of a kind, with a tokenizer."""
    if kind in ("deberta", "bert"):
        return save_encoder(folder / kind, kind=kind)
    path = save_encoder(folder / kind)
    size = int(json.loads((path / "config.json").read_text())["vocab_size"])
    torch.manual_seed(3)
    model: Any
    if kind == "mt5":
        config: Any = MT5Config(
            vocab_size=size, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4
        )
        model = MT5EncoderModel(config)
    elif kind == "long-bert":
        config = BertConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, initializer_range=0.4,
        )  # fmt: skip
        model = BertModel(config)
    elif kind == "gpt2":
        config = GPT2Config(
            vocab_size=size, n_embd=32, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=3,
            pad_token_id=0,
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
    else:
        model = ModernBertModel(
            ModernBertConfig(
                vocab_size=size, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                num_attention_heads=4, local_attention=8, pad_token_id=0, cls_token_id=2,
                sep_token_id=3, bos_token_id=2, eos_token_id=3, max_position_embeddings=512,
            )
        )  # fmt: skip
    (path / "model.safetensors").unlink()
    model.save_pretrained(path)
    return path


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


def compared(count: int, theirs: Callable[..., Any], model: GlinerMT, **rules: Any) -> None:
    """Compare entities of texts; the packages must find something at all."""
    found = 0
    for text, labels, threshold, flat, several in asked(count, 1):
        expected = theirs(text, labels, threshold, flat, several)
        ask = Ask(threshold, "flat" if flat else "nested", rules.get("several", several), "min")
        (ours,) = model.read([Query(text, tuple(labels), across_lines=True)], ask)
        spans = {(s.start, s.end, s.label): s.score for s in ours.spans}
        assert agree(spans, expected, threshold), (text, labels, ask)
        found += len(expected)
    assert found


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
        found = model.predict_entities(text, labels, **options)
        assert agree(places(found), places(expected), threshold), (text, labels, options)
        compared += 1 + len(expected)
    assert compared > count


def places(entities: list[dict[str, Any]]) -> dict[Any, float]:
    return {(e["start"], e["end"], e["label"]): e["score"] for e in entities}


@pytest.mark.parametrize("name", usual(RELEX))
def test_relations_are_those_of_gliner(name: str, count: int, tmp_path: Path) -> None:
    theirs, model = made(tmp_path, RELEX[name])
    for text, labels, threshold, flat, _ in asked(count, 2):
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
        found = {
            (r.head.start, r.head.end, r.label, r.tail.start, r.tail.end): r.score
            for r in ours.relations
        }
        theirs_found = {
            (
                *(row["head"][side] for side in ("start", "end")),
                row["relation"],
                *(row["tail"][side] for side in ("start", "end")),
            ): row["score"]
            for row in expected
        }
        others = {place: score for place, score in theirs_found.items() if place[:2] != place[3:]}
        assert agree(found, others, threshold), (text, labels, threshold)
        spans = {(s.start, s.end, s.label): s.score for s in ours.spans}
        assert agree(spans, places(entities), threshold), (text, labels, threshold)


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
        found_places = {
            (min(e["start"], len(text)), min(e["end"], len(text)), label): e["confidence"]
            for label, rows in found["entities"].items()
            for e in rows
        }
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
    asks = {"include_confidence": True, "include_spans": True}
    schema = theirs.create_schema().structure("thing").field("place", dtype="list")
    schema = schema.field("color", dtype="str", choices=["red", "blue one"])
    fields = Field("place"), Field("color", choices=("red", "blue one"))
    compared, different = 0, []
    for text, labels, threshold, _, _ in asked(count, 3):
        query = Query(
            text, tuple(labels), "", tuple(RELATIONS), across_lines=True,
            structures=(Structure("thing", fields),),
        )  # fmt: skip
        ask = Ask(threshold, multi_label=True, relation_threshold=threshold)
        alone = [
            replace(query, relations=(), structures=()),
            replace(query, labels=(), structures=()),
            replace(query, labels=(), relations=()),
        ]
        spans, pairs, records = model.read(alone, ask)
        found = theirs.extract_entities(text, labels, threshold=threshold, **asks)["entities"]
        expected = {
            place: e["confidence"]
            for name in found
            for e in found[name]
            if (place := (*clipped(e, text), name))[0] < place[1]
        }
        ours = {(s.start, s.end, s.label): s.score for s in spans.spans}
        assert same_places(ours, expected, threshold), text
        compared += len(ours)
        found = theirs.extract_relations(text, RELATIONS, threshold=threshold, **asks)
        expected = {
            place: min(e[side]["confidence"] for side in ("head", "tail"))
            for name, edges in found["relation_extraction"].items()
            for e in edges
            if (place := (*clipped(e["head"], text), name, *clipped(e["tail"], text)))[0] < place[1]
            and place[3] < place[4]
        }
        ours = {
            (r.head.start, r.head.end, r.label, r.tail.start, r.tail.end): r.score
            for r in pairs.relations
        }
        assert same_places(ours, expected, threshold), text
        rows = theirs.extract(text, schema, threshold=threshold, **asks).get("thing", [])
        places_there = [{clipped(e, text) for e in row["place"] or []} for row in rows]
        places_here = [
            {(s.start, s.end) for s in r.spans["place"]} for r in records.records["thing"]
        ]
        kept = [{p for p in row if p[0] < p[1]} for row in places_there]
        if [p for p in places_here if p] != [p for p in kept if p]:
            different.append(text)
    assert compared
    assert len(different) <= count // TIES, different


def clipped(entity: dict[str, Any], text: str) -> tuple[int, int]:
    """Return the place without the full stop that the package adds."""
    return min(entity["start"], len(text)), min(entity["end"], len(text))


RECORDS = [
    (mode, exclusive, cardinalities)
    for mode in RECORD_MODES
    for exclusive in (True, False)
    for cardinalities in (
        ("required_one", "zero_or_more"), ("optional_one", "one_or_more"), (None, None),
    )
]  # fmt: skip


@pytest.mark.parametrize("choices", [(), ("red", "blue")], ids=["spans", "choices"])
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
            schema = schema.field("color", dtype="str", choices=list(choices))
            fields.append(Field("color", choices=choices))
        query = Query(text, structures=(Structure("thing", tuple(fields), mode=mode),))
        query = replace(query, across_lines=True)
        (found,) = model.read([query], Ask(threshold, multi_label=True))
        try:
            rows = theirs.extract(text, schema, threshold=threshold, **asks).get("thing", [])
        except ValueError as error:
            if "out of range" not in str(error):  # what an anchor among the choices says
                raise
            continue
        expected = [_their_record(row, text) for row in rows]
        if mode == "natural":  # of anchors among the choices, which are no mentions
            expected = [record for record in expected if record[0]]
        ours = [_our_record(one, threshold) for one in found.records["thing"]]
        assert [r for r in ours if any(r)] == [r for r in expected if any(r)], (mode, text)
        compared += len(expected)
    assert compared > 20


def _their_record(row: dict[str, Any], text: str) -> tuple[Any, ...]:
    """Return the best name, all places, and the color, without the full stop that is added."""
    name, color = row["name"], row.get("color")
    places_there = {clipped(place, text) for place in row["place"] or []}
    named = clipped(name, text) if name else (0, 0)
    return (
        named if named[0] < named[1] else None,
        {place for place in places_there if place[0] < place[1]},
        color["text"] if color else None,
    )


def _our_record(found: Any, threshold: float) -> tuple[Any, ...]:
    name, colors = found.spans["name"], found.choices.get("color", {})
    best = max(colors, key=lambda color: colors[color], default=None)
    return (
        (name[0].start, name[0].end) if name else None,
        {(s.start, s.end) for s in found.spans["place"]},
        best if best and colors[best] >= threshold else None,
    )


@pytest.mark.parametrize("name", ["text_default", "layout_text"])
def test_entities_are_those_of_gliformer(name: str, count: int) -> None:
    gliformer = pytest.importorskip("gliformer", reason="pip install gliformer==0.1.3")
    folder = FIXTURES / "gliformer" / name / "checkpoint"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = gliformer.GLiFormer.from_pretrained(str(folder))

    def entities(
        text: str, labels: list[str], threshold: float, flat: bool, _: bool
    ) -> dict[Any, float]:
        found = theirs.inference([text], entities=labels, threshold=threshold, flat_ner=flat)
        return {(e["start"], e["end"], e["label"]): e["score"] for e in found["ner"][0]}

    compared(count, entities, GlinerMT.from_pretrained(folder), several=False)


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
            assert triples(edges) == triples(related), text
        else:
            expected = theirs.predict_entities(text, LABELS, **rules)
            ours = model.predict_entities(text, LABELS, **rules)
        assert agree(places(ours), places(expected), threshold), (text, rules)
        found += len(expected)
    assert found
    with pytest.raises(ValueError, match="'river' is not among the names whose vectors this"):
        model.predict_entities("Paris", ["river"])


def triples(rows: list[dict[str, Any]]) -> set[Any]:
    """Return the places of relations between different mentions."""
    found = {
        (r["head"]["start"], r["head"]["end"], r["relation"], r["tail"]["start"], r["tail"]["end"])
        for r in rows
    }
    return {place for place in found if place[:2] != place[3:]}
