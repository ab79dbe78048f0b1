"""Reads checkpoints of the original GLiNER package, token head and span head, old and new.

The names and rules were verified against the PyPI package ``gliner`` 0.2.29.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from glinermt.build import Parts, assemble, empty_encoder, load_tokenizer, token_ids
from glinermt.checkpoints.weights import fill, read_json, read_weights
from glinermt.config import ModelConfig, TaskSettings
from glinermt.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CONFIG = "gliner_config.json"
_ENCODER = "token_rep_layer.bert_layer.model."
_NAMES = {
    _ENCODER: "encoder.encoder.",
    "token_rep_layer.projection.": "encoder.projection.",
    "rnn.": "rnn.",
    "scorer.": "head.",
    "span_rep_layer.span_rep_layer.": "head.",
    "prompt_rep_layer.": "head.prompt_rep.",
}
_OTHER_FAMILIES = {
    "labels_encoder": "bi-encoder",
    "labels_decoder": "decoder",
    "relations_layer": "relation extraction (relex)",
}
_SPAN_MODES = ("markerV0", "marker", "token_level")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "spm.model", "vocab.txt")
# Wordings the published multitask checkpoints were trained with.
_SETTINGS = TaskSettings(
    prompts={
        "answer": "Answer the following question: {question}",
        "summarize": ("Summarize the following text highlighting the most important information:"),
        "relations": "Extract relationships between entities from the text:",
    },
    thresholds={"summarize": 0.25},
    span_score="min",
)


def load(folder: Path) -> Parts:
    """Build the model of a folder with ``gliner_config.json``.

    Raises:
        CheckpointError: another family, an impossible configuration, or weights that do not fit.
    """
    path = folder / CONFIG
    weights = read_weights(folder)
    data = read_json(path)
    _refuse_other_families(data, path)
    renamed = _rename(weights)
    vocab_size = _vocab_size(renamed, folder)
    encoder_config = data.get("encoder_config") or _hub_encoder_config(data, path)
    encoder = empty_encoder(encoder_config, vocab_size)
    tokenizer, ids = _tokenizer(folder, data)
    parts = assemble(_config(data, ids, path), encoder, tokenizer, _SETTINGS)
    fill(parts.network, renamed, where=folder)
    return parts


def _config(data: Mapping[str, Any], ids: tuple[int, int], path: Path) -> ModelConfig:
    mode = data.get("span_mode", "markerV0")
    layers = data.get("num_rnn_layers")
    if layers is None:
        layers = int(data.get("has_rnn", True))
    try:
        return ModelConfig(
            encoder=data.get("model_name") or "",
            head="token" if mode == "token_level" else "span",
            hidden_size=int(data.get("hidden_size", 512)),
            num_rnn_layers=int(layers),
            dropout=float(data.get("dropout", 0.4)),
            max_width=int(data.get("max_width", 12)),
            span_mode="marker" if mode == "marker" else "markerV0",
            ent_token=data.get("ent_token", "<<ENT>>"),
            sep_token=data.get("sep_token", "<<SEP>>"),
            ent_token_id=ids[0],
            sep_token_id=ids[1],
            max_labels=0,
        )
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _refuse_other_families(data: Mapping[str, Any], path: Path) -> None:
    for key, family in _OTHER_FAMILIES.items():
        if data.get(key):
            raise CheckpointError(
                f"{path}: {key} = {data[key]!r}: the {family} family is not supported; "
                "use a checkpoint with one encoder and a span or token head"
            )
    checks = {
        "span_mode": (data.get("span_mode", "markerV0"), _SPAN_MODES),
        "subtoken_pooling": (data.get("subtoken_pooling", "first"), ("first",)),
        "embed_ent_token": (data.get("embed_ent_token", True), (True,)),
        "fuse_layers": (bool(data.get("fuse_layers", False)), (False,)),
        "post_fusion_schema": (data.get("post_fusion_schema") or "", ("",)),
        "words_splitter_type": (data.get("words_splitter_type", "whitespace"), ("whitespace",)),
    }
    for key, (value, supported) in checks.items():
        if value not in supported:
            names = ", ".join(map(repr, supported))
            raise CheckpointError(f"{path}: {key} = {value!r} is not supported, only {names}")


def _rename(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give our names; what no result depends on (position_ids, the pooler) is left out."""
    renamed = {}
    for name, tensor in weights.items():
        if name.endswith("embeddings.position_ids") or name.startswith(f"{_ENCODER}pooler."):
            continue
        prefix = next((old for old in _NAMES if name.startswith(old)), None)
        renamed[_NAMES[prefix] + name[len(prefix) :] if prefix else name] = tensor
    return renamed


def _vocab_size(weights: Mapping[str, Tensor], folder: Path) -> int:
    """Count the rows of the word embeddings; the configuration is often wrong about them."""
    for ending in ("word_embeddings.weight", "embed_tokens.weight", "tok_embeddings.weight"):
        for name, tensor in weights.items():
            if name.endswith(ending):
                return tensor.shape[0]
    raise CheckpointError(f"{folder}: no word embeddings among the weights")


def _hub_encoder_config(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    from transformers import AutoConfig

    name = data.get("model_name")
    if not name:
        raise CheckpointError(f"{path}: neither encoder_config nor model_name is given")
    try:
        config: dict[str, Any] = AutoConfig.from_pretrained(name).to_dict()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: no configuration for encoder {name!r}: {error}") from error
    return config


def _tokenizer(
    folder: Path, data: Mapping[str, Any]
) -> tuple["PreTrainedTokenizerBase", tuple[int, int]]:
    """Load the folder's tokenizer, else the encoder's; give the ids of <<ENT>> and <<SEP>>."""
    own = any((folder / name).exists() for name in _TOKENIZER_FILES)
    tokenizer = load_tokenizer(folder if own else data.get("model_name", ""))
    ent, sep = data.get("ent_token", "<<ENT>>"), data.get("sep_token", "<<SEP>>")
    index = int(data.get("class_token_index") or -1)  # null in some configurations
    known = {ent, sep} <= set(tokenizer.get_vocab())
    if not known:
        tokenizer.add_special_tokens({"additional_special_tokens": ["[FLERT]", ent, sep]})
    ids = token_ids(tokenizer, ent, sep)
    return tokenizer, (ids[0] if index < 0 else index, ids[1])
