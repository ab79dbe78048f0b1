"""The encoder over one stream of tokens: BERT, RoBERTa and DeBERTa-v2/v3 without padding."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.fast.attention import (
    DisentangledAttention,
    DistanceBuckets,
    PlainAttention,
    position_projections,
)
from glinermt.fast.linear import MakeLinears, activation_of

Attention = Callable[[Tensor, Sequence[int]], Tensor]
_FIRST_POSITION = {"Bert": False, "BertModel": False, "RobertaModel": True, "XLMRobertaModel": True}
"""Encoders of BERT's make: whether positions begin behind the padding index."""


class FastLayer:
    """A transformer layer with fused query, key and value projections."""

    def __init__(
        self,
        layer: Any,
        projections: Sequence[tuple[Tensor, Tensor]],
        attention: Attention,
        make: MakeLinears,
    ) -> None:
        weights, biases = zip(*projections, strict=True)
        activation = activation_of(layer.intermediate.intermediate_act_fn)
        assert activation is not None
        mixed, inner, outer = (
            layer.attention.output.dense,
            layer.intermediate.dense,
            layer.output.dense,
        )
        self.attention = attention
        self.qkv = make.usual(torch.cat(weights), torch.cat(biases), "none")
        self.mixed = make.usual(mixed.weight, mixed.bias, "none")
        self.inner = make.usual(inner.weight, inner.bias, activation)
        self.outer = make.outer(outer.weight, outer.bias, "none")
        self.mixed_norm: nn.LayerNorm = layer.attention.output.LayerNorm
        self.outer_norm: nn.LayerNorm = layer.output.LayerNorm

    def __call__(
        self,
        tokens: Float[Tensor, "token hidden"],
        lengths: Sequence[int],
        keep: Int[Tensor, " kept"] | None,
    ) -> Float[Tensor, "kept hidden"]:
        """Return new vectors, with ``keep`` only those of some tokens; ``tokens`` is used up."""
        context = self.attention(self.qkv(tokens), lengths)
        if keep is not None:
            context, tokens = context[keep], tokens[keep]
        tokens = _norm(self.mixed_norm, tokens.add_(self.mixed(context)))
        return _norm(self.outer_norm, tokens.add_(self.outer(self.inner(tokens))))


class FastEncoder:
    """All layers; made by ``fast_encoder``."""

    def __init__(
        self,
        encoder: Any,
        layers: Sequence[FastLayer],
        *,
        first_position: int,
        filler: Callable[[int], int],
    ) -> None:
        self.embeddings = encoder.embeddings
        self.layers = layers
        self.first_position = first_position
        self.filler = filler

    def __call__(
        self, ids: Int[Tensor, " token"], lengths: Sequence[int], keep: Int[Tensor, " kept"]
    ) -> Float[Tensor, "kept hidden"]:
        """Return the vectors of the tokens ``keep``.

        Args:
            ids: the tokens of all texts, one text after another.
            lengths: tokens of each text.
            keep: which tokens' vectors are wanted, as indices into ``ids``.
        """
        positions = torch.cat([torch.arange(length) for length in lengths]) + self.first_position
        filler = self.filler(len(ids))
        if filler:
            ids, positions = (functional.pad(part, (0, filler)) for part in (ids, positions))
        tokens = self.embeddings(input_ids=ids[None], position_ids=positions[None])[0]
        for layer in self.layers[:-1]:
            tokens = layer(tokens, lengths, None)
        return self.layers[-1](tokens, lengths, keep)


def fast_encoder(encoder: Any, make: MakeLinears) -> FastEncoder | None:
    """Return the fast form of an encoder, or None where it is not one of those known here."""
    name = type(encoder).__name__
    if not type(encoder).__module__.startswith(("transformers.models.", "glinermt.bert")):
        return None
    if name in _FIRST_POSITION and _is_plain_bert(encoder):
        layers = [_bert_layer(layer, make) for layer in _layers(encoder)]
        first = int(encoder.embeddings.padding_idx) + 1 if _FIRST_POSITION[name] else 0
    elif name == "DebertaV2Model" and _is_plain_deberta(encoder):
        layers = _deberta_layers(encoder, make)
        first = 0
    else:
        return None
    return FastEncoder(encoder, layers, first_position=first, filler=make.filler)


def _layers(encoder: Any) -> list[Any]:
    return list(encoder.encoder.layer)


def _is_plain(encoder: Any) -> bool:
    """Say whether every layer is what the configuration of a plain encoder builds."""
    parts = [
        part
        for layer in _layers(encoder)
        for part in (layer.attention.output, layer.intermediate, layer.output)
    ]
    linears = all(type(part.dense) is nn.Linear for part in parts)
    known = all(
        activation_of(layer.intermediate.intermediate_act_fn) is not None
        for layer in _layers(encoder)
    )
    return bool(_layers(encoder)) and linears and known


def _is_plain_bert(encoder: Any) -> bool:
    config = encoder.config
    return (
        not getattr(config, "is_decoder", False)
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and _is_plain(encoder)
        and all(
            type(part) is nn.Linear
            for layer in _layers(encoder)
            for part in (
                layer.attention.self.query,
                layer.attention.self.key,
                layer.attention.self.value,
            )
        )
    )


def _is_plain_deberta(encoder: Any) -> bool:
    return (
        encoder.encoder.relative_attention
        and encoder.encoder.conv is None
        and encoder.z_steps == 0
        and _is_plain(encoder)
        and all(
            type(part) is nn.Linear
            for layer in _layers(encoder)
            for part in (
                layer.attention.self.query_proj,
                layer.attention.self.key_proj,
                layer.attention.self.value_proj,
            )
        )
    )


def _bert_layer(layer: Any, make: MakeLinears) -> FastLayer:
    attention = layer.attention.self
    query = attention.query
    scale = (query.out_features // attention.num_attention_heads) ** -0.5
    projections = [(query.weight * scale, query.bias * scale)]
    projections += [(part.weight, part.bias) for part in (attention.key, attention.value)]
    return FastLayer(
        layer, projections, PlainAttention(attention.num_attention_heads, make.attention), make
    )


def _deberta_layers(encoder: Any, make: MakeLinears) -> list[FastLayer]:
    embeddings = encoder.encoder.get_rel_embedding()
    return [_deberta_layer(layer, embeddings, make) for layer in _layers(encoder)]


def _deberta_layer(layer: Any, embeddings: Tensor, make: MakeLinears) -> FastLayer:
    attention = layer.attention.self
    kinds = sum(kind in attention.pos_att_type for kind in ("c2p", "p2c"))
    scale = (attention.attention_head_size * (1 + kinds)) ** -0.5
    span = attention.pos_ebd_size
    keys, queries = position_projections(attention, embeddings[: 2 * span])
    buckets = DistanceBuckets(
        span=span,
        bucket_size=attention.position_buckets,
        max_position=attention.max_relative_positions,
    )
    disentangled = DisentangledAttention(
        attention.num_attention_heads,
        keys,
        None if queries is None else queries * scale,
        buckets,
        make.attention,
    )
    query = attention.query_proj
    projections = [(query.weight * scale, query.bias * scale)]
    projections += [(part.weight, part.bias) for part in (attention.key_proj, attention.value_proj)]
    return FastLayer(layer, projections, disentangled, make)


def _norm(norm: nn.LayerNorm, rows: Tensor) -> Tensor:
    return functional.layer_norm(rows, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
