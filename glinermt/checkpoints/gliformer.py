"""Reads text checkpoints of the package gliformer: entities, relations, classes and text vectors.

The names and rules were verified against the PyPI package ``gliformer`` 0.1.3. Heads for other
tasks are left out.
"""

import warnings
from collections.abc import Mapping
from typing import Any

from glinermt.build import Parts, position_limit, token_ids
from glinermt.checkpoints import gliformer_relations
from glinermt.checkpoints.gliner_folder import ENCODER, GlinerFolder, without_unread
from glinermt.checkpoints.weights import fill, one_of, published_names, renamed
from glinermt.config import ModelConfig, TaskSettings
from glinermt.encoding import QueryEncoder
from glinermt.errors import CheckpointError
from glinermt.families.base import RowEncoder
from glinermt.families.gliformer_network import (
    ClassHead,
    EmbeddingHead,
    EntityHead,
    GliformerNetwork,
)
from glinermt.families.gliformer_reader import GliformerReader
from glinermt.families.gliformer_relations import RelationHead
from glinermt.families.gliformer_rows import GliformerMarkers
from glinermt.words import word_splitter

MODEL_TYPES = ("gliformer", "gliformer-text", "gliformer-layout")
NAMES = {
    ENCODER: "encoder.",
    "token_rep_layer.projection.": "projection.",
    "rnn.": "rnn.",
    "heads.ner.": "entities.",
    "heads.classification.": "classes.",
    "heads.embedding.": "embedding.",
    **gliformer_relations.NAMES,
}
"""Beginnings of published names of weights, and ours."""
UNREAD = (
    "token_rep_layer.vision_encoder.",
    "heads.open_relex.",
    "heads.set_open_relex.",
    "heads.structuring.",
    "heads.set_structuring.",
    "heads.count.",
    *gliformer_relations.UNREAD,
)
"""Weights of images and of tasks that are not read here, also by older names, and such as stand
there twice."""
_TASKS = {"ner_config": "entities", "classification_config": "classes"}
_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "anchor_mode": ("parent",),
    "anchor_modeling": ("linear", "mlp"),
    "anchor_layer": (None,),
    "anchor_normalization": ("none",),
    "anchor_refine_layers": (0,),
    "anchor_refinement": (None,),
    "anchor_query_position": (None,),
    "anchor_memory_position": (None,),
    "anchor_self_attention_bias": (None,),
    "anchor_cross_attention_bias": (None,),
    "feature_anchor_mlp": (False,),
    "embed_parent_token": (True,),
    "embed_cat_token": (True,),
    "represent_spans": (False,),
}
"""Options of a head, the default first, and what each may be."""
_HARMLESS = frozenset(
    "anchor_context_gate_init anchor_context_gate_trainable anchor_memory_position_usage "
    "anchor_refine_heads anchor_refine_layer_scale_init anchor_refine_norm cat_token_index "
    "feature_anchor_mlp_hidden_multiplier focal_loss_alpha focal_loss_gamma focal_loss_prob_margin "
    "loss_coef neg_spans_ratio parent_token_index pooling_type scorer_type span_loss_coef "
    "span_loss_reduction".split()
)
_EMBEDDING = frozenset(
    "encoder_dropout loss_coef loss_fn margin pooling_type projection_dim projection_dropout "
    "similarity_fn".split()
)
_POOLINGS, _SCORERS = ("mean", "max", "weighted", "cls"), ("dot", "scaled-dot", "weighted-dot")
_KNOWN = frozenset(
    "anchor_num_heads anchor_num_layers cat_parent_token cat_token child_token "
    "classification_config classifier_layer count_config count_layer count_mode "
    "embed_cat_token embed_child_token embed_parent_token embedding_config groups_layer "
    "joint_relex_config multimodal_fusion ner_config ner_parent_token obj_token "
    "open_rel_parent_token open_relex_config parent_token rel_mode relations_config seq_token "
    "set_open_relex_config set_structuring_config "
    "struct_parent_token structuring_child_token structuring_config structuring_end_token".split()
)


def is_gliformer(files: GlinerFolder) -> bool:
    """Say whether a configuration is gliformer's, which shares its file's name with gliner's."""
    kind = str(files.get("model_type", ""))
    return kind.startswith("gliformer") or any(files.data.get(key) for key in _TASKS)


def load(files: GlinerFolder) -> Parts:
    """Build the model of a gliformer configuration.

    Raises:
        CheckpointError: a kind of model or an option of a head that is not supported, or weights
            that do not fit.
    """
    files.one_of("model_type", "gliformer-text", MODEL_TYPES)
    for key in ("labels_encoder", "shared_anchor_modeling", "shared_anchor_refinement"):
        files.one_of(key, None, (None,))
    files.one_of("shared_anchor_refine_layers", 0, (0,))
    files.refuse_unknown(_KNOWN)
    heads = {key: files.data[key] for key in _TASKS if files.data.get(key) is not None}
    if not heads:
        raise CheckpointError(f"{files.path}: neither ner_config nor classification_config is set")
    encoder = files.encoder()
    size, dropout = int(files.get("hidden_size", 512)), float(files.get("dropout", 0.4))
    network = GliformerNetwork(
        encoder,
        hidden_size=size,
        num_rnn_layers=int(files.get("num_rnn_layers", 1)),
        dropout=dropout,
        entities=_entity_head(files, size, dropout) if "ner_config" in heads else None,
        classes=_class_head(files, size, dropout) if "classification_config" in heads else None,
        embedding=_embedding_head(files, size),
        relations=_relation_head(files, size, dropout),
    )
    unread = [*UNREAD]
    unread += ["heads.embedding."] if network.embedding is None else []
    unread += [gliformer_relations.PREFIX] if network.relations is None else []
    fill(network, renamed(without_unread(files.weights, *unread), NAMES), where=files.folder)
    markers = _markers(files)
    tokenizer = files.tokenizer(markers)
    group = files.get("parent_token", "[SCHEMA]")
    ids = dict(zip(markers, token_ids(tokenizer, *markers), strict=True))
    limit = position_limit(encoder, tokenizer)
    query_encoder = QueryEncoder(
        tokenizer,
        word_splitter(files.words),
        ent_token_id=ids[markers[0]],
        sep_token_id=ids[markers[1]],
        max_tokens=min(limit, int(files.get("max_len", 384))),
    )
    reader = GliformerReader(
        network,
        RowEncoder(encoder, query_encoder.pad_token_id),
        query_encoder,
        GliformerMarkers(
            sequence=files.get("seq_token", "[SEQ]"),
            separator=ids[markers[1]],
            entity=ids[markers[0]],
            relation=ids.get(files.get("rel_token", "[RELATION]"), -1),
            class_=ids.get(files.get("cat_token", "[CLASS]"), -1),
            entity_group=ids[files.get("ner_parent_token", group)],
            class_group=ids[files.get("cat_parent_token", group)],
        ),
        limit,
    )
    config = ModelConfig(encoder=files.get("model_name", ""), hidden_size=size, words=files.words)
    settings = TaskSettings(span_score="min")
    published = published_names(files.weights, NAMES)
    return Parts(network, query_encoder, settings, config, reader, files.folder, published)


def _entity_head(files: GlinerFolder, size: int, dropout: float) -> EntityHead:
    options = _options(files, "ner_config")
    return EntityHead(size, options["anchor_modeling"], dropout)


def _class_head(files: GlinerFolder, size: int, dropout: float) -> ClassHead:
    key = "classification_config"
    options = _options(files, key)
    given = files.data[key]
    pooling, scorer = given.get("pooling_type", "mean"), given.get("scorer_type", "dot")
    one_of(files.path, f"{key}.pooling_type", pooling, _POOLINGS)
    one_of(files.path, f"{key}.scorer_type", scorer, _SCORERS)
    return ClassHead(size, options["anchor_modeling"], pooling, scorer, dropout)


def _embedding_head(files: GlinerFolder, size: int) -> EmbeddingHead | None:
    given = files.data.get("embedding_config")
    if given is None:
        return None
    for name in sorted(given.keys() - _EMBEDDING):
        raise CheckpointError(f"{files.path}: the key embedding_config.{name} is not known")
    pooling = given.get("pooling_type", "mean")
    one_of(files.path, "embedding_config.pooling_type", pooling, _POOLINGS)
    return EmbeddingHead(size, pooling, given.get("projection_dim"))


def _relation_head(files: GlinerFolder, size: int, dropout: float) -> RelationHead | None:
    """Return the head; None without one, or with a warning where it has what is not known here."""
    key = gliformer_relations.config_key(files)
    if key is None:
        return None
    try:
        return gliformer_relations.relation_head(files, key, size, dropout)
    except CheckpointError as error:
        warnings.warn(f"{error}; so this model relates no entities in one pass", stacklevel=2)
        return None


def _options(files: GlinerFolder, key: str) -> dict[str, Any]:
    """Return the options of a head, each checked."""
    given = files.data[key]
    for name in sorted(given.keys() - _DEFAULTS.keys() - _HARMLESS):
        raise CheckpointError(f"{files.path}: the key {key}.{name} is not known to this version")
    return {
        name: one_of(files.path, f"{key}.{name}", given.get(name, choices[0]), choices)
        for name, choices in _DEFAULTS.items()
    }


def _markers(files: GlinerFolder) -> list[str]:
    """Return the tokens that training added, in its order."""
    group = files.get("parent_token", "[SCHEMA]")
    keys = ("ner_parent_token", "cat_parent_token", "open_rel_parent_token", "struct_parent_token")
    groups = sorted({group, *(files.get(key, group) for key in keys)})
    found = [files.get("ent_token", "[ENTITY]"), files.get("sep_token", "[SEP]"), *groups]
    if files.data.get("classification_config") is not None:
        found.append(files.get("cat_token", "[CLASS]"))
    relations = ("joint_relex_config", "relations_config", "open_relex_config")
    if any(files.data.get(key) for key in (*relations, "set_open_relex_config")):
        found.append(files.get("rel_token", "[RELATION]"))
    if files.data.get("structuring_config") or files.data.get("set_structuring_config"):
        found.append(files.get("child_token", "[FIELD]"))
    return found
