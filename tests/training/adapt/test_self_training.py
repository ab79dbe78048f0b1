"""Self-training: what is trusted, what is refused."""

import gzip
import json
import lzma
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from glinermt.errors import DataError
from glinermt.model import GlinerMT
from glinermt.training.adapt.cli import register
from glinermt.training.adapt.fine_tuning import Tuning, fine_tune
from glinermt.training.adapt.self_training import SelfTraining, annotate, read_texts, self_train
from glinermt.training.config import Optim, Sampling
from glinermt.types import Query
from tests.stub import StubExtractor
from tests.training.tiny import CITIES, NAMES, sentences, tuning

TEXT = "ann lives in rome ."


def annotated(
    found: Sequence[tuple[str, str, float]], settings: SelfTraining | None = None
) -> list[object]:
    stub = StubExtractor(lambda query: found if query.text == TEXT else [])
    texts, labels = [TEXT, "none .", " "], ["person", "city"]
    examples = annotate(stub, texts, labels, settings=settings or SelfTraining())
    return [(e.query.text, e.query.labels, [s.text for s in e.spans]) for e in examples]


def test_sure_spans_are_gold_and_their_labels_asked() -> None:
    found = [("ann", "person", 0.9), ("rome", "city", 0.6)]
    assert annotated(found) == [(TEXT, ("person", "city"), ["ann", "rome"])]


def test_a_label_with_a_doubtful_span_is_not_asked() -> None:
    found = [("ann", "person", 0.9), ("rome", "city", 0.5)]
    assert annotated(found) == [(TEXT, ("person",), ["ann"])]


def test_a_span_below_the_margin_is_no_doubt() -> None:
    found = [("ann", "person", 0.9), ("rome", "city", 0.3)]
    assert annotated(found) == [(TEXT, ("person", "city"), ["ann"])]


def test_some_texts_without_spans_are_kept() -> None:
    found = [("ann", "person", 0.9)]
    assert annotated(found, SelfTraining(max_empty_share=1.0))[1:] == [
        ("none .", ("person", "city"), [])
    ]


def test_a_model_that_is_sure_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no span of 3 texts reaches the threshold 0\.6"):
        annotated([("ann", "person", 0.5)])
    with pytest.raises(ValueError, match="needs texts and labels"):
        annotate(StubExtractor(lambda _: []), [], ["x"], settings=SelfTraining())


@pytest.mark.parametrize("given", [{"threshold": 1.1}, {"margin": -0.1}])
def test_what_is_no_share_is_refused_with_the_number_given(given: dict[str, float]) -> None:
    ((name, value),) = given.items()
    with pytest.raises(ValueError, match=rf"{name} {value} lies outside \[0, 1\]"):
        SelfTraining(**given)  # type: ignore[arg-type]


@pytest.fixture
def half_trained(model: GlinerMT) -> GlinerMT:
    fine_tune(model, sentences(NAMES[:2], CITIES[:2]), steps=60, tuning=tuning())
    return model


def settings(rate: float, **changes: object) -> SelfTraining:
    own = Tuning(
        optim=Optim(encoder_lr=rate, other_lr=rate),
        sampling=Sampling(drop_share=0.0),
        evaluations=3,
        patience=1,
    )
    return SelfTraining(steps=9, threshold=0.5, margin=0.0, tuning=own, **changes)  # type: ignore[arg-type]


def test_a_result_no_better_than_the_start_is_refused(half_trained: GlinerMT) -> None:
    before = {name: value.clone() for name, value in half_trained.state_dict().items()}
    texts = [e.query.text for e in sentences(NAMES, CITIES)]
    dev = sentences(NAMES[:2], CITIES[:2])
    report = self_train(half_trained, texts, ["person", "city"], dev=dev, settings=settings(0.5))
    assert report.refused
    assert report.before == report.after == 1.0
    assert report.labels == {"city": (1.0, 1.0), "person": (1.0, 1.0)}
    for name, value in half_trained.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_worse_result_stays_where_allowed(half_trained: GlinerMT) -> None:
    texts = [e.query.text for e in sentences(NAMES, CITIES)]
    dev = sentences(NAMES[:2], CITIES[:2])
    allowed = settings(0.5, allow_worse=True)
    report = self_train(half_trained, texts, ["person", "city"], dev=dev, settings=allowed)
    assert not report.refused
    assert report.after < report.before


def test_texts_are_read_from_lines_and_rows(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\n two \n")
    (tmp_path / "b.jsonl").write_text('{"text": "three"}\n')
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"four\n"))
    (tmp_path / "d.jsonl.xz").write_bytes(lzma.compress(b'{"text": "five"}\n'))
    assert read_texts(tmp_path) == ["one", "two", "three", "four", "five"]
    assert read_texts(tmp_path / "b.jsonl") == ["three"]
    (tmp_path / "b.jsonl").write_text('{"txt": "three"}\n')
    with pytest.raises(DataError, match=r"b\.jsonl:1: expected"):
        read_texts(tmp_path)


def test_a_folder_without_texts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no file that ends in"):
        read_texts(tmp_path)
    (tmp_path / "a.txt").write_text("\n")
    (tmp_path / "b.jsonl").write_text('{"text": " "}\n')
    with pytest.raises(DataError, match="there is no text in it"):
        read_texts(tmp_path)


def test_the_command_writes_the_model_and_a_report(half_trained: GlinerMT, tmp_path: Path) -> None:
    half_trained.save_pretrained(tmp_path / "model")
    (tmp_path / "texts").mkdir()
    lines = [e.query.text for e in sentences(NAMES, CITIES)]
    (tmp_path / "texts" / "a.txt").write_text("\n".join(lines))
    dev = "".join(json.dumps(e.to_dict()) + "\n" for e in sentences(NAMES[2:], CITIES[2:]))
    (tmp_path / "dev.jsonl").write_text(dev)
    app = typer.Typer()
    register(app)
    arguments = ["self-train", "--model", str(tmp_path / "model"), "--labels", "person, city"]
    arguments += ["--texts", str(tmp_path / "texts"), "--out", str(tmp_path / "out")]
    arguments += ["--steps", "2", "--threshold", "0.5", "--margin", "0"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "learned from 16 texts in 2 steps" in done.output
    assert f"{tmp_path / 'out'}: the model is written" in done.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["refused"], report["before"], report["after"]) == (False, None, None)
    assert GlinerMT.from_pretrained(tmp_path / "out").extract([Query(TEXT, ("person",))])
    done = CliRunner().invoke(app, [*arguments, "--dev", str(tmp_path / "dev.jsonl")])
    assert "which would be lost" in str(done.exception)
    again = [*arguments, "--overwrite", "--dev", str(tmp_path / "dev.jsonl")]
    done = CliRunner().invoke(app, again)
    assert "F1" in done.output
