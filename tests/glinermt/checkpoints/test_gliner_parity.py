"""The package ``gliner`` and ours give the same logits and entities for the same weights."""

import itertools
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from glinermt.config import ModelConfig, TaskSettings
from glinermt.model import GlinerMT
from glinermt.types import Query
from tests.glinermt.checkpoints.peer_cases import their_spans
from tests.tiny_models import save_encoder, save_tokenizer

gliner = pytest.importorskip("gliner")

TEXTS = [
    "Bill Gates founded Microsoft in Paris.",
    "Zoë — the founder — met 東京 people, 😀 at 10:30!",
    "a",
    "state-of-the-art e_mail: john.doe@example.com, (555) 010-9999;\n\ttabs\r\nand lines",
    "قال محمد صلاح in Paris",
    " ".join(["the person founded the city in Paris and"] * 8),
]
LABELS = [["person", "city"], ["person"], ["a longer label", "city", "person", "x", "answer"]]
VARIANTS = {
    "token": {"span_mode": "token_level", "hidden_size": 32},
    "token-projected-two-layers": {
        "span_mode": "token_level", "hidden_size": 24, "num_rnn_layers": 2,
    },
    "token-no-rnn": {"span_mode": "token_level", "hidden_size": 32, "num_rnn_layers": 0},
    "span": {"span_mode": "markerV0", "hidden_size": 32, "max_width": 5},
    "span-projected": {"span_mode": "markerV0", "hidden_size": 24, "max_width": 12},
    "span-old": {"span_mode": "marker", "hidden_size": 32, "max_width": 3},
}  # fmt: skip


@pytest.fixture(scope="module", params=VARIANTS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, GlinerMT]:
    """A random model of the package, and ours loaded from what it saved."""
    folder = tmp_path_factory.mktemp("gliner")
    backbone = save_encoder(folder / "backbone")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own
        torch.manual_seed(0)
        config = gliner.GLiNERConfig(
            model_name=str(backbone), dropout=0.0, max_types=30, **VARIANTS[request.param]
        )
        theirs = gliner.GLiNER.from_config(config).eval()
        with torch.no_grad():
            for parameter in theirs.model.parameters():
                parameter.mul_(1.5)
        theirs.save_pretrained(folder / "saved", safe_serialization=True)
    return theirs, GlinerMT.from_pretrained(folder / "saved")


def their_entities(theirs: Any, text: str, labels: list[str], **options: Any) -> dict[Any, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = theirs.predict_entities(text, labels, **options)
    return their_spans(found)


@pytest.mark.parametrize("text", TEXTS)
def test_entities_and_scores_are_those_of_the_package(
    pair: tuple[Any, GlinerMT], text: str
) -> None:
    theirs, ours = pair
    for labels, threshold, flat, multi in itertools.product(
        LABELS, (0.3, 0.5), (True, False), (False, True)
    ):
        expected = their_entities(
            theirs, text, labels, threshold=threshold, flat_ner=flat, multi_label=multi
        )
        (spans,) = ours.extract(
            [Query(text, tuple(labels), across_lines=True)],
            threshold=threshold,
            overlap="flat" if flat else "nested",
            multi_label=multi,
            span_score="min",
        )
        got = {(s.start, s.end, s.label): s.score for s in spans}
        assert got.keys() == expected.keys()
        for place, score in got.items():
            assert score == pytest.approx(expected[place], abs=5e-5)


def test_the_package_finds_something_at_all(pair: tuple[Any, GlinerMT]) -> None:
    theirs, _ = pair
    assert any(their_entities(theirs, text, LABELS[2], threshold=0.3) for text in TEXTS)


def test_the_oldest_format_loads(tmp_path: Path) -> None:
    """No tokenizer, no encoder_config, has_rnn, a .bin file, numbers as strings."""
    import json

    backbone = save_encoder(tmp_path / "backbone")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = gliner.GLiNERConfig(
            model_name=str(backbone), span_mode="marker", hidden_size=32, max_width=4, dropout=0.0
        )
        theirs = gliner.GLiNER.from_config(config).eval()
    old = tmp_path / "old"
    old.mkdir()
    torch.save(theirs.model.state_dict(), old / "pytorch_model.bin")
    legacy = {
        "model_name": str(backbone), "span_mode": "marker", "hidden_size": 32, "max_width": 4,
        "dropout": 0.0, "has_rnn": True, "lr_encoder": "1e-5", "train_data": "data.json",
    }  # fmt: skip
    (old / "gliner_config.json").write_text(json.dumps(legacy))
    ours = GlinerMT.from_pretrained(old)
    (spans,) = ours.extract([Query(TEXTS[0], ("person", "city"))], threshold=0.3)
    expected = their_entities(theirs, TEXTS[0], ["person", "city"], threshold=0.3)
    assert {(s.start, s.end, s.label) for s in spans} == expected.keys()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("deberta", {"head": "token"}),
        ("deberta", {"head": "span", "hidden_size": 24, "num_rnn_layers": 2}),
        ("deberta", {"head": "span", "span_mode": "marker"}),
        ("bert", {"head": "token", "hidden_size": 24, "num_rnn_layers": 0}),
    ],
)
def test_the_package_loads_what_is_saved_for_it_and_scores_the_same(
    tmp_path: Path, kind: str, changes: dict[str, Any]
) -> None:
    encoder = save_encoder(tmp_path / "encoder", kind=kind)
    torch.manual_seed(1)
    config = ModelConfig(encoder=str(encoder), max_width=4, words="reference", **changes)
    settings = TaskSettings(span_score="min", thresholds={"answer": 0.3})
    ours = GlinerMT.from_config(config, settings).eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.mul_(1.5)
    ours.save_pretrained(tmp_path / "saved", format="gliner")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = gliner.GLiNER.from_pretrained(str(tmp_path / "saved")).eval()
    again = GlinerMT.from_pretrained(tmp_path / "saved")
    assert (again.settings, again.config) == (ours.settings, ours.config)
    number = 0
    for text in TEXTS[:3]:
        expected = their_entities(theirs, text, LABELS[2], threshold=0.3)
        found = [
            (e["start"], e["end"], e["label"], e["score"])
            for model in (ours, again)
            for e in model.predict_entities(text, LABELS[2], threshold=0.3)
        ]
        assert {tuple(place) for *place, _ in found} == expected.keys()
        for *place, score in found:
            assert score == pytest.approx(expected[tuple(place)], abs=5e-5)
        number += len(expected)
    assert number


def test_the_tokenizer_fixture_writes_a_fast_tokenizer(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    assert (tmp_path / "tokenizer.json").exists()
