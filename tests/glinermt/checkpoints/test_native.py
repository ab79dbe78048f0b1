"""Saving and loading: exact, strict, safe."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

from glinermt.config import ModelConfig
from glinermt.errors import CheckpointError
from glinermt.model import GlinerMT
from glinermt.types import Query
from tests.tiny_models import save_tokenizer, tiny_model

QUERIES = [Query("Bill Gates founded Microsoft in Paris.", ("person", "city"))]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = tiny_model(tmp_path / "encoder")
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change(path: Path, **values: object) -> None:
    data = json.loads(path.read_text())
    data.update(values)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("kind", "head"), [("deberta", "token"), ("deberta", "span"), ("bert", "token")]
)
def test_a_loaded_model_gives_the_same_scores(tmp_path: Path, kind: str, head: str) -> None:
    model = tiny_model(tmp_path / "encoder", kind=kind, head=head)
    model.save_pretrained(tmp_path / "model")
    loaded = GlinerMT.from_pretrained(tmp_path / "model")
    assert loaded.extract(QUERIES, threshold=0.2) == model.extract(QUERIES, threshold=0.2)
    assert loaded.config == model.config


def test_what_an_encoder_computes_when_it_is_built_is_there_after_loading(tmp_path: Path) -> None:
    save_tokenizer(tmp_path / "encoder")
    config = ModernBertConfig(
        vocab_size=len(PreTrainedTokenizerFast.from_pretrained(tmp_path / "encoder")),
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    ModernBertModel(config).save_pretrained(tmp_path / "encoder")
    model = GlinerMT.from_config(ModelConfig(encoder=str(tmp_path / "encoder"), dropout=0.0)).eval()
    model.save_pretrained(tmp_path / "model")
    loaded = GlinerMT.from_pretrained(tmp_path / "model")
    assert loaded.extract(QUERIES, threshold=0.01) == model.extract(QUERIES, threshold=0.01) != [[]]


def test_what_a_gliner_checkpoint_cannot_hold_is_refused_by_name(saved: Path) -> None:
    model = GlinerMT.from_pretrained(saved).with_heads()
    with pytest.raises(
        CheckpointError,
        match=r"hold a relation head; a class head; words = 'graphemes'; .*words='reference'",
    ):
        model.save_pretrained(saved.parent / "theirs", format="gliner")
    assert not (saved.parent / "theirs").exists()
    with pytest.raises(ValueError, match="unknown format 'onnx': choose from 'gliner', 'glinermt'"):
        model.save_pretrained(saved.parent / "theirs", format="onnx")  # type: ignore[arg-type]


def test_half_precision_weights_load_as_float32(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "encoder")
    model.save_pretrained(tmp_path / "model", dtype=torch.float16)
    assert load_file(tmp_path / "model/model.safetensors")["rnn.lstm.bias_ih_l0"].dtype == (
        torch.float16
    )
    assert next(GlinerMT.from_pretrained(tmp_path / "model").parameters()).dtype == torch.float32


def test_missing_and_left_over_weights_are_named(saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    weights["surplus"] = weights.pop("rnn.lstm.bias_ih_l0")
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"missing: rnn\.lstm\.bias_ih_l0; left over: surplus"
    ):
        GlinerMT.from_pretrained(saved)


def test_misshapen_weights_are_named(saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    weights["rnn.lstm.bias_ih_l0"] = torch.zeros(3)
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"bias_ih_l0 is \(3,\) instead of \(64,\)"):
        GlinerMT.from_pretrained(saved)


@pytest.mark.parametrize("content", [b"", b"not tensors at all", b"\xff" * 64])
def test_damaged_weights_are_an_error(saved: Path, content: bytes) -> None:
    (saved / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged"):
        GlinerMT.from_pretrained(saved)


def test_a_damaged_configuration_is_an_error(saved: Path) -> None:
    (saved / "glinermt_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        GlinerMT.from_pretrained(saved)


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("model", {"dropuot": 0.1}, r"model: unknown key 'dropuot' .did you mean 'dropout'"),
        ("model", {"head": "spam"}, "unknown head 'spam'"),
        ("model", {"words": "spam"}, "unknown word splitter 'spam'"),
        ("model", {"hidden_size": -1}, "model: hidden_size: expected a number from 0 on, got -1"),
        ("model", {"max_width": 0}, "model: max_width: expected a number from 1 on, got 0"),
        ("model", {"dropout": 2.0}, r"model: dropout 2.0 lies outside \[0, 1\]"),
        ("model", {"encoder_config": {}}, "model: encoder_config has no vocab_size"),
        ("model", None, "model: should be an object, got None"),
        ("settings", [], r"settings: should be an object, got \[\]"),
        ("settings", {"span_score": "max"}, "should be 'mean', 'min' or 'geometric'"),
        ("settings", {"thresholds": {"answr": 0.5}}, "unknown task 'answr' .did you mean 'answer'"),
        ("settings", {"thresholds": {"answer": 5}}, r"thresholds.answer 5.0 lies outside \[0, 1\]"),
        ("settings", {"label_thresholds": {"x": -1}}, "label_thresholds.x -1.0 lies outside"),
        ("settings", {"temperatures": {"answer": 0}}, "temperatures.answer: .* above 0, got 0"),
        ("settings", {"words_at_once": {"answer": -1}}, "words_at_once.answer: .* from 0 on"),
        ("settings", {"lead": 1.5}, r"settings: lead 1.5 lies outside \[0, 1\]"),
    ],
)
def test_an_impossible_configuration_is_an_error_that_names_the_file(
    saved: Path, part: str, values: object, message: str
) -> None:
    path = saved / "glinermt_config.json"
    before = json.loads(path.read_text())[part]
    change(path, **{part: {**before, **values} if isinstance(values, dict) else values})
    with pytest.raises(CheckpointError, match=f"glinermt_config.json: .*{message}"):
        GlinerMT.from_pretrained(saved)


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("encoder_config", {"vocab_size": 10**9}, r"vocab_size is 1000000000, but the weights"),
        ("encoder_config", {"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
        ("encoder_config", {"hidden_size": 10**9}, "glinermt_config|do not fit the network"),
        ("encoder_config", {"intermediate_size": 10**9}, "do not fit the network"),
        ("model", {"hidden_size": 10**9}, "hidden_size: expected at most 65,536, got 1000000000"),
        ("model", {"hidden_size": 65536}, "do not fit the network"),
        ("model", {"num_rnn_layers": 10**9}, "num_rnn_layers: expected at most 64"),
        ("model", {"max_tokens": "512"}, "max_tokens: should be a valid integer, got '512'"),
        ("model", {"ent_token_id": 10**6}, "ent_token_id 1000000 lies outside the"),
    ],
)
def test_absurd_sizes_are_told_before_memory_is_taken(
    saved: Path, key: str, values: dict[str, object], message: str
) -> None:
    path = saved / "glinermt_config.json"
    model = json.loads(path.read_text())["model"]
    (model if key == "model" else model[key]).update(values)
    change(path, model=model)
    with pytest.raises(CheckpointError, match=message):
        GlinerMT.from_pretrained(saved)


def test_a_tokenizer_that_lost_its_words_is_an_error(saved: Path) -> None:
    path = saved / "tokenizer.json"
    data = json.loads(path.read_text())
    vocabulary = data["model"]["vocab"]
    data["model"]["vocab"] = dict(list(vocabulary.items())[:20])
    path.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"the tokenizer knows .* it is cut or of another"):
        GlinerMT.from_pretrained(saved)


def test_a_tokenizer_with_more_words_than_the_network_is_an_error(saved: Path) -> None:
    path = saved / "tokenizer.json"
    data = json.loads(path.read_text())
    data["model"]["vocab"]["surplus"] = 10**6
    path.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="the tokenizer has the id 1000000, but"):
        GlinerMT.from_pretrained(saved)


def test_an_unknown_key_beside_model_and_settings_is_an_error(saved: Path) -> None:
    change(saved / "glinermt_config.json", setings={})
    with pytest.raises(CheckpointError, match=r"unknown key 'setings' .did you mean 'settings'"):
        GlinerMT.from_pretrained(saved)


def test_deeply_nested_json_is_an_error(saved: Path) -> None:
    (saved / "glinermt_config.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="not readable as JSON"):
        GlinerMT.from_pretrained(saved)


@pytest.mark.parametrize(
    "values",
    [
        {"num_attention_heads": 3},
        {"num_attention_heads": 0},
        {"hidden_size": -4},
        {"num_hidden_layers": "two"},
        {"model_type": "abacus"},
        {"model_type": None},
    ],
)
def test_an_encoder_that_cannot_be_built_is_an_error(
    saved: Path, values: dict[str, object]
) -> None:
    path = saved / "glinermt_config.json"
    model = json.loads(path.read_text())["model"]
    model["encoder_config"].update(values)
    change(path, model=model)
    with pytest.raises(CheckpointError, match=r"glinermt_config\.json: .*encoder"):
        GlinerMT.from_pretrained(saved)


def test_a_tokenizer_configuration_that_is_no_object_is_an_error(saved: Path) -> None:
    (saved / "tokenizer_config.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json: expected an object"):
        GlinerMT.from_pretrained(saved)


def test_an_impossible_published_configuration_is_an_error(saved: Path, tmp_path: Path) -> None:
    encoder = json.loads((saved / "glinermt_config.json").read_text())["model"]["encoder_config"]
    for path in saved.glob("token*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(saved / "model.safetensors")
    prefix = "token_rep_layer.bert_layer.model."
    save_file(
        {f"{prefix}{name.removeprefix('encoder.encoder.')}": t for name, t in weights.items()},
        tmp_path / "model.safetensors",
    )
    data = {"encoder_config": encoder, "span_mode": "token_level", "hidden_size": -1}
    (tmp_path / "gliner_config.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"gliner_config\.json: hidden_size: expected"):
        GlinerMT.from_pretrained(tmp_path)


def test_another_format_version_is_refused(saved: Path) -> None:
    change(saved / "glinermt_config.json", format_version=99)
    with pytest.raises(CheckpointError, match="format_version 99 is not 1"):
        GlinerMT.from_pretrained(saved)


def test_a_missing_tokenizer_is_an_error(saved: Path) -> None:
    for path in saved.glob("token*"):
        path.unlink()
    with pytest.raises(CheckpointError, match="no tokenizer could be loaded"):
        GlinerMT.from_pretrained(saved)


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"neither glinermt_config\.json nor .* is there"):
        GlinerMT.from_pretrained(tmp_path)


def test_a_missing_folder_that_is_no_hub_id_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder here"):
        GlinerMT.from_pretrained(tmp_path / "nowhere" / "at" / "all")


@pytest.mark.parametrize("name", ["revision", "subfolder"])
def test_the_shipped_model_has_no_other_revisions(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} 'v2' says which model to load, and no model is"):
        GlinerMT.from_pretrained(**{name: "v2"})  # type: ignore[arg-type]


def test_the_revision_holds_for_all_files(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def download(repo: str, **options: object) -> str:
        asked.update(repo=repo, **options)
        return str(saved.parent)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    GlinerMT.from_pretrained(
        "some/model",
        revision="v2",
        token="secret",
        cache_dir="here",
        local_files_only=True,
        subfolder=saved.name,
    )
    patterns = asked.pop("allow_patterns")
    assert isinstance(patterns, list)
    assert f"{saved.name}/*.safetensors" in patterns
    assert asked == {
        "repo": "some/model",
        "revision": "v2",
        "token": "secret",
        "cache_dir": "here",
        "local_files_only": True,
    }


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    (tmp_path / "gliner_config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="damaged or unsafe"):
        GlinerMT.from_pretrained(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:99"}, r"device 'cuda:99' cannot be used here"),
        ({"device": "abacus"}, r"device 'abacus' cannot be used here"),
        ({"dtype": "floatt"}, r"dtype 'floatt' is not one of weights, such as 'float32'"),
        ({"dtype": "cat"}, r"dtype 'cat' is not one of weights"),
        ({"dtype": torch.int64}, r"dtype torch\.int64 is not one of weights"),
    ],
)
def test_a_device_or_dtype_that_cannot_be_had_is_told_before_loading(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        GlinerMT.from_pretrained(tmp_path / "nothing here", **options)
