"""A run that goes on from a model with token head alone, with all heads and frozen layers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from glinermt.errors import ConfigError
from glinermt.model import GlinerMT
from glinermt.training.config import Sentences, Source, Stage, TrainConfig
from glinermt.training.run.metrics_log import read_journal
from glinermt.training.run.sentences import SentenceTeacher
from glinermt.training.run.train import train
from tests.training.tiny import tiny_config, with_stage, write_rows

PAIR = {
    "head": {"text": "Ann", "start": 0, "end": 0},
    "tail": {"text": "Rome", "start": 3, "end": 3},
}


def _relation_rows() -> list[dict[str, Any]]:
    return [
        {
            "tokens": ["Ann", verb, "in", "Rome", "."],
            "relations": [{**PAIR, "relation": relation}],
        }
        for verb, relation in (("lives", "home"), ("works", "job"), ("lives", "no relation"))
    ]


def test_heads_are_added_and_trained_while_frozen_layers_stay(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=4)
    train(config)
    start = Path(config.output) / "last"
    write_rows(tmp_path / "data/pairs.jsonl", _relation_rows())
    classes = [{"text": text, "labels": [text]} for text in ("good", "bad", "dull")]
    write_rows(tmp_path / "data/classes.jsonl", classes)
    sources = (
        *config.stages[0].sources,
        Source("pairs.jsonl", "pairs"),
        Source("classes.jsonl", "classify"),
    )
    shares = {"ner": 1.0, "pairs": 1.0, "classify": 1.0}
    more = with_stage(config, sources=sources, shares=shares, steps=8, batch_size=6)
    more = replace(
        more, init=str(start), add_heads=True, frozen_layers=1, output=str(tmp_path / "more")
    )
    last = train(more)
    model = GlinerMT.from_pretrained(last)
    assert model.kinds == {"spans", "relations", "classes"}
    before = load_file(start / "model.safetensors")
    after = load_file(last / "model.safetensors")
    frozen = [n for n in before if ".layer.0." in n or "position_embeddings" in n]
    assert frozen
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert not any(torch.equal(before[n], after[n]) for n in before if "proj_token.weight" in n)
    log = (tmp_path / "more/metrics.jsonl").read_text(encoding="utf-8")
    assert "loss_pairs" in log
    assert "loss_classify" in log


def test_heads_that_learn_alone_leave_all_else_as_it_is(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=2)
    start = train(config)
    write_rows(tmp_path / "data/pairs.jsonl", _relation_rows())
    source, shares = (Source("pairs.jsonl", "pairs"),), {"pairs": 1.0}
    alone = replace(
        with_stage(config, sources=source, shares=shares),
        init=str(start),
        add_heads=True,
        trained_parts=("relation_head",),
        output=str(tmp_path / "alone"),
    )
    after = load_file(train(alone) / "model.safetensors")
    before = load_file(start / "model.safetensors")
    for name, weight in before.items():
        assert torch.equal(after[name][: len(weight)] if weight.dim() else after[name], weight)
    fresh = train(replace(alone, output=str(tmp_path / "one"), stages=(_one_step(alone),)))
    moved = load_file(fresh / "model.safetensors")
    assert not torch.equal(moved["relation_head.pair.weight"], after["relation_head.pair.weight"])
    assert torch.equal(moved["class_head.out.weight"], after["class_head.out.weight"])
    with pytest.raises(ConfigError, match="trained_parts"):
        train(replace(alone, trained_parts=("relation_hed",), output=str(tmp_path / "wrong")))


def test_sentence_vectors_are_kept_close_to_the_teacher(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=12)
    apart = replace(config.model, class_head=True, class_reading="apart")
    kept = Sentences(teacher=config.model.encoder, share=1.0, weight=50.0)
    stage = replace(config.stages[0], sentences=kept)
    train(replace(config, model=apart, stages=(stage,), log_every=1))
    losses = [record["loss_sentences"] for record in read_journal(Path(config.output))[:12]]
    assert losses[0] < 0.01  # the encoder begins as its teacher, but for dropout
    without = replace(config, model=apart, log_every=1, output=str(tmp_path / "without"))
    lost = replace(stage, sentences=replace(kept, weight=0.0))
    train(replace(without, stages=(lost,)))
    drifted = [record["loss_sentences"] for record in read_journal(tmp_path / "without")[:12]]
    assert losses[-1] < drifted[-1] / 2


def test_a_model_of_ours_can_teach_sentence_vectors(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=2)
    apart = replace(config.model, class_head=True, class_reading="apart")
    began = train(replace(config, model=apart))
    kept = Sentences(teacher=str(began), share=1.0)
    stage = replace(config.stages[0], sentences=kept)
    again = replace(config, model=apart, init=str(began), log_every=1, output=str(tmp_path / "on"))
    train(replace(again, stages=(stage,)))
    first, *_ = read_journal(tmp_path / "on")
    assert first["loss_sentences"] < 0.01  # both begin alike, but for dropout


def test_a_teacher_needs_a_model_that_reads_apart_and_its_own_vocabulary(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, steps=1)
    kept = Sentences(teacher=config.model.encoder)
    stages = (replace(config.stages[0], sentences=kept),)
    with pytest.raises(ConfigError, match="class_reading = 'apart'"):
        train(replace(config, stages=stages))
    with pytest.raises(ConfigError, match="another vocabulary"):
        SentenceTeacher(config.model.encoder, {"other": 0}, share=1.0)


def _one_step(config: TrainConfig) -> Stage:
    return replace(config.stages[0], steps=1)


def test_more_frozen_layers_than_there_are_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="frozen_layers is 9, but the encoder has"):
        train(replace(tiny_config(tmp_path), frozen_layers=9))
