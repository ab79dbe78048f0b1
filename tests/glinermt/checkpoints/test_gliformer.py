"""GLiFormer text checkpoints give what the package gliformer gives (fixtures/README.md)."""

import gzip
import json
import warnings
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from glinermt.errors import CheckpointError
from glinermt.families.gliformer_reader import GliformerReader
from glinermt.model import GlinerMT
from glinermt.types import Ask, Query
from tests.glinermt.checkpoints.peer_cases import (
    FIXTURES,
    Fixture,
    close,
    options,
    plain_spans,
    their_spans,
    worst,
)
from tests.glinermt.checkpoints.random_models import (
    PIECES,
    agree,
    asked,
    compared,
    save_backbone,
)


@pytest.fixture(scope="module", params=["text_default", "layout_text"])
def fixture(request: pytest.FixtureRequest) -> Fixture:
    return Fixture.load(f"gliformer/{request.param}")


def as_query(case: dict[str, Any]) -> Query | None:
    """Return the case as a query; None where it asks for groups of labels, or reads cut texts."""
    labels, classes = case.get("entities") or [], case.get("classes") or {}
    if isinstance(labels, dict) or not isinstance(case["text"], str) or case["id"] == "long":
        return None
    groups = classes if isinstance(classes, dict) else {"": classes}
    return Query(
        case["text"],
        tuple(labels),
        classes=tuple(name for names in groups.values() for name in names),
        across_lines=True,
        class_groups=tuple((name, len(names)) for name, names in groups.items()),
    )


def test_entities_and_classes_are_those_of_the_package(fixture: Fixture) -> None:
    found_any = classed = 0
    for case in fixture.cases:
        query = as_query(case)
        if query is None:
            continue
        for key, expected in case["results"].items():
            if "classify" in key:
                continue
            rules = options(key)
            overlap = "flat" if rules["flat"] == "True" else "nested"
            threshold, multi_label = float(rules["th"]), rules["multi_label"] == "True"
            (found,) = fixture.model.read([query], Ask(threshold, overlap, multi_label, "min"))
            if "ner" in expected and query.labels:
                theirs = their_spans(expected["ner"][0])
                assert close(plain_spans(found), theirs), (case["id"], key)
                found_any += len(theirs)
            if query.classes and query.text.strip():
                scores = {name: 1 / (1 + np.exp(-v)) for name, v in found.classes.items()}
                for row in chain(*expected["classification"][0]):
                    assert scores[row["class_name"]] == pytest.approx(row["score"], abs=5e-5)
                    classed += 1
    assert found_any > 50
    assert classed > 10


def test_logits_are_those_of_the_package(fixture: Fixture) -> None:
    reader = fixture.model.reader
    assert isinstance(reader, GliformerReader)
    compared = 0
    for case in fixture.cases:
        query = as_query(case)
        labels = fixture.tensors.get(f"{case['id']}/ner_logits")
        classes = fixture.tensors.get(f"{case['id']}/cat_logits")
        if query is None or (labels is None and classes is None):
            continue
        (text,) = reader.query_encoder.tokenize_texts([query.text])
        ((_, vectors, words),) = reader._run(list(reader.rows.of(0, query, text)))
        rest = vectors[1:]
        with torch.inference_mode():
            for i, (_, number) in enumerate(query.class_groups if query.classes else ()):
                assert classes is not None
                assert reader.network.classes is not None
                own, rest = rest[: 1 + number], rest[1 + number :]
                logits = reader.network.classes(words, vectors[0], own[0], own[1:])
                assert worst(logits, classes[i, :number]) < 5e-5
                compared += 1
            if labels is not None and query.labels and reader.network.entities is not None:
                ours = reader.network.entities(words, rest[0], rest[1:])
                assert worst(ours, labels[0]) < 5e-5
                compared += 1
    assert compared >= 8


def test_vectors_of_texts_are_those_of_the_package() -> None:
    name = "gliformer/layout_text"
    with gzip.open(FIXTURES / name / "cases.json.gz", "rt", encoding="utf-8") as file:
        texts = json.load(file)["embed"]["texts"]
    model = GlinerMT.from_pretrained(FIXTURES / name / "checkpoint")
    expected = load_file(FIXTURES / name / "logits.safetensors")["embed/embeddings"].numpy()
    assert np.abs(model.encode_texts(texts) - expected).max() < 5e-5
    assert not model.encode_texts([" "]).any()
    # Of a text longer than a row all tokens count.
    long = " ".join([texts[0]] * 60)
    assert np.abs(model.encode_texts([long]) - model.encode_texts([long + texts[1]])).max() > 1e-4


def test_a_model_without_vectors_of_texts_says_so() -> None:
    model = GlinerMT.from_pretrained(FIXTURES / "gliformer/text_default/checkpoint")
    with pytest.raises(TypeError, match="has no embedding head"):
        model.encode_texts(["text"])
    model = GlinerMT.from_pretrained(FIXTURES / "biencoder/token/checkpoint")
    with pytest.raises(TypeError, match="makes no vectors of texts"):
        model.encode_texts(["text"])


@pytest.mark.parametrize("name", ["text_default", "layout_text"])
def test_entities_of_generated_texts_are_those_of_the_package(name: str, count: int) -> None:
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


POOLINGS = ("mean", "max", "weighted", "cls")
SCORERS = ("dot", "scaled-dot", "weighted-dot")


MANY = list(dict.fromkeys(piece for piece in PIECES if piece.strip()))


def generated(number: int, encoder: Path) -> dict[str, Any]:
    """Return a configuration, all different from one number to the next."""
    pooling, width = POOLINGS[number // 2 % 4], (None, 16)[number % 2]
    return {
        "model_name": str(encoder),
        "model_type": "gliformer-text",
        "model_variant": "text",
        "hidden_size": (32, 48)[number // 3 % 2],
        "num_rnn_layers": number % 3,
        "dropout": (0.0, 0.1)[number % 2],
        "ner_config": {"anchor_modeling": ("linear", "mlp")[number // 2 % 2]},
        "classification_config": {
            "anchor_modeling": ("mlp", "linear")[number % 2],
            "pooling_type": POOLINGS[number % 4],
            "scorer_type": SCORERS[number % 3],
        },
        "embedding_config": {"pooling_type": pooling, "projection_dim": width},
        **({"cat_parent_token": "[CATEGORY]"} if number % 5 == 1 else {}),
    }


@pytest.mark.filterwarnings("ignore")  # the package's own
@pytest.mark.parametrize(
    "number", [i if i in (1, 6) else pytest.param(i, marks=pytest.mark.slow) for i in range(24)]
)
def test_generated_models_find_what_the_package_finds(
    number: int, count: int, tmp_path: Path
) -> None:
    """Entities, several questions about the text in the same row, and vectors of texts."""
    gliformer = pytest.importorskip("gliformer", reason="pip install gliformer==0.1.3")
    encoder = save_backbone(tmp_path / "encoder", ("deberta", "modernbert")[number // 4 % 2])
    torch.manual_seed(number)
    config = gliformer.GLiFormerConfig(**generated(number, encoder))
    theirs = gliformer.GLiFormer.from_config(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(1.5)
    theirs.save_pretrained(str(tmp_path / "saved"))
    model = GlinerMT.from_pretrained(tmp_path / "saved")
    groups = {"mood": ["good", "bad", "a mixed one"], "topic": ["sports", "the city"]}
    compared = 0
    for i, (text, labels, threshold, flat, _) in enumerate(asked(count, number)):
        labels = MANY if i % 4 == 3 else labels
        expected = theirs.inference(
            [text], entities=labels, classes=groups, threshold=threshold, flat_ner=flat,
            multi_label=True,
        )  # fmt: skip
        query = as_query({"text": text, "entities": labels, "classes": groups, "id": ""})
        assert query is not None
        ask = Ask(threshold, "flat" if flat else "nested", True, "min")
        (found,) = model.read([query], ask)
        theirs_found = their_spans(expected["ner"][0])
        assert agree(plain_spans(found), theirs_found, threshold), (text, labels, ask)
        scores = {name: 1 / (1 + np.exp(-logit)) for name, logit in found.classes.items()}
        sure = {name: score for name, score in scores.items() if score > threshold}
        rows = chain(*expected["classification"][0])
        assert agree(sure, {row["class_name"]: row["score"] for row in rows}, threshold), text
        compared += len(found.spans) + len(sure)
    assert compared
    texts = [text for text, *_ in asked(count, number)]
    vectors = theirs.embed_text(texts, batch_size=1).detach().numpy()
    np.testing.assert_allclose(model.encode_texts(texts), vectors, rtol=5e-5, atol=5e-5)


def test_a_text_longer_than_a_row_is_read_to_its_end(fixture: Fixture) -> None:
    text = "Bill Gates founded Microsoft in Albuquerque. " * 80
    query = Query(text, ("person", "organization"))
    (found,) = fixture.model.read([query], Ask(0.1, span_score="min"))
    assert max(span.end for span in found.spans) > 0.8 * len(text)
    assert all(text[span.start : span.end] == span.text for span in found.spans)


def test_heads_that_are_not_read_are_passed_over_by_their_older_names_too(tmp_path: Path) -> None:
    source = FIXTURES / "gliformer/text_default/checkpoint"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = json.loads((source / "gliner_config.json").read_text())
    data |= {"set_structuring_config": {"multi_level": True}, "set_open_relex_config": {"loss": 1}}
    (tmp_path / "gliner_config.json").write_text(json.dumps(data))
    weights = torch.load(source / "pytorch_model.bin", weights_only=True)
    for name in ("heads.set_structuring.scorer.weight", "heads.set_open_relex.scorer.weight"):
        weights[name] = torch.zeros(2)
    torch.save(weights, tmp_path / "pytorch_model.bin")
    query = Query("Bill Gates founded Microsoft.", ("person", "organization"))
    found, expected = (
        list(GlinerMT.from_pretrained(folder).read([query], Ask(0.1)))
        for folder in (tmp_path, source)
    )
    assert found == expected
    assert found[0].spans


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gliformer-omni"}, "model_type = 'gliformer-omni' is not supported"),
        ({"shared_anchor_modeling": "mlp"}, "shared_anchor_modeling = 'mlp' is not supported"),
        (
            {"ner_config": {"anchor_mode": "slots"}},
            r"ner_config.anchor_mode = 'slots' is not supported",
        ),
        ({"ner_config": {"anchor_magic": 1}}, "the key ner_config.anchor_magic is not known"),
        (
            {"classification_config": {"scorer_type": "hopfield"}},
            "classification_config.scorer_type = 'hopfield' is not supported",
        ),
        ({"ner_config": None, "classification_config": None}, "neither ner_config nor"),
    ],
)
def test_an_unknown_option_is_refused_with_its_key(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    source = FIXTURES / "gliformer/text_default/checkpoint"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = json.loads((source / "gliner_config.json").read_text())
    (tmp_path / "gliner_config.json").write_text(json.dumps({**data, **changes}))
    with pytest.raises(CheckpointError, match=message):
        GlinerMT.from_pretrained(tmp_path)
