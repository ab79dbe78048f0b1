"""Reads ``joint_relex_config`` of the package gliformer: how entities are related."""

from collections.abc import Mapping
from typing import Any, Literal

from glinermt.checkpoints.gliner_folder import GlinerFolder
from glinermt.checkpoints.weights import one_of
from glinermt.errors import CheckpointError
from glinermt.families.gliformer_relations import RelationHead
from glinermt.families.gliformer_slots import Nearness, PairSlots, Refinement
from glinermt.families.prompted_network import ADJACENCIES

PREFIX = "heads.joint_relex."
NAMES = {
    f"{PREFIX}rel_span_rep_layer.span_rep_layer.": "relations.marker.",
    f"{PREFIX}relations_rep_layer.relation_rep_layer.": "relations.adjacency.",
    f"{PREFIX}pair_rep_layer.": "relations.pair_rep.",
    f"{PREFIX}anchor_relations_layer.": "relations.slots.",
}
"""Beginnings of published names of weights, and ours."""
UNREAD = (f"{PREFIX}anchor_modeling.", f"{PREFIX}scorer.")
"""Weights of the entity head that old relation heads have beside the model's own."""
SLOTS = "anchor_modeling"
_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "triples_layer": (None, "DistMult", "distmult"),
    "embed_rel_token": (True,),
    "embed_parent_token": (True,),
    "represent_spans": (False,),
    "max_relation_span_width": (None,),
    "relation_span_nms": (False,),
    "max_relation_entities": (None,),
    "relation_top_k_neighbors": (None,),
}
"""Options, the default first, and what each may be."""
_OF_SLOTS = frozenset(
    "anchor_context_gate_init anchor_context_gate_trainable anchor_cross_attention_bias "
    "anchor_layer anchor_memory_position anchor_memory_position_usage anchor_mode "
    "anchor_modeling anchor_normalization anchor_num_heads anchor_num_layers "
    "anchor_query_position anchor_refine_heads anchor_refine_layer_scale_init "
    "anchor_refine_layers anchor_refine_norm anchor_refinement anchor_self_attention_bias "
    "feature_anchor_mlp feature_anchor_mlp_hidden_multiplier max_count num_fixed_slots".split()
)
_TRAINING = frozenset(
    "adjacency_loss_coef focal_loss_alpha focal_loss_gamma focal_loss_prob_margin loss_coef "
    "neg_spans_ratio parent_token_index rel_token_index relation_focal_loss_alpha "
    "relation_focal_loss_gamma relation_focal_loss_prob_margin relation_loss_coef "
    "relation_loss_reduction relation_neighbor_chunk_size span_loss_coef "
    "span_loss_reduction".split()
)


def config_key(files: GlinerFolder) -> str | None:
    """Return the key of the relation head's configuration; None where there is none."""
    keys = "joint_relex_config", "relations_config"  # the latter is the older name
    return next((key for key in keys if files.data.get(key) is not None), None)


def relation_head(files: GlinerFolder, key: str, size: int, dropout: float) -> RelationHead:
    """Build the head of a configuration.

    Raises:
        CheckpointError: an option that is not supported, with its key.
    """
    if files.data.get("ner_config") is None:
        raise CheckpointError(f"{files.path}: {key} is not supported where ner_config is null")
    given = _Options(files, key, files.data[key])
    given.refuse_unknown(_CHOICES.keys() | _OF_SLOTS | _TRAINING | {"relations_layer"})
    options = {name: given.one_of(name, *choices) for name, choices in _CHOICES.items()}
    layer = str(given.get("relations_layer", "none")).lower().replace("-", "_") or "none"
    given.one_of("relations_layer", "none", "disabled", SLOTS, *ADJACENCIES, value=layer)
    return RelationHead(
        size,
        dropout,
        ADJACENCIES[layer](size) if layer in ADJACENCIES else None,
        slots=_slots(given, size, dropout) if layer == SLOTS else None,
        is_distmult=options["triples_layer"] is not None,
    )


class _Options:
    """A mapping of a configuration, whose errors name the key."""

    def __init__(self, files: GlinerFolder, key: str, data: Mapping[str, Any]) -> None:
        self.files = files
        self.key = key
        self.data = data

    def get(self, name: str, default: Any) -> Any:
        """Return a value; null counts as missing."""
        value = self.data.get(name)
        return default if value is None else value

    def one_of(self, name: str, *choices: Any, value: Any = None) -> Any:
        """Return a value that must be one of some, the first by default."""
        value = self.get(name, choices[0]) if value is None else value
        return one_of(self.files.path, f"{self.key}.{name}", value, choices)

    def refuse_unknown(self, known: frozenset[str] | set[str]) -> None:
        for name in sorted(self.data.keys() - known):
            raise CheckpointError(
                f"{self.files.path}: the key {self.key}.{name} is not known to this version"
            )

    def component(self, name: str, default: str, *known: str) -> tuple[str, "_Options"]:
        """Return the kind of a part, and its options, of which only some are known.

        It is written ``kind`` or ``{"type": kind, "params": {...}}``.
        """
        given = self.get(name, default)
        if not isinstance(given, str | Mapping):
            raise CheckpointError(
                f"{self.files.path}: {self.key}.{name} = {given!r:.80} is not supported"
            )
        data: dict[str, Any] = {"type": given} if isinstance(given, str) else dict(given)
        kind = str(data.pop("type", data.pop("name", default))).lower().replace("-", "_")
        options = _Options(self.files, f"{self.key}.{name}", dict(data.pop("params", {})) | data)
        options.refuse_unknown({*known, "name"})
        return kind, options

    def refuse(self, name: str, default: str) -> None:
        """Raise CheckpointError unless a part is of the kind that does nothing."""
        kind, _ = self.component(name, default)
        self.one_of(name, default, value=kind)


def _slots(given: _Options, size: int, dropout: float) -> PairSlots:
    kind, options = given.component(
        "anchor_layer",
        given.get("anchor_mode", "fixed"),
        *("num_slots", "context_gate_init", "context_gate_trainable"),
    )
    given.one_of("anchor_layer", "fixed", value=kind)
    given.refuse("anchor_normalization", "none")
    given.refuse("anchor_self_attention_bias", "none")
    modeling, of_modeling = given.component("anchor_modeling", "linear", "dropout")
    return PairSlots(
        size,
        int(options.get("num_slots", given.get("num_fixed_slots", 10))),
        given.one_of("anchor_modeling", "linear", "mlp", value=modeling),
        dropout=float(of_modeling.get("dropout", dropout)) > 0,
        refinement=_refinement(given),
    )


def _refinement(given: _Options) -> Refinement | None:
    kind, options = given.component(
        "anchor_refinement",
        "cross_attention",
        *("num_layers", "layers", "num_heads", "heads", "dropout", "norm_style", "norm"),
        *("norm_type", "ffn_multiplier", "activation", "layer_scale_init"),
    )
    given.one_of("anchor_refinement", "cross_attention", "decoder", "none", "disabled", value=kind)
    is_new = given.data.get("anchor_refinement") is not None
    layers = options.get("num_layers", options.get("layers", 1))
    layers = layers if is_new else given.get("anchor_refine_layers", 0)
    if kind in ("none", "disabled") or layers <= 0:
        return None
    options.one_of("norm_type", "layer_norm", "layernorm")
    options.one_of("activation", "gelu")
    heads = options.get("num_heads", options.get("heads", 8))
    style = options.get("norm_style", options.get("norm", "post_norm"))
    scale = options.get("layer_scale_init", None)
    if not is_new:
        heads = given.get("anchor_refine_heads", 8)
        style = given.get("anchor_refine_norm", "post_norm")
        scale = given.get("anchor_refine_layer_scale_init", None)
    style = str(style).lower().replace("-", "_")
    return Refinement(
        int(layers),
        int(heads),
        norm_first=options.one_of("norm_style", "post_norm", "pre_norm", value=style) == "pre_norm",
        is_scaled=scale is not None,
        inner=int(options.get("ffn_multiplier", 4)),
        places_of_slots=_has_places(given, "anchor_query_position"),
        places_of_memory=_places_of_memory(given),
        nearness=_nearness(given),
    )


def _has_places(given: _Options, name: str) -> bool:
    kind, _ = given.component(name, "none")
    return bool(given.one_of(name, "none", "fourier", value=kind) == "fourier")


def _places_of_memory(given: _Options) -> Literal["none", "keys", "values"]:
    usage = str(given.get("anchor_memory_position_usage", "keys_only")).lower().replace("-", "_")
    usages = "none", "keys_only", "keys_and_values"
    given.one_of("anchor_memory_position_usage", *usages, value=usage)
    if not _has_places(given, "anchor_memory_position") or usage == "none":
        return "none"
    return "keys" if usage == "keys_only" else "values"


def _nearness(given: _Options) -> Nearness | None:
    name = "anchor_cross_attention_bias"
    kind, options = given.component(name, "none", "sigma", "weight", "units")
    if given.one_of(name, "none", "gaussian_distance", value=kind) == "none":
        return None
    units = str(options.get("units", "normalized")).lower().replace("-", "_")
    in_slots = options.one_of("units", "normalized", "query_steps", value=units) == "query_steps"
    return Nearness(float(options.get("sigma", 0.2)), float(options.get("weight", 1.0)), in_slots)
