"""Tiny random models, built without any download."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    PreTrainedTokenizerFast,
)

from glinermt.config import ModelConfig
from glinermt.model import GlinerMT

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?-_<>[]()'\"$%&/é東京م😀"
_WORDS = ["the", "person", "city", "bill", "gates", "founded", "microsoft", "paris", "answer", "in"]


def save_tokenizer(folder: Path) -> None:
    """Write an uncased WordPiece tokenizer that knows letters and a few words."""
    pieces = [*SPECIAL, *_WORDS, *_LETTERS, *(f"##{letter}" for letter in _LETTERS)]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, **dict(zip(names, SPECIAL, strict=True))
    )
    fast.save_pretrained(folder)


def save_encoder(folder: Path, *, kind: str = "deberta") -> Path:
    """Write a random encoder: ``deberta`` (relative positions) or ``bert`` (64 absolute ones)."""
    save_tokenizer(folder)
    torch.manual_seed(0)
    size = len(PreTrainedTokenizerFast.from_pretrained(folder))
    common = {
        "vocab_size": size,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "initializer_range": 0.4,
    }
    if kind == "bert":
        BertModel(BertConfig(**common, max_position_embeddings=64)).save_pretrained(folder)  # type: ignore[no-untyped-call]
        return folder
    config = DebertaV2Config(
        **common,
        relative_attention=True,
        position_buckets=16,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        share_att_key=True,
        norm_rel_ebd="layer_norm",
        type_vocab_size=0,
        max_position_embeddings=128,
    )
    DebertaV2Model(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


def tiny_model(folder: Path, *, kind: str = "deberta", head: str = "token") -> GlinerMT:
    """Return a random model whose scores are spread over [0, 1]."""
    encoder = save_encoder(folder, kind=kind)
    torch.manual_seed(1)
    model = GlinerMT.from_config(
        ModelConfig(encoder=str(encoder), head=head, max_width=4, dropout=0.0)
    ).eval()
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.mul_(2.0)
    return model


def spread(model: GlinerMT) -> GlinerMT:
    """Return the model with relation and class heads whose scores differ more."""
    with torch.no_grad():
        for head in (model.network.relation_head, model.network.class_head):
            assert head is not None
            for name, parameter in head.named_parameters():
                parameter.mul_({"bias": 0, "log_scale": 1}.get(name, 3))
    return model
