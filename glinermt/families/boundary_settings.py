"""What the ``boundary_head`` of a GLiNER2.5 configuration says about inference."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class BoundarySettings:
    """Sizes and rules; the names and defaults are the package gliner2's (2.1.0)."""

    boundary_dim: int = 128
    pair_dim: int = 128
    boundary_refinement_layers: int = 1
    boundary_ffn_multiplier: float = 2.0
    boundary_attention_layers: int = 0
    boundary_attention_heads: int = 4
    boundary_attention_window: int = 0
    """Boundaries on each side that a boundary sees; 0 = all."""
    use_inside_evidence: bool = True
    enable_span_content: bool = False
    content_dim: int = 64
    content_soft_max_pool: bool = False
    candidate_pool: Literal["shared"] = "shared"
    pool_boundary_top_k: int = 64
    pool_size: int = 384
    min_pool_per_query: int = 8
    candidate_attention_layers: int = 2
    candidate_attention_heads: int = 4
    query_attention_layers: int = 1
    enable_abstention: bool = True
    abstention_threshold: float = 0.5
    overlap_policy: Literal["flat", "nested", "longest", "allow"] = "flat"
    pair_temperature: float = 1.0
    relation_temperature: float = 1.0
    classification_temperature: float = 1.0
    enable_relations: bool = True
    relation_heads_per_type: int = 32
    relation_tails_per_type: int = 32
    relation_pair_cap: int = 128
    relation_argument_proposal_threshold: float = 0.0
    directional_relation_states: bool = False
    relation_biaffine_content: bool = False
    dropout: float = 0.1
