"""A tiny random encoder and tiny files to train it on."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from glinermt.config import ModelConfig
from glinermt.training.adapt.fine_tuning import Tuning
from glinermt.training.config import Optim, Sampling, Source, Stage, TrainConfig
from glinermt.types import Example, Query, Span

NAMES = ("ann", "bob", "eve", "kim")
CITIES = ("rome", "oslo", "lima", "bern")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (*NAMES, *CITIES, "person", "city", "river", "lives", "in", "visits", "and", ".")


def make_encoder(folder: Path) -> Path:
    """Write a random two-layer encoder with a word-level tokenizer; return its folder."""
    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    kinds = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, **dict(zip(kinds, SPECIAL, strict=True))
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    BertModel(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def entity_rows() -> list[dict[str, Any]]:
    """Sixteen sentences "ann lives in rome .", with a person and a city each."""
    return [
        {
            "tokens": [name, verb, "in" if verb == "lives" else "and", city, "."],
            "spans": [[0, 0, "person"], [3, 3, "city"]],
        }
        for i, name in enumerate(NAMES)
        for j, city in enumerate(CITIES)
        for verb in (("lives", "visits")[(i + j) % 2],)
    ]


def tiny_config(folder: Path, *, steps: int = 6, dropout: float = 0.1) -> TrainConfig:
    """Return a run over ``entity_rows`` with a tiny model, all below ``folder``."""
    encoder = folder / "encoder"
    if not encoder.exists():
        make_encoder(encoder)
    write_rows(folder / "data/train.jsonl", entity_rows())
    stage = Stage(
        name="tiny",
        steps=steps,
        sources=(Source("train.jsonl", "ner"),),
        shares={"ner": 1.0},
        batch_tokens=0,
        batch_size=4,
        sampling=Sampling(drop_share=0.0, max_negatives=1),
        optim=Optim(encoder_lr=5e-3, other_lr=1e-2, warmup=0.1),
    )
    return TrainConfig(
        stages=(stage,),
        model=ModelConfig(encoder=str(encoder), dropout=dropout, label_pooling="mean"),
        data_root=str(folder / "data"),
        output=str(folder / "run"),
        save_every=100,
        log_every=1,
        curves=False,
        pad_multiple=1,
        trackers=(),
    )


def with_stage(config: TrainConfig, **changes: Any) -> TrainConfig:
    """Return the config with its only stage changed."""
    return replace(config, stages=(replace(config.stages[0], **changes),))


def sentences(names: Sequence[str], cities: Sequence[str]) -> list[Example]:
    """Return a labelled sentence for each name and city."""
    found = []
    for name in names:
        for city in cities:
            text = f"{name} lives in {city} ."
            start = text.index(city)
            spans = (Span(0, 3, name, "person"), Span(start, start + 4, city, "city"))
            found.append(Example(Query(text, ("person", "city")), spans))
    return found


def tuning(**changes: object) -> Tuning:
    """Return settings that teach a tiny model in some tens of steps."""
    optim = Optim(encoder_lr=5e-3, other_lr=1e-2, warmup=0.1)
    start = Tuning(optim=optim, sampling=Sampling(drop_share=0.0))
    return replace(start, **changes)  # type: ignore[arg-type]  # values of the fields named
