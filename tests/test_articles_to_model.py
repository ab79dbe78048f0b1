"""The one documented way, command by command: generate -> train -> bench -> calibrate."""

import json
import re
from pathlib import Path

import pytest
import torch
from datasets import load_dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from typer.testing import CliRunner

from glinermt.cli import app
from glinermt.synth.recipes import PAPERS
from tests.synth.golden import REPLIES, TEXT, write_texts

CHANGES = (
    "init=", "trackers=[]", "model.dropout=0.0", "model.label_pooling=mean", "dev.every=4",
    "stages.0.steps=8", "stages.0.batch_tokens=0", "stages.0.batch_size=8",
    "stages.0.optim.encoder_lr=5e-3", "stages.0.optim.other_lr=1e-2",
    "stages.0.sampling.drop_share=0.0",
)  # fmt: skip
"""What makes the packaged configuration train a tiny model anew."""


def command(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def make_encoder(folder: Path) -> None:
    words = re.findall(r"\w+|[^\w\s]", TEXT)
    vocabulary = {w: i for i, w in enumerate(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                                            "[MASK]", *words]))}  # fmt: skip
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    names = ("pad", "unk", "cls", "sep", "mask")
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, **{f"{name}_token": f"[{name.upper()}]" for name in names}
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=512,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)  # type: ignore[no-untyped-call]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_articles_become_a_model_with_thresholds(tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    rows = [{"recipe": name, "reply": REPLIES[name]} for name in PAPERS]
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    llm = ("--llm", "scripted", "--model", replies)
    for name, number in (("train", 4), ("dev", 2)):
        texts = write_texts(tmp_path / f"{name}.texts.jsonl", number)
        command("generate", texts, "--out", tmp_path / "data" / name, *llm)

    data = tmp_path / "data"
    loaded = load_dataset(str(data / "train"), cache_dir=str(tmp_path / "cache"), split="train")
    report = json.loads((data / "train/report.json").read_text())
    assert len(loaded) == report["examples"] > 0

    make_encoder(tmp_path / "encoder")
    own = (f"data_root={data}", f"output={tmp_path}/run", f"model.encoder={tmp_path}/encoder")
    changes = [word for change in (*own, *CHANGES) for word in ("--set", change)]
    command("train", "generated", *changes)
    model = tmp_path / "run/best"
    assert model.is_dir()

    gold = {"tokens": TEXT.split(), "spans": [[0, 1, "physicist"]]}
    (tmp_path / "own").mkdir()
    (tmp_path / "own/own.test.jsonl").write_text(json.dumps(gold) + "\n", encoding="utf-8")
    bench = ("bench", "ner20", "--data", tmp_path / "own", "--model", model)
    assert "own" in command(*bench, "--out", tmp_path / "results")

    ready = tmp_path / "ready"
    shown = command("calibrate", "--dev", data / "dev", "--model", model, "--out", ready)
    assert "entities" in shown
    chosen = json.loads((ready / "calibration.json").read_text())
    assert {"entities", "answer", "relations"} <= {row["task"] for row in chosen["tasks"]}
    command("bench", "ner20", "--data", tmp_path / "own", "--model", ready, "--threshold", "saved",
            "--out", tmp_path / "after")  # fmt: skip
