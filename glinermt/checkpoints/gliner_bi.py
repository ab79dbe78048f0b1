"""Reads bi-encoder checkpoints of the package gliner: labels have an encoder of their own.

The names and rules were verified against the PyPI package ``gliner`` 0.2.29.
"""

from pathlib import Path

from glinermt.build import Parts, load_tokenizer, position_limit
from glinermt.checkpoints.gliner_folder import (
    ENCODER,
    LABEL_ENCODER,
    POOLINGS,
    GlinerFolder,
    entity_head,
    head_names,
    without_unread,
)
from glinermt.checkpoints.weights import fill, one_of, published_names, renamed
from glinermt.config import ModelConfig, TaskSettings
from glinermt.encoding import QueryEncoder
from glinermt.errors import CheckpointError
from glinermt.families.base import RowEncoder
from glinermt.families.bi_network import FUSIONS, BiNetwork
from glinermt.families.bi_reader import BiReader, LabelReader
from glinermt.heads import SpanHead
from glinermt.words import word_splitter

NAMES = {
    "token_rep_layer.projection.": "projection.",
    "token_rep_layer.labels_projection.": "label_projection.",
    "cross_fuser.layers.": "fusion.layers.",
}
"""Beginnings of published names of weights, and ours; the encoders' are ``encoder_names``."""
UNREAD = "rnn."
"""In the files, and run neither by the package nor here."""


def load(files: GlinerFolder) -> Parts:
    """Build the model of a configuration with ``labels_encoder``.

    Raises:
        CheckpointError: an unknown part, or weights that do not fit.
    """
    files.refuse_unknown()
    encoder = files.encoder()
    label_encoder = files.encoder(LABEL_ENCODER, "labels_encoder_config", "labels_encoder")
    size, dropout = int(files.get("hidden_size", 512)), float(files.get("dropout", 0.4))
    head = entity_head(files, size, dropout)
    network = BiNetwork(
        encoder,
        label_encoder,
        head,
        hidden_size=size,
        dropout=dropout,
        fusion=_fusion(files, size, int(encoder.config.num_attention_heads)),
        represent_spans=bool(files.get("represent_spans", False))
        and not isinstance(head, SpanHead),
        pooling=files.one_of("subtoken_pooling", "first", POOLINGS),
    )
    names = NAMES | head_names(head)
    names |= files.encoder_names(ENCODER, "encoder.")
    names |= files.encoder_names(LABEL_ENCODER, "label_encoder.")
    fill(network, renamed(without_unread(files.weights, UNREAD), names), where=files.folder)
    query_encoder = _query_encoder(files, encoder)
    label_queries = _label_query_encoder(files, label_encoder)
    label_rows = RowEncoder(label_encoder, label_queries.pad_token_id)
    labels = LabelReader(network, label_rows, label_queries)
    return Parts(
        network,
        query_encoder,
        TaskSettings(span_score="min"),
        ModelConfig(encoder=files.get("model_name", ""), hidden_size=size, words=files.words),
        BiReader(
            network,
            RowEncoder(encoder, query_encoder.pad_token_id),
            query_encoder,
            labels,
        ),
        files.folder,
        published_names(files.weights, names),
    )


def _fusion(files: GlinerFolder, size: int, heads: int) -> tuple[tuple[str, ...], ...]:
    schema = files.get("post_fusion_schema", "")
    steps = tuple(schema.split("-")) if schema else ()
    if steps and size % heads:
        raise CheckpointError(
            f"{files.path}: post_fusion_schema = {schema!r} needs a hidden_size that the text "
            f"encoder's {heads} attention heads divide, not {size}"
        )
    for step in steps:
        one_of(files.path, "post_fusion_schema", step, FUSIONS)
    return (steps,) * int(files.get("num_post_fusion_layers", 1)) if steps else ()


def _query_encoder(files: GlinerFolder, encoder: object) -> QueryEncoder:
    # The package adds its markers to the tokenizer, though no row has them.
    tokenizer = files.tokenizer(())
    return QueryEncoder(
        tokenizer,
        word_splitter(files.words),
        ent_token_id=-1,
        sep_token_id=-1,
        max_tokens=position_limit(encoder, tokenizer),
    )


def _label_query_encoder(files: GlinerFolder, encoder: object) -> QueryEncoder:
    own: Path | str = files.folder / "labels_tokenizer"
    if not Path(own).exists():
        own = str(files.data["labels_encoder"])
    tokenizer = load_tokenizer(own)
    return QueryEncoder(
        tokenizer,
        word_splitter(files.words),
        ent_token_id=-1,
        sep_token_id=-1,
        max_tokens=position_limit(encoder, tokenizer),
    )
