"""Bi-encoders give what the package gliner gives; labels are computed once (fixtures/README.md)."""

import json
import shutil
import tracemalloc
from pathlib import Path

import pytest
import torch

from glinermt.errors import CheckpointError
from glinermt.families.bi_reader import LABEL_BLOCK, BiReader
from glinermt.label_index import LabelIndex
from glinermt.model import GlinerMT
from glinermt.tasks import extract_entities
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

TIED = {"dup_labels"}
"""Asks for ``person`` and ``Person``, which the uncased label encoder reads alike."""
TEXT = "Bill Gates founded Microsoft in Albuquerque on April 4, 1975."


@pytest.fixture(scope="module", params=["span_v2", "token"])
def fixture(request: pytest.FixtureRequest) -> Fixture:
    return Fixture.load(f"biencoder/{request.param}")


@pytest.fixture(scope="module")
def model() -> GlinerMT:
    return GlinerMT.from_pretrained(FIXTURES / "biencoder/token/checkpoint")


def test_entities_are_those_of_the_package(fixture: Fixture) -> None:
    compared = 0
    for case in fixture.cases:
        asked = queries(case)
        for key, expected in case["entities"].items():
            rules = options(key)
            overlap = "flat" if rules["flat"] == "True" else "nested"
            ask = Ask(float(rules["th"]), overlap, rules["multi_label"] == "True", "min")
            found = fixture.model.read([query for query, _ in asked], ask)
            rows = expected if isinstance(case["text"], list) else [expected]
            for one, (_, names), row in zip(found, asked, rows, strict=True):
                if case["id"] not in TIED:
                    assert close(spans(one, names), their_spans(row)), (case["id"], key)
                compared += len(row)
    assert compared > 100


def test_logits_and_label_vectors_are_those_of_the_package(fixture: Fixture) -> None:
    reader = fixture.model.reader
    assert isinstance(reader, BiReader)
    compared = 0
    for case, theirs in fixture.with_tensor("logits"):
        ((query, _),) = queries(case)
        (text,) = reader.query_encoder.tokenize_texts([query.text])
        ((_, words),) = reader._run(list(reader._rows(0, "", text, len(query.labels))))
        labels = reader.labels.vectors(query.labels, 1024)
        assert worst(labels, fixture.tensors[f"{case['id']}/label_pooled"]) < 5e-6
        with torch.inference_mode():
            ours = reader.network.logits(words, labels)
        if ours.shape[2] == 3:
            assert worst(ours, theirs[0]) < 5e-5
        else:
            assert worst(inside_text(ours), inside_text(theirs[0].permute(0, 2, 1))) < 5e-5
        compared += 1
    assert compared >= 3


def test_an_index_of_labels_goes_wherever_labels_go(model: GlinerMT, tmp_path: Path) -> None:
    labels = ["person", "organization", "a longer label\nof two lines"]
    index = model.encode_labels(labels)
    assert list(index) == labels
    index.save(tmp_path / "labels.safetensors")
    loaded = LabelIndex.load(tmp_path / "labels.safetensors")
    assert list(loaded) == labels
    assert torch.equal(loaded.vectors, index.vectors)
    expected = extract_entities(TEXT, labels, threshold=0.2, model=model)
    assert expected
    other = GlinerMT.from_pretrained(FIXTURES / "biencoder/token/checkpoint")
    other.reader.labels._compute = None  # type: ignore[attr-defined]
    assert extract_entities(TEXT, loaded, threshold=0.2, model=other) == expected


def test_an_index_of_another_model_is_refused(model: GlinerMT) -> None:
    index = LabelIndex(["person"], torch.zeros(1, 48), "another")
    with pytest.raises(ValueError, match="'person' was encoded by another model"):
        model.extract([Query(TEXT, tuple(index))])


def test_what_is_not_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no label index can be read"):
        LabelIndex.load(tmp_path / "nothing.safetensors")
    with pytest.raises(CheckpointError, match="not a label index"):
        LabelIndex.load(FIXTURES / "biencoder/token/checkpoint/model.safetensors")


def test_a_width_that_no_fusion_can_have_is_refused(tmp_path: Path) -> None:
    """The package loads such a checkpoint, and fails at the first text."""
    shutil.copytree(FIXTURES / "biencoder/token/checkpoint", tmp_path, dirs_exist_ok=True)
    path = tmp_path / "gliner_config.json"
    config = {**json.loads(path.read_text()), "post_fusion_schema": "l2t", "hidden_size": 30}
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"needs a hidden_size that .* 4 attention heads"):
        GlinerMT.from_pretrained(tmp_path)


def test_other_families_say_that_they_encode_no_labels() -> None:
    model = GlinerMT.from_pretrained(FIXTURES / "variants/query/checkpoint")
    with pytest.raises(TypeError, match="encode_labels needs a bi-encoder"):
        model.encode_labels(["person"])


def test_thousands_of_labels_cost_one_reading_of_the_text(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scored block by block: the largest array does not grow with the number of labels."""
    labels = [f"label number {i}" for i in range(4 * LABEL_BLOCK)]
    reader = model.reader
    assert isinstance(reader, BiReader)
    index = model.encode_labels(labels)
    passes, sizes = [], []
    encode, logits = reader.encoder, reader.network.logits

    def counted(rows: object, keep: object) -> object:
        passes.append(rows)
        return encode(rows, keep)  # type: ignore[arg-type]

    def measured(words: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
        sizes.append(len(block))
        return logits(words, block)

    monkeypatch.setattr(reader, "encoder", counted)
    monkeypatch.setattr(reader.network, "logits", measured)
    (found,) = model.extract([Query(TEXT, tuple(index))], threshold=0.2)
    assert found
    assert len(passes) == 1
    assert sizes == [LABEL_BLOCK] * 4
    assert {span.label for span in found} <= set(labels)


def test_blocks_do_not_change_results(model: GlinerMT, monkeypatch: pytest.MonkeyPatch) -> None:
    query = [Query(TEXT, tuple(f"label number {i}" for i in range(40)))]
    (whole,) = model.extract(query, threshold=0.2)
    monkeypatch.setattr("glinermt.families.bi_reader.LABEL_BLOCK", 7)
    (blocks,) = model.extract(query, threshold=0.2)
    places = [[(s.start, s.end, s.label) for s in found] for found in (whole, blocks)]
    assert places[0] == places[1] != []
    assert [s.score for s in blocks] == pytest.approx([s.score for s in whole], abs=1e-5)


def test_a_long_text_is_read_in_windows_to_its_end(model: GlinerMT) -> None:
    (short,) = model.extract([Query(TEXT, ("person", "date"))], threshold=0.2)
    long = " ".join([TEXT] * 120)
    (found,) = model.extract([Query(long, ("person", "date"))], threshold=0.2)
    assert short
    assert max(span.end for span in found) > 0.95 * len(long)
    assert all(long[span.start : span.end] == span.text for span in found)


def test_a_label_too_long_to_read_is_an_error(model: GlinerMT) -> None:
    with pytest.raises(ValueError, match="that the label encoder reads; shorten it"):
        model.extract([Query(TEXT, ("word " * 2000,))])


def test_a_poly_encoder_reads_labels_and_words_together() -> None:
    from glinermt.families.bi_network import Fusion

    torch.manual_seed(0)
    fusion = Fusion(8, 2, (("l2l", "l2t", "t2t", "t2l"),)).eval()
    words, labels = torch.randn(5, 8), torch.randn(3, 8)
    with torch.inference_mode():
        new_words, new_labels = fusion(words, labels)
        other_words, _ = fusion(words, torch.randn(3, 8))
    assert new_words.shape == words.shape
    assert new_labels.shape == labels.shape
    assert not torch.allclose(new_words, other_words)


def test_ten_thousand_labels_take_the_memory_of_a_thousand(model: GlinerMT) -> None:
    """Scored in blocks, of which the best spans stay; torch's own memory holds one block."""
    reader = model.reader
    assert isinstance(reader, BiReader)
    torch.manual_seed(0)
    vectors = 2 * torch.randn(10_000, 32)
    index = LabelIndex([f"label {i}" for i in range(10_000)], vectors, reader.labels.fingerprint())
    queries = [Query(" ".join([TEXT] * 2), tuple(index)[:count]) for count in (1000, 10_000)]
    peaks = []
    for query in queries:
        tracemalloc.start()
        (found,) = model.extract([query], threshold=0.9)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found
    assert peaks[1] < 2 * peaks[0] + 20e6
