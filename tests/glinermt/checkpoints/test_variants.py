"""Rare variants of the uni-encoder give what the package gliner gives (fixtures/README.md)."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from glinermt.encoder import Batch
from glinermt.errors import BackendError, CheckpointError, ConfigError
from glinermt.families.prompted_reader import PromptedReader
from glinermt.model import GlinerMT
from glinermt.network import Network
from glinermt.types import Ask, Query
from tests.glinermt.checkpoints.peer_cases import (
    FIXTURES,
    Fixture,
    close,
    inside_text,
    options,
    queries,
    spans,
    their_spans,
    worst,
)

VARIANTS = [
    "markerV1_mean_rnn0",
    "markerV2_last_rnn2_noent",
    "token_t5_max_spans",
    "query",
    "conv_share",
    "decoder_span",
]
PADDED = {"markerV1_mean_rnn0", "markerV2_last_rnn2_noent"}
"""Where the package's scores depend on what a text is batched with."""


@pytest.fixture(scope="module", params=VARIANTS)
def fixture(request: pytest.FixtureRequest) -> Fixture:
    return Fixture.load(f"variants/{request.param}")


def test_entities_are_those_of_the_package(
    fixture: Fixture, request: pytest.FixtureRequest
) -> None:
    padded = any(name in request.node.name for name in PADDED)
    compared = 0
    for case in fixture.cases:
        if padded and case["id"] == "batch":
            continue
        asked = queries(case)
        for key, expected in case["entities"].items():
            rules = options(key)
            found = fixture.model.read(
                [query for query, _ in asked],
                Ask(
                    float(rules["th"]),
                    "flat" if rules["flat"] == "True" else "nested",
                    rules["multi_label"] == "True",
                    "min",
                ),
            )
            rows = expected if isinstance(case["text"], list) else [expected]
            for one, (_, names), row in zip(found, asked, rows, strict=True):
                assert close(spans(one, names), their_spans(row)), (case["id"], key)
                compared += len(row)
    assert compared > 50


def test_logits_are_those_of_the_package(fixture: Fixture) -> None:
    reader = fixture.model.reader
    compared = 0
    for case, theirs in fixture.with_tensor("logits"):
        ((query, _),) = queries(case)
        with torch.inference_mode():
            if isinstance(reader, PromptedReader):
                (text,) = reader.query_encoder.tokenize_texts([query.text])
                ((_, (words, labels, _)),) = reader._run(list(reader._plan(0, query, text)))
                ours = reader.network.logits(words, labels)
            else:
                assert isinstance(fixture.model.network, Network)
                encoder = fixture.model.query_encoder
                tokenized = encoder.tokenize([query])
                passes = reader.plan(tokenized)  # type: ignore[attr-defined]
                batch = Batch.from_rows(encoder.collate(tokenized, passes))
                ours = fixture.model.network(batch).spans[0]
        if ours.shape[2] != 3:
            ours, theirs = inside_text(ours), inside_text(theirs[0].permute(0, 2, 1))
        else:
            theirs = theirs[0]
        assert worst(ours, theirs) < 5e-5, case["id"]
        compared += 1
    assert compared >= 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"span_mode": "markerV9"}, "span_mode = 'markerV9' is not supported"),
        ({"subtoken_pooling": "median"}, "subtoken_pooling = 'median' is not supported"),
        ({"words_splitter_type": "psychic"}, "words_splitter_type = 'psychic' is not supported"),
        ({"gating_layer": "x"}, "gating_layer = 'x': the key is not known"),
        ({"span_encoder_config": {"a": 1}}, "span_encoder_config = .* is not supported"),
        ({"labels_decoder": "d", "decoder_mode": "prompt"}, "decoder_mode = 'prompt'"),
        ({"model_type": "gliner_streaming_span"}, "streaming"),
        ({"hidden_size": "wide"}, "invalid literal"),
    ],
)
def test_an_unknown_configuration_is_refused_with_its_key(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    source = FIXTURES / "variants/query/checkpoint"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = json.loads((source / "gliner_config.json").read_text())
    (tmp_path / "gliner_config.json").write_text(json.dumps({**data, **changes}))
    with pytest.raises(CheckpointError, match=message):
        GlinerMT.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "name", ["variants/query", "biencoder/token", "relex/span_gcn", "gliner2/count_lstm"]
)
def test_what_was_changed_is_saved_with_a_family_model(name: str, tmp_path: Path) -> None:
    folder = FIXTURES / name / "checkpoint"
    model = GlinerMT.from_pretrained(folder, words="characters")
    model.settings = replace(model.settings, thresholds={"entities": 0.21})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.01)
    model.save_pretrained(tmp_path)
    again = GlinerMT.from_pretrained(tmp_path)
    assert again.settings == model.settings
    query = [Query("Bill Gates founded Microsoft.", ("person", "organization"))]
    found = again.extract(query, threshold=0.1)
    assert found == model.extract(query, threshold=0.1)
    assert found != GlinerMT.from_pretrained(folder).extract(query, threshold=0.1)
    assert found != [[]]


def test_a_variant_is_saved_as_it_was_read(tmp_path: Path) -> None:
    model = GlinerMT.from_pretrained(FIXTURES / "variants/query/checkpoint")
    model.save_pretrained(tmp_path)
    query = [Query("Bill Gates founded Microsoft.", ("person", "organization"))]
    again = GlinerMT.from_pretrained(tmp_path)
    assert again.extract(query, threshold=0.2) == model.extract(query, threshold=0.2) != [[]]


TEXTS = {
    "characters": "比尔·盖茨在纽约创立了微软公司。",
    "jieba": "比尔·盖茨在纽约创立了微软公司。",
    "janome": "ビル・ゲイツは東京でマイクロソフトを設立した。",
    "mecab": "빌 게이츠는 서울에서 마이크로소프트를 설립했다.",
    "pythainlp": "บิล เกตส์ก่อตั้งบริษัทไมโครซอฟท์ในกรุงเทพ",
    "universal": "ビル・ゲイツは東京でマイクロソフトを設立した。",
    "spacy": "Bill's dog isn't here, is it?",
}
WORDS = {
    "characters": ["比", "尔", "·"],
    "jieba": ["比尔", "·", "盖茨"],
    "janome": ["ビル", "・", "ゲイツ"],
    "mecab": ["빌", "게이츠", "는"],
    "pythainlp": ["บิล", "เกตส์", "ก่อตั้ง"],
    "universal": ["ビル", "・", "ゲイツ"],
    "spacy": ["Bill", "'s", "dog"],
}
PACKAGES = {
    "jieba": "jieba3", "janome": "janome", "mecab": "mecab", "pythainlp": "pythainlp",
    "universal": "langdetect", "spacy": "spacy",
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_texts_without_spaces_are_read_word_by_word(name: str) -> None:
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name], reason=f"the splitter {name} needs it")
    model = GlinerMT.from_pretrained(FIXTURES / "variants/query/checkpoint", words=name)
    text = TEXTS[name]
    words = model.query_encoder.split_words(text)
    assert [text[start:end] for start, end in words[:3]] == WORDS[name]
    assert all(a[1] <= b[0] for a, b in pairwise(words))
    assert "".join(text[start:end] for start, end in words) == "".join(text.split())
    (found,) = model.extract([Query(text, ("person", "place"))], threshold=0.2, multi_label=True)
    assert found
    borders = {place for word in words for place in word}
    for span in found:
        assert text[span.start : span.end] == span.text
        assert span.start in borders


def test_a_users_own_splitter_is_used_and_checked() -> None:
    path = FIXTURES / "variants/query/checkpoint"
    pairs = GlinerMT.from_pretrained(path, words=lambda text: [(0, 2), (2, len(text))])
    (found,) = pairs.extract([Query("abcdef", ("person",))], threshold=0.0)
    assert {span.start for span in found} <= {0, 2}
    wrong = GlinerMT.from_pretrained(path, words=lambda _: [(3, 2)])
    with pytest.raises(ValueError, match="gave 3:2 behind 0 in a text of 6 characters"):
        wrong.extract([Query("abcdef", ("person",))])
    with pytest.raises(TypeError, match="words must be the name of a splitter, or a function"):
        GlinerMT.from_pretrained(path, words=3)  # type: ignore[arg-type]


def test_a_missing_splitter_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "stanza", None)
    source = FIXTURES / "variants/query/checkpoint"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = json.loads((source / "gliner_config.json").read_text())
    data["words_splitter_type"] = "stanza"
    (tmp_path / "gliner_config.json").write_text(json.dumps(data))
    model = GlinerMT.from_pretrained(tmp_path)  # loads, so that another can be chosen
    query = [Query("Bill Gates", ("person",))]
    with pytest.raises(BackendError, match=r"pip install 'glinermt\[stanza\]'"):
        model.extract(query)
    assert GlinerMT.from_pretrained(tmp_path, words="reference").extract(query) is not None
    with pytest.raises(ConfigError, match="unknown word splitter 'magic'"):
        GlinerMT.from_pretrained(tmp_path, words="magic")
