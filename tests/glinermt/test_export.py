"""Exported models: they find what the model finds, with or without torch."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from glinermt import Ask, Found, GlinerMT, Query, Span
from glinermt.checkpoints import load
from glinermt.config import TaskSettings
from glinermt.encoder import Batch
from glinermt.errors import CheckpointError
from glinermt.eval.measure import model_hash
from glinermt.exported import ExportedModel
from glinermt.heads.class_ import ClassSimilarity
from glinermt.tasks import extract_entities, extract_relations
from glinermt.windows import plan_passes
from tests.tiny_models import spread, tiny_model

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "checkpoints" / "fixtures"
TEXT = "bill gates founded microsoft in paris and lives in the city."
QUERIES = [
    Query(
        TEXT, ("person", "city"), "the answer", relations=("founded", "in"), classes=("the", "a")
    ),
    Query("in paris", ("city",)),
    Query("", ("city",), classes=("the",)),
    Query(TEXT * 12, ("person", "city"), relations=("in",)),
    Query("paris", (), classes=("city", "person", "the answer")),
]
ASK = Ask(0.3, "flat", False, "min", 0.2)


def with_all_heads(folder: Path, reading: Literal["joint", "apart"] = "joint") -> GlinerMT:
    model = tiny_model(folder, kind="bert").with_heads(class_reading=reading)
    return spread(model).eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GlinerMT:
    model = with_all_heads(tmp_path_factory.mktemp("encoder"))
    prompts = dict.fromkeys(("summarize", "relations", "keyphrases"), "in")
    model.settings = TaskSettings(prompts=prompts)  # the usual ones, a token a letter, are too long
    return model


@pytest.fixture(scope="module")
def folder(model: GlinerMT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    model.export_onnx(folder)
    return folder


def places(found: Found) -> list[tuple[object, ...]]:
    """Return all that was found, without scores."""
    spans = [(s.start, s.end, s.text, s.label) for s in found.spans]
    return [*spans, *((r.head.start, r.label, r.tail.start) for r in found.relations)]


def scores(found: Found) -> list[float]:
    things = (*found.spans, *found.relations)
    return [*(thing.score for thing in things), *found.classes.values()]


def assert_same(ours: list[Found], theirs: list[Found]) -> None:
    for mine, its in zip(ours, theirs, strict=True):
        assert places(mine) == places(its)
        assert mine.classes.keys() == its.classes.keys()
        assert scores(mine) == pytest.approx(scores(its), abs=1e-4)


def test_an_export_finds_spans_relations_and_classes_as_the_model(
    model: GlinerMT, folder: Path
) -> None:
    exported, theirs = ExportedModel.from_pretrained(folder), model.read(QUERIES, ASK)
    assert exported.kinds == model.kinds
    assert_same(exported.read(QUERIES, ASK), theirs)
    assert theirs[0].relations
    assert theirs[3].spans
    assert theirs[4].classes


def test_classes_read_apart_are_exported(tmp_path: Path) -> None:
    model = with_all_heads(tmp_path / "encoder", "apart")
    model.export_onnx(tmp_path / "export")
    exported, theirs = ExportedModel.from_pretrained(tmp_path / "export"), model.read(QUERIES, ASK)
    assert_same(exported.read(QUERIES, ASK), theirs)
    assert len(theirs[4].classes) == 3
    texts = ["Bill Gates", TEXT * 9, ""]  # the second one is longer than a window
    pairs = zip(exported.sentence_vectors(texts), model.sentence_vectors(texts), strict=True)
    for mine, its in pairs:
        np.testing.assert_allclose(mine, its, atol=1e-4)
    own = sum(parameter.nbytes for parameter in model.parameters())
    assert own / 2 < (tmp_path / "export" / "weights.bin").stat().st_size < own  # not twice


def test_classes_are_compared_by_the_vectors_of_sentences(tmp_path: Path) -> None:
    model = with_all_heads(tmp_path / "encoder", "apart")
    head, names = model.network.class_head, ("person", "the city")
    assert isinstance(head, ClassSimilarity)
    (found,) = model.read([Query(TEXT, classes=names)], ASK)
    text, *labels = (vectors[0] for vectors in model.sentence_vectors([TEXT, *names]))
    logits = [head.log_scale.exp().item() * label @ text + head.bias.item() for label in labels]
    assert list(found.classes.values()) == pytest.approx(logits, abs=1e-4)


def test_the_span_head_and_deberta_are_exported(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "encoder", head="span")
    model.export_onnx(tmp_path / "export")
    theirs = model.read([QUERIES[1], Query(TEXT, ("person", "city")), Query("a", ("the",))], ASK)
    queries = [QUERIES[1], Query(TEXT, ("person", "city")), Query("a", ("the",))]
    assert_same(ExportedModel(tmp_path / "export").read(queries, ASK), theirs)
    assert theirs[1].spans


def test_logits_are_torchs_and_padding_changes_none(model: GlinerMT, folder: Path) -> None:
    exported, encoder = ExportedModel(folder), model.query_encoder
    tokenized = encoder.tokenize([Query(t, ("person", "city")) for t in (TEXT, "paris", "in it")])
    passes = [plan_passes(encoder, query, i)[0] for i, query in enumerate(tokenized)]
    rows = encoder.collate(tokenized, passes)
    network = exported.reader.scorer.network  # type: ignore[attr-defined]
    feeds = exported.reader.scorer.inputs  # type: ignore[attr-defined]
    together = network.run(feeds(rows))
    with torch.no_grad():
        output = model.network(Batch.from_rows(rows))
    for i, p in enumerate(passes):
        real = int(rows.word_mask[i].sum())
        alone = network.run(feeds(encoder.collate(tokenized, [p])))
        wanted = output.spans[i, :real].numpy()
        assert np.abs(together["span_logits"][i, :real] - wanted).max() < 1e-4
        for name in ("span_logits", "word_vectors"):
            np.testing.assert_allclose(together[name][i, :real], alone[name][0], atol=1e-5)


WITHOUT = """
import json, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "safetensors", "huggingface_hub"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
import glinermt
from glinermt import GlinerMT
folder, text = sys.argv[1:]
model = GlinerMT.from_pretrained(folder)
found = [
    glinermt.extract_entities(text, ["person", "city"], model=folder, threshold=0.2),
    glinermt.answer("where?", text, model=model, threshold=0.2),
    glinermt.summarize(text, model=model),
    glinermt.extract_matches(text, "all names", model=model, threshold=0.2),
    glinermt.extract_keyphrases(text, model=model, threshold=0.2),
    glinermt.redact(text, ["person"], model=model, threshold=0.2),
    glinermt.extract_relations(text, ["in"], model=model, threshold=0.2),
    glinermt.classify(text, ["city", "person"], model=model),
]
print(len(found), json.dumps([entity.to_dict() for entity in found[0]]))
try:
    glinermt.extract_entities(text, ["city"])
except glinermt.BackendError as error:
    print(error)
assert "torch" not in sys.modules
"""


def test_every_task_runs_without_torch(model: GlinerMT, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT, str(folder), TEXT],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results, refusal = done.stdout.splitlines()
    number, _, found = results.partition(" ")
    entities = extract_entities(TEXT, ["person", "city"], model=model, threshold=0.2)
    assert int(number) == 8
    assert [e["start"] for e in json.loads(found)] == [e.start for e in entities] != []
    assert "the shipped model runs on torch, which is not installed" in refusal


def test_with_torch_an_export_is_a_model_that_is_not_trained(
    model: GlinerMT, folder: Path, tmp_path: Path
) -> None:
    loaded = GlinerMT.from_pretrained(folder)
    assert_same(loaded.read(QUERIES[:2], ASK), model.read(QUERIES[:2], ASK))
    theirs = model.predict_entities(TEXT, ["city", "person"], threshold=0.2)
    ours = loaded.predict_entities(TEXT, ["city", "person"], threshold=0.2)
    assert [entity["text"] for entity in ours] == [entity["text"] for entity in theirs] != []
    with pytest.raises(TypeError, match=r"exported models .* cannot be fine-tuned"):
        loaded.collate([])
    with pytest.raises(ValueError, match="is an export; export the model that it was made from"):
        loaded.export_onnx(tmp_path / "again")
    with pytest.raises(ValueError, match="runs on the processor"):
        GlinerMT.from_pretrained(folder, dtype="bfloat16")
    loaded.save_pretrained(tmp_path)
    assert_same(ExportedModel(tmp_path).read(QUERIES[:1], ASK), model.read(QUERIES[:1], ASK))


def test_an_export_can_be_sent_to_another_process(model: GlinerMT, folder: Path) -> None:
    sent = pickle.loads(pickle.dumps(ExportedModel(folder, threads=1)))
    assert_same(sent.read(QUERIES[:2], ASK), model.read(QUERIES[:2], ASK))


@pytest.mark.parametrize("quantize", ["int8", "fp16"])
def test_quantized_exports_are_smaller_and_find_nearly_the_same(
    model: GlinerMT, folder: Path, tmp_path: Path, quantize: Literal["int8", "fp16"]
) -> None:
    model.export_onnx(tmp_path, quantize=quantize)
    sizes = [(place / "weights.bin").stat().st_size for place in (tmp_path, folder)]
    assert sizes[0] < 0.9 * sizes[1]  # in so small a model, much is not weights
    theirs = model.read(QUERIES[-1:], ASK)[0].classes
    ours = ExportedModel(tmp_path).read(QUERIES[-1:], ASK)[0].classes
    assert ours == pytest.approx(theirs, abs=0.01 if quantize == "fp16" else 1.0)
    assert ours != theirs


@pytest.mark.parametrize("quantize", ["int8", "fp16"])
def test_quantized_exports_score_relations_nearly_the_same(
    model: GlinerMT, tmp_path: Path, quantize: Literal["int8", "fp16"]
) -> None:
    model.export_onnx(tmp_path, quantize=quantize)
    spans = [Span(0, 10, TEXT[:10], "person", 1.0), Span(33, 38, TEXT[33:38], "city", 1.0)]
    ours, theirs = (
        extract_relations(TEXT, ["in"], entities=spans, threshold=0.0, model=each)
        for each in (ExportedModel(tmp_path), model)
    )
    assert len(theirs) == 2
    assert {(r.head, r.tail) for r in ours} == {(r.head, r.tail) for r in theirs}
    wanted = {r.head: r.score for r in theirs}
    away = 0.01 if quantize == "fp16" else 0.1
    assert {r.head: r.score for r in ours} == {
        head: pytest.approx(score, abs=away) for head, score in wanted.items()
    }


def test_a_benchmark_tells_exports_apart_whoever_runs_them(
    model: GlinerMT, folder: Path, tmp_path: Path
) -> None:
    model.export_onnx(tmp_path, quantize="int8")
    hashes = [model_hash(ExportedModel(place)) for place in (folder, tmp_path)]
    assert hashes[0] != hashes[1]
    assert hashes == [model_hash(GlinerMT.from_pretrained(place)) for place in (folder, tmp_path)]


def test_weights_of_8_bits_have_a_scale_for_each_output(model: GlinerMT, tmp_path: Path) -> None:
    """With one for all the shipped model lost two points of F1."""
    import onnx

    model.export_onnx(tmp_path, quantize="int8")
    weights = onnx.load(str(tmp_path / "network.onnx")).graph.initializer
    assert max(len(w.dims) and w.dims[0] for w in weights if w.name.endswith("_scale")) > 1


def test_what_cannot_be_exported_is_refused(model: GlinerMT, tmp_path: Path) -> None:
    family = GlinerMT(load(FIXTURES / "gliner2" / "count_lstm" / "checkpoint"))
    with pytest.raises(ValueError, match="own prompt and network, which cannot be exported"):
        family.export_onnx(tmp_path)
    with pytest.raises(ValueError, match="unknown quantize 'int4'"):
        model.export_onnx(tmp_path, quantize="int4")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_damaged_export_says_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "export"
    shutil.copytree(folder, broken)
    (broken / "weights.bin").rename(broken / "else.bin")
    with pytest.raises(CheckpointError, match=r"network\.onnx: onnxruntime cannot load .*weights"):
        GlinerMT.from_pretrained(broken)
    (broken / "network.onnx").write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match=r"network\.onnx: onnxruntime cannot load it"):
        GlinerMT.from_pretrained(broken)
    (broken / "network.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"network\.onnx: no such file"):
        ExportedModel(broken)
    about = broken / "glinermt_export.json"
    about.write_text(about.read_text().replace('"format_version": 1', '"format_version": 9'))
    with pytest.raises(CheckpointError, match="not of format_version 1; export the model again"):
        ExportedModel(broken)
