"""Reads checkpoints of the package gliner: one encoder, token or span head, old and new.

The names and rules were verified against the PyPI package ``gliner`` 0.2.29. What a configuration
of another family says is read by ``gliner_bi``, ``relex`` and ``gliformer``.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from glinermt.build import Parts, assemble, position_limit, token_ids
from glinermt.checkpoints import gliformer, gliner_bi, relex
from glinermt.checkpoints.gliner_folder import (
    CONFIG,
    ENCODER,
    FLERT,
    POOLINGS,
    GlinerFolder,
    entity_head,
    head_names,
    without_unread,
)
from glinermt.checkpoints.weights import fill, renamed
from glinermt.config import ModelConfig, TaskSettings
from glinermt.encoding import QueryEncoder
from glinermt.errors import CheckpointError
from glinermt.families.fused_layers import FusedLayers
from glinermt.families.prompted_network import PromptedNetwork
from glinermt.families.prompted_reader import PromptedReader, RowFormat
from glinermt.families.rows import RowEncoder
from glinermt.heads import TokenHead
from glinermt.word_libraries import word_splitter

__all__ = ["CONFIG", "NAMES", "load"]

NAMES = {
    ENCODER: "encoder.encoder.",
    "token_rep_layer.projection.": "encoder.projection.",
    "rnn.": "rnn.",
    "scorer.": "head.",
    "span_rep_layer.span_rep_layer.": "head.",
    "prompt_rep_layer.": "head.prompt_rep.",
}
"""Beginnings of published names of weights, and ours."""
_VARIANT_NAMES = {
    ENCODER: "encoder.",
    "token_rep_layer.projection.": "projection.",
    "rnn.": "rnn.",
}
_FUSER = "token_rep_layer.bert_layer.layers_fuser."
_DECODER = ("decoder.", "_enc2dec_proj.")
"""Weights that word a label for each span found; spans and scores do not depend on them."""
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
    if files.data.get("labels_encoder"):
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
    files.one_of("post_fusion_schema", "", ("",))
    files.refuse_unknown()


def _is_native(files: GlinerFolder) -> bool:
    """Say whether ``network.Network`` is the network, which can also be trained."""
    return (
        files.get("span_mode", "markerV0") in _NATIVE_MODES
        and files.get("subtoken_pooling", "first") == "first"
        and bool(files.get("embed_ent_token", True))
        and not files.get("fuse_layers", False)
        and not files.get("represent_spans", False)
    )


def _native(files: GlinerFolder) -> Parts:
    encoder = files.encoder()
    tokenizer, ids = _tokenizer(files)
    mode = files.get("span_mode", "markerV0")
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
        max_labels=0,
    )
    parts = assemble(config, encoder, tokenizer, _SETTINGS)
    fill(parts.network, _weights(files, NAMES), where=files.folder)
    return parts


def _variant(files: GlinerFolder) -> Parts:
    """Build what the own network has no place for: poolings, span modes, fused layers."""
    encoder: Any = files.encoder()
    size, dropout = int(files.get("hidden_size", 512)), float(files.get("dropout", 0.4))
    head = entity_head(files, size, dropout)
    names = dict(_VARIANT_NAMES)
    if files.get("fuse_layers", False):
        width = int(encoder.config.hidden_size)
        encoder = FusedLayers(encoder, int(encoder.config.num_hidden_layers), width)
        names = {_FUSER: "encoder.layers_fuser."} | names | {ENCODER: "encoder.encoder."}
    names |= head_names(head)
    network = PromptedNetwork(
        encoder,
        head,
        hidden_size=size,
        num_rnn_layers=_num_rnn_layers(files),
        dropout=dropout,
        represent_spans=isinstance(head, TokenHead) and bool(files.get("represent_spans", False)),
    )
    fill(network, _weights(files, names), where=files.folder)
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
        pooling=files.one_of("subtoken_pooling", "first", POOLINGS),
    )
    rows = RowEncoder(encoder, query_encoder.pad_token_id)
    config = ModelConfig(encoder=files.get("model_name", ""), hidden_size=size, words=files.words)
    reader = PromptedReader(network, rows, query_encoder, row_format)
    return Parts(network, query_encoder, _SETTINGS, config, reader, files.folder)


def _num_rnn_layers(files: GlinerFolder) -> int:
    """Old configurations say ``has_rnn``, and mean none where it is false."""
    return int(files.get("num_rnn_layers", int(files.get("has_rnn", True))))


def _weights(files: GlinerFolder, names: dict[str, str]) -> dict[str, Tensor]:
    unread = _DECODER if files.data.get("labels_decoder") else ()
    return renamed(without_unread(files.weights, *unread), names)


def _tokenizer(files: GlinerFolder) -> tuple[Any, tuple[int, int]]:
    """Return the tokenizer, and the ids of <<ENT>> and <<SEP>>."""
    markers = (files.get("ent_token", "<<ENT>>"), files.get("sep_token", "<<SEP>>"))
    tokenizer = files.tokenizer((FLERT, *markers))
    ent, sep = token_ids(tokenizer, *markers)
    index = int(files.get("class_token_index", -1) or -1)  # null in some configurations
    return tokenizer, (ent if index < 0 else index, sep)
