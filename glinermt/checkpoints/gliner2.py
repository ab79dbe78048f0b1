"""Reads checkpoints of the package gliner2: span ones, and boundary ones (GLiNER2.5).

The names and rules were verified against the PyPI package ``gliner2`` 2.1.0.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from glinermt.build import DEFAULT_MAX_TOKENS, Parts, empty_encoder, load_tokenizer
from glinermt.checkpoints.weights import (
    fill,
    one_of,
    published_names,
    read_json,
    read_weights,
    renamed,
    vocabulary_size,
)
from glinermt.config import GLINER2_FILE, ModelConfig, TaskSettings, from_mapping
from glinermt.encoding import QueryEncoder
from glinermt.errors import CheckpointError
from glinermt.families.base import RowEncoder
from glinermt.families.boundary_layers import BoundarySettings
from glinermt.families.boundary_network import BoundaryNetwork
from glinermt.families.boundary_scores import CHOICES, BoundaryScorer, tidy_edges
from glinermt.families.gliner2_network import COUNTING, Gliner2Network
from glinermt.families.gliner2_reader import KINDS, Gliner2Reader
from glinermt.families.gliner2_rows import ADDED_TOKENS, split_gliner2
from glinermt.families.gliner2_scores import SpanScorer
from glinermt.tokenizer import FastTokenizer

NAMES = {"span_rep.span_rep_layer.": "span_rep."}
"""Beginnings of published names of weights, and ours; all others are the same."""
UNUSED = (
    "boundary_head.boundary_proposer.",
    "boundary_head.count_head.",
    "boundary_head.pair_scorer.",
)
"""Weights of boundary checkpoints that serve training or are not read here."""
_KNOWN = frozenset(
    "architecture architecture_version architectures attn_implementation boundary_head "
    "config_version counting_layer dtype max_len max_width model_name model_type span_head "
    "token_pooling torch_dtype transformers_version _name_or_path".split()
)
_KNOWN_SPAN_HEAD = frozenset({"dropout", "max_width", "span_mode"})
# Of the boundary head: what training reads, and how long calculations are cut up.
_TRAINING = frozenset(
    "abstention_loss_weight adaptive_threshold bidirectional_proposals boundary_focal_clip "
    "boundary_focal_gamma_negative boundary_focal_gamma_positive boundary_marginal_loss "
    "boundary_negative_weight boundary_top_k_alpha boundary_top_k_bucket boundary_top_k_max "
    "candidate_budget classification_loss_weight consistency_loss_weight consistency_warmup_steps "
    "count_loss_weight enable_count_head enable_rotary_endpoints end_block_size "
    "end_top_k endpoint_difference_features ends_per_start export_mode "
    "hard_negative_keep_all_when_absent hard_negatives_per_positive loss_reduction "
    "max_gold_per_query max_negative_queries_per_batch minimum_hard_negatives "
    "multihead_pair_compat_heads negative_query_ratio proposal_loss_weight "
    "query_conditioned_inside_weight record_anchor_proposal_threshold record_anchor_threshold "
    "record_field_threshold record_loss_weight "
    "relation_loss_weight rerank_listwise_weight reranker_endpoint_compat "
    "rotary_base soft_iou_anneal_steps soft_iou_aux_weight start_top_k starts_per_end "
    "training_candidate_budget vectorized_pair_elements".split()
)
_POOLINGS = ("first", "mean", "max")


def load(folder: Path) -> Parts:
    """Build the model of a folder whose ``config.json`` has the model type ``extractor``.

    Raises:
        CheckpointError: another kind of model, an unknown part, or weights that do not fit.
    """
    path = folder / GLINER2_FILE
    data = read_json(path)
    if data.get("model_type") != "extractor":
        raise CheckpointError(
            f"{path}: model_type {data.get('model_type')!r} is not 'extractor', which GLiNER2 has; "
            "a bare encoder is named in ModelConfig(encoder=...)"
        )
    _refuse_unknown(path, data, _KNOWN)
    architecture = data.get("architecture", "span")
    one_of(path, "architecture", architecture, ("span", "boundary"))
    pooling = one_of(path, "token_pooling", data.get("token_pooling", "first"), _POOLINGS)
    published = weights = read_weights(folder)
    names = NAMES if architecture == "span" else {}
    encoder_config = read_json(folder / "encoder_config" / "config.json")
    encoder: Any = empty_encoder(encoder_config, vocabulary_size(weights, folder))
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    query_encoder = _query_encoder(folder)
    network: Gliner2Network | BoundaryNetwork
    if architecture == "span":
        network = _span_network(path, data, encoder)
        weights = renamed(weights, names)
        reader = partial(Gliner2Reader, score=SpanScorer(network))
    else:
        network = _boundary_network(path, data, encoder)
        weights = {name: t for name, t in weights.items() if not name.startswith(UNUSED)}
        choose = CHOICES[network.settings.overlap_policy]
        kinds = KINDS if network.settings.enable_relations else KINDS - {"relations"}
        score = BoundaryScorer(network, choose)
        reader = partial(Gliner2Reader, score=score, choose=choose, tidy=tidy_edges, kinds=kinds)
    fill(network, weights, where=folder)
    rows = RowEncoder(encoder, query_encoder.pad_token_id)
    config = ModelConfig(encoder=data.get("model_name") or "", encoder_config=encoder_config)
    return Parts(
        network,
        query_encoder,
        TaskSettings(),
        config,
        reader(rows, query_encoder, pooling=pooling),
        folder,
        published_names(published, names),
    )


def _span_network(path: Path, data: Mapping[str, Any], encoder: Any) -> Gliner2Network:
    head = data.get("span_head") or {}
    _refuse_unknown(path, head, _KNOWN_SPAN_HEAD, "span_head.")
    one_of(path, "span_head.span_mode", head.get("span_mode", "markerV0"), ("markerV0",))
    counting = data.get("counting_layer", "count_lstm")
    width = int(head.get("max_width", data.get("max_width", 8)))
    one_of(path, "counting_layer", counting, tuple(COUNTING))
    return Gliner2Network(encoder, max_width=width, counting=counting)


def _boundary_network(path: Path, data: Mapping[str, Any], encoder: Any) -> BoundaryNetwork:
    head = dict(data.get("boundary_head") or {})
    one_of(path, "boundary_head.candidate_pool", head.get("candidate_pool"), ("shared",))
    if int(data.get("config_version") or 0) < 3:
        head.setdefault("enable_relations", False)
        head.setdefault("enable_records", False)
    for key in ("adaptive_threshold", "enable_rotary_endpoints", "endpoint_difference_features"):
        one_of(path, f"boundary_head.{key}", bool(head.get(key, False)), (False,))
    known = {field.name for field in fields(BoundarySettings)}
    _refuse_unknown(path, head, _TRAINING | known, "boundary_head.")
    used = {key: value for key, value in head.items() if key in known}
    return BoundaryNetwork(encoder, from_mapping(BoundarySettings, used, where="boundary_head"))


def _query_encoder(folder: Path) -> QueryEncoder:
    # AutoTokenizer would stumble over a config.json that is no encoder's.
    stored = (folder / "tokenizer.json").exists()
    tokenizer = FastTokenizer.from_folder(folder) if stored else load_tokenizer(folder)
    missing = [token for token in ADDED_TOKENS if token not in tokenizer.get_vocab()]
    if missing:
        tokenizer.add_tokens(missing, special_tokens=True)
    return QueryEncoder(
        tokenizer,
        split_gliner2,
        ent_token_id=tokenizer.get_vocab()["[E]"],
        sep_token_id=tokenizer.get_vocab()["[SEP_TEXT]"],
        max_tokens=DEFAULT_MAX_TOKENS,
    )


def _refuse_unknown(
    path: Path, data: Mapping[str, Any], known: frozenset[str], prefix: str = ""
) -> None:
    for key in sorted(data.keys() - known):
        raise CheckpointError(f"{path}: the key {prefix}{key} is not known to this version")
