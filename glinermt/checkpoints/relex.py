"""Reads relex checkpoints of the package gliner: entities and the relations between them.

The names and rules were verified against the PyPI package ``gliner`` 0.2.29.
"""

from glinermt.build import Parts, position_limit, token_ids
from glinermt.checkpoints.gliner_folder import (
    ENCODER,
    POOLINGS,
    STORED,
    STORED_KEYS,
    STORED_NAMES,
    GlinerFolder,
    entity_head,
    head_names,
    without_unread,
)
from glinermt.checkpoints.weights import fill, one_of, published_names, renamed
from glinermt.config import ModelConfig, TaskSettings
from glinermt.encoding import QueryEncoder
from glinermt.families.base import RowEncoder
from glinermt.families.prompted_network import ADJACENCIES, PromptedNetwork, Relations
from glinermt.families.prompted_reader import PromptedReader, RowFormat
from glinermt.heads import TokenHead
from glinermt.words import word_splitter

NAMES = {
    "token_rep_layer.projection.": "projection.",
    "rnn.": "rnn.",
    "relations_rep_layer.relation_rep_layer.": "adjacency.",
    "pair_rep_layer.": "pair_rep.",
}
"""Beginnings of published names of weights, and ours; the encoder's are ``encoder_names``."""
_SETTINGS = TaskSettings(span_score="min")


def load(files: GlinerFolder) -> Parts:
    """Build the model of a configuration with ``relations_layer``.

    Raises:
        CheckpointError: an unknown part, or weights that do not fit.
    """
    files.refuse_unknown(STORED_KEYS)
    stored = files.stored_names()
    layer = files.data["relations_layer"]
    if isinstance(layer, str):  # the package takes capitals, too
        layer = layer.lower()
    one_of(files.path, "relations_layer", layer, ("none", *ADJACENCIES))
    triples = files.one_of("triples_layer", "none", ("none", "DistMult", "distmult"))
    encoder = files.encoder()
    size, dropout = int(files.get("hidden_size", 512)), float(files.get("dropout", 0.4))
    head = entity_head(files, size, dropout)
    network = PromptedNetwork(
        encoder,
        head,
        hidden_size=size,
        num_rnn_layers=int(files.get("num_rnn_layers", 1)),
        dropout=dropout,
        relations=Relations(None if layer == "none" else layer, triples != "none"),
        pooling=files.one_of("subtoken_pooling", "first", POOLINGS),
        stored=None if stored is None else (len(stored[0]), len(stored[1])),
    )
    names = NAMES | STORED_NAMES | head_names(head) | files.encoder_names(ENCODER, "encoder.")
    if isinstance(head, TokenHead):  # whose labels are projected, too
        names["prompt_rep_layer."] = "prompt_rep."
    fill(
        network,
        renamed(without_unread(files.weights, *(() if stored else STORED)), names),
        where=files.folder,
    )
    markers = [
        files.get(key, default)
        for key, default in (
            ("ent_token", "<<ENT>>"),
            ("sep_token", "<<SEP>>"),
            ("rel_token", "<<REL>>"),
        )
    ]
    tokenizer = files.tokenizer(markers)
    ent, sep, rel = token_ids(tokenizer, *markers)
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
        rel,
        label_at_marker=bool(files.get("embed_ent_token", True)),
        relation_at_marker=bool(files.get("embed_rel_token", True)),
        stored=stored,
    )
    rows = RowEncoder(encoder, query_encoder.pad_token_id)
    return Parts(
        network,
        query_encoder,
        _SETTINGS,
        ModelConfig(encoder=files.get("model_name", ""), hidden_size=size, words=files.words),
        PromptedReader(network, rows, query_encoder, row_format),
        files.folder,
        published_names(files.weights, names),
    )
