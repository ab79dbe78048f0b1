"""Reads and writes checkpoints of the package gliner: one encoder, token or span head.

The names and rules were verified against the PyPI package ``gliner`` 0.2.29. What a configuration
of another family says is read by ``gliner_bi``, ``relex`` and ``gliformer``.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from glinermt.build import Parts, assemble, position_limit, token_ids
from glinermt.checkpoints import gliformer, gliner_bi, native, relex
from glinermt.checkpoints.gliner_folder import (
    ENCODER,
    FLERT,
    POOLINGS,
    STORED,
    STORED_KEYS,
    STORED_NAMES,
    VECTORS,
    GlinerFolder,
    entity_head,
    head_names,
    without_unread,
)
from glinermt.checkpoints.hub import write_card
from glinermt.checkpoints.weights import WEIGHTS, fill, published_names, renamed, vocabulary_size
from glinermt.config import GLINER_FILE, ModelConfig, TaskSettings, from_mapping
from glinermt.encoding import QueryEncoder
from glinermt.errors import CheckpointError
from glinermt.families.base import RowEncoder
from glinermt.families.prompted_network import PromptedNetwork
from glinermt.families.prompted_reader import PromptedReader, RowFormat
from glinermt.words import LIBRARY_SPLITTERS, word_splitter

__all__ = ["load", "names", "save"]

_NAMES = {
    ENCODER: "encoder.encoder.",
    "token_rep_layer.projection.": "encoder.projection.",
    "rnn.": "rnn.",
}
_HEAD_NAMES = {
    "token": {"scorer.": "head."},
    "span": {"prompt_rep_layer.": "head.prompt_rep.", VECTORS: "head."},
}
_VARIANT_NAMES = {
    "token_rep_layer.projection.": "projection.",
    "rnn.": "rnn.",
}
_DECODER = ("decoder.", "_enc2dec_proj.")
"""Weights that word a label for each span found; spans and scores do not depend on them."""
_FUSION = "cross_fuser."
"""Made by ``post_fusion_schema``, which only bi-encoders run."""
DEFAULT_TYPES = 25
"""Labels that a row of that package has at most in training, unless told otherwise."""
_NATIVE_MODES = ("markerV0", "marker", "token_level")
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


@dataclass(frozen=True, slots=True)
class _Own:
    """What a model of ours says beyond the format, under the key ``glinermt``."""

    settings: TaskSettings = _SETTINGS
    max_labels: int = 0
    max_tokens: int = 0


def names(head: str) -> dict[str, str]:
    """Return the beginnings of published names of weights, and ours; for reading and writing."""
    return _NAMES | _HEAD_NAMES[head]


def save(parts: Parts, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
    """Write a model as a folder that the package gliner loads; ``dtype`` converts its weights.

    What is scored there is equal. That package joins the scores of a span's words by the rule
    ``min`` whatever the settings say, leaves out what a text has beyond ``max_len`` words, and
    knows no settings of tasks; these are kept for our own reader.

    Raises:
        CheckpointError: the format has no place for something that the model does.
    """
    folder = Path(folder)
    if parts.source is not None and (parts.source / GLINER_FILE).exists():
        native.save(parts, folder, dtype=dtype)  # as it was read
        return
    refused = list(_not_held(parts))
    if refused:
        raise CheckpointError(
            f"a checkpoint of the package gliner cannot hold {'; '.join(refused)}; save the model "
            "in the own format"
        )
    config, own = parts.config, {ours: theirs for theirs, ours in names(parts.config.head).items()}
    weights = renamed(native.weights_of(parts, dtype), own)
    vocab_size = vocabulary_size(weights, folder)
    data = {
        "model_name": config.encoder,
        "encoder_config": {**config.encoder_config, "vocab_size": vocab_size},
        "vocab_size": vocab_size,
        "class_token_index": config.ent_token_id,
        "ent_token": config.ent_token,
        "sep_token": config.sep_token,
        "span_mode": "token_level" if config.head == "token" else config.span_mode,
        "hidden_size": config.hidden_size,
        "num_rnn_layers": config.num_rnn_layers,
        "dropout": config.dropout,
        "max_width": config.max_width,
        "max_types": config.max_labels or DEFAULT_TYPES,
        "max_len": config.max_tokens,
        "words_splitter_type": "whitespace" if config.words == "reference" else config.words,
        "subtoken_pooling": "first",
        "embed_ent_token": True,
        "glinermt": asdict(_Own(parts.settings, config.max_labels, config.max_tokens)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_card(parts, folder, library="gliner")
    save_file(weights, folder / WEIGHTS)
    parts.query_encoder.tokenizer.save_pretrained(folder)
    (folder / GLINER_FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _not_held(parts: Parts) -> Iterator[str]:
    """Yield what a model does that the format has no word for."""
    config = parts.config
    if parts.source is not None:
        yield f"a model of another family, read from {parts.source}"
        return
    if config.head not in _HEAD_NAMES:
        yield f"the head {config.head!r}, only {' and '.join(map(repr, _HEAD_NAMES))}"
    if config.relation_head:
        yield "a relation head"
    if config.class_head:
        yield "a class head"
    if config.label_pooling != "marker":
        yield f"labels read as label_pooling = {config.label_pooling!r}, only 'marker'"
    if config.words not in ("reference", *LIBRARY_SPLITTERS):
        yield (
            f"words = {config.words!r}; to split texts as that package does, load the model with "
            "words='reference'"
        )


def load(folder: Path) -> Parts:
    """Build the model of a folder with ``gliner_config.json``.

    Raises:
        CheckpointError: an unknown family or part, an impossible configuration, or weights that
            do not fit.
    """
    files = GlinerFolder.read(folder)
    if gliformer.is_gliformer(files):
        return gliformer.load(files)
    if files.data.get("relations_layer"):
        return relex.load(files)
    if files.data.get("labels_encoder") and not files.data.get("labels_decoder"):
        return gliner_bi.load(files)
    _refuse(files)
    return _native(files) if _is_native(files) else _variant(files)


def _refuse(files: GlinerFolder) -> None:
    kind = str(files.get("model_type", ""))
    if "streaming" in kind:
        raise CheckpointError(
            f"{files.path}: model_type = {kind!r}: streaming models read a text in pieces as it "
            "comes, which is not supported"
        )
    if files.data.get("labels_decoder"):
        # "prompt" asks for entities without naming labels, which a decoder then words.
        files.one_of("decoder_mode", "span", ("span",))
    files.refuse_unknown(STORED_KEYS)


def _is_native(files: GlinerFolder) -> bool:
    """Say whether ``network.Network`` is the network, which can also be trained."""
    return (
        files.get("span_mode", "markerV0") in _NATIVE_MODES
        and files.get("subtoken_pooling", "first") == "first"
        and bool(files.get("embed_ent_token", True))
        and not files.get("fuse_layers", False)
        and not _represents_spans(files)
        and files.stored_names() is None
    )


def _represents_spans(files: GlinerFolder) -> bool:
    """Say whether a token head only proposes spans; it always does beside a decoder."""
    if files.get("span_mode", "markerV0") != "token_level":
        return False
    return bool(files.get("represent_spans", False) or files.data.get("labels_decoder"))


def _native(files: GlinerFolder) -> Parts:
    encoder = files.encoder()
    tokenizer, ids = _tokenizer(files)
    mode = files.get("span_mode", "markerV0")
    own = from_mapping(_Own, files.get("glinermt", {}), where="glinermt")
    config = ModelConfig(
        encoder=files.get("model_name", ""),
        head="token" if mode == "token_level" else "span",
        hidden_size=int(files.get("hidden_size", 512)),
        num_rnn_layers=_num_rnn_layers(files),
        dropout=float(files.get("dropout", 0.4)),
        max_width=int(files.get("max_width", 12)),
        span_mode="marker" if mode == "marker" else "markerV0",
        words=files.words,
        ent_token=files.get("ent_token", "<<ENT>>"),
        sep_token=files.get("sep_token", "<<SEP>>"),
        ent_token_id=ids[0],
        sep_token_id=ids[1],
        max_labels=own.max_labels,
        max_tokens=own.max_tokens,
    )
    parts = assemble(config, encoder, tokenizer, own.settings)
    fill(parts.network, _weights(files, names(config.head)), where=files.folder)
    return parts


def _variant(files: GlinerFolder) -> Parts:
    """Build what the own network has no place for: poolings, span modes, fused layers."""
    encoder: Any = files.encoder()
    size, dropout = int(files.get("hidden_size", 512)), float(files.get("dropout", 0.4))
    head = entity_head(files, size, dropout)
    stored = files.stored_names()
    named = (
        _VARIANT_NAMES | STORED_NAMES | head_names(head) | files.encoder_names(ENCODER, "encoder.")
    )
    network = PromptedNetwork(
        encoder,
        head,
        hidden_size=size,
        num_rnn_layers=_num_rnn_layers(files),
        dropout=dropout,
        represent_spans=_represents_spans(files),
        pooling=files.one_of("subtoken_pooling", "first", POOLINGS),
        stored=None if stored is None else (len(stored[0]), len(stored[1])),
    )
    fill(network, _weights(files, named), where=files.folder)
    tokenizer, (ent, sep) = _tokenizer(files)
    query_encoder = QueryEncoder(
        tokenizer,
        word_splitter(files.words),
        ent_token_id=ent,
        sep_token_id=sep,
        max_tokens=position_limit(encoder, tokenizer),
    )
    row_format = RowFormat(
        ent,
        sep,
        label_at_marker=bool(files.get("embed_ent_token", True)),
        stored=stored,
    )
    rows = RowEncoder(encoder, query_encoder.pad_token_id)
    config = ModelConfig(encoder=files.get("model_name", ""), hidden_size=size, words=files.words)
    reader = PromptedReader(network, rows, query_encoder, row_format)
    published = published_names(files.weights, named)
    return Parts(network, query_encoder, _SETTINGS, config, reader, files.folder, published)


def _num_rnn_layers(files: GlinerFolder) -> int:
    """Old configurations say ``has_rnn``, and mean none where it is false."""
    return int(files.get("num_rnn_layers", int(files.get("has_rnn", True))))


def _weights(files: GlinerFolder, named: dict[str, str]) -> dict[str, Tensor]:
    unread: tuple[str, ...] = () if files.stored_names() else STORED
    unread += _DECODER if files.data.get("labels_decoder") else ()
    if unread and files.get("span_mode", "markerV0") == "token_level":
        unread = (*unread, "prompt_rep_layer.")  # made with the decoder, and not run
    return renamed(without_unread(files.weights, _FUSION, *unread), named)


def _tokenizer(files: GlinerFolder) -> tuple[Any, tuple[int, int]]:
    """Return the tokenizer, and the ids of <<ENT>> and <<SEP>>."""
    markers = (files.get("ent_token", "<<ENT>>"), files.get("sep_token", "<<SEP>>"))
    tokenizer = files.tokenizer((FLERT, *markers))
    ent, sep = token_ids(tokenizer, *markers)
    index = int(files.get("class_token_index", -1) or -1)  # null in some configurations
    return tokenizer, (ent if index < 0 else index, sep)
