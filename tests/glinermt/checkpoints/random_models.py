"""Random models and texts, by which the packages and ours are compared."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    ModernBertConfig,
    ModernBertModel,
    MT5Config,
    MT5EncoderModel,
)

from glinermt.model import GlinerMT
from glinermt.types import Ask, Query
from tests.glinermt.checkpoints.peer_cases import plain_spans
from tests.tiny_models import save_encoder

ROUNDING = 2e-4
"""How far scores may lie apart. Logits of the enlarged random weights go beyond 10, and both sides
round: of all scores the worst two were 1.4e-4 apart, ours 3e-5 and the package's 1.1e-4 from what
64-bit numbers give."""
LABELS = ["person", "city", "a longer label", "answer", "x"]
RELATIONS = ["works for", "in"]
_WORDS = (
    "Bill Gates founded microsoft in Paris the city , . state-of-the-art e_mail 東京 é a 10:30 (x) "
    "م 😀 they're $5 https://x.y/z a@b.co"
)
PIECES = [*_WORDS.split(), "\n", "\t"]


def asked(
    count: int, seed: int, longest: int = 30
) -> Iterator[tuple[str, list[str], float, bool, bool]]:
    """Yield texts of up to ``longest`` pieces, labels, threshold, flat, several labels a span."""
    source = random.Random(seed)
    for _ in range(count):
        text = " ".join(source.choice(PIECES) for _ in range(source.randint(1, longest)))
        labels = source.sample(LABELS, source.randint(1, len(LABELS)))
        yield (
            text, labels, source.choice([0.3, 0.5]), source.random() < 0.7, source.random() < 0.3
        )  # fmt: skip


def save_backbone(folder: Path, kind: str) -> Path:
    """Write a tiny random encoder of a kind, with a tokenizer."""
    if kind in ("deberta", "bert"):
        return save_encoder(folder / kind, kind=kind)
    path = save_encoder(folder / kind)
    size = int(json.loads((path / "config.json").read_text())["vocab_size"])
    torch.manual_seed(3)
    model: Any
    if kind == "mt5":
        config: Any = MT5Config(
            vocab_size=size, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4
        )
        model = MT5EncoderModel(config)
    elif kind == "long-bert":
        config = BertConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, initializer_range=0.4,
        )  # fmt: skip
        model = BertModel(config)
    elif kind == "gpt2":
        config = GPT2Config(
            vocab_size=size, n_embd=32, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=3,
            pad_token_id=0,
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
    else:
        model = ModernBertModel(
            ModernBertConfig(
                vocab_size=size, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                num_attention_heads=4, local_attention=8, pad_token_id=0, cls_token_id=2,
                sep_token_id=3, bos_token_id=2, eos_token_id=3, max_position_embeddings=512,
            )
        )  # fmt: skip
    (path / "model.safetensors").unlink()
    model.save_pretrained(path)
    return path


def agree(ours: dict[Any, float], theirs: dict[Any, float], threshold: float) -> bool:
    """Say whether both found the same; what only one found must lie at the threshold."""
    return all(
        abs(ours.get(place, threshold) - theirs.get(place, threshold)) <= ROUNDING
        for place in ours.keys() | theirs.keys()
    )


def compared(count: int, theirs: Callable[..., Any], model: GlinerMT, **rules: Any) -> None:
    """Compare entities of texts; the packages must find something at all."""
    found = 0
    for text, labels, threshold, flat, several in asked(count, 1):
        expected = theirs(text, labels, threshold, flat, several)
        ask = Ask(threshold, "flat" if flat else "nested", rules.get("several", several), "min")
        (ours,) = model.read([Query(text, tuple(labels), across_lines=True)], ask)
        assert agree(plain_spans(ours), expected, threshold), (text, labels, ask)
        found += len(expected)
    assert found
