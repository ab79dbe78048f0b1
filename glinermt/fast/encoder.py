"""The encoder over one stream of tokens: BERT's kin, DeBERTa and ModernBERT without padding."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.fast.attention import (
    DisentangledAttention,
    DistanceBuckets,
    PairBias,
    PlainAttention,
    Rotation,
    band,
    position_projections,
)
from glinermt.fast.linear import MakeLinears, activation_of

Attention = Callable[[Tensor, Sequence[int]], Tensor]
Layer = Callable[[Tensor, Sequence[int], Tensor | None], Tensor]
_BERTS = {"Bert", "BertModel", "RobertaModel", "XLMRobertaModel"}
"""Encoders of BERT's make."""
_BEHIND_PADDING = {"RobertaModel", "XLMRobertaModel", "MPNetModel"}
"""Encoders whose positions begin behind the padding index."""


class FastLayer:
    """A transformer layer with fused query, key and value projections."""

    def __init__(
        self,
        layer: Any,
        scale: float,
        attention: Attention,
        make: MakeLinears,
    ) -> None:
        query, key, value = _qkv(layer)
        weights = query.weight * scale, key.weight, value.weight
        biases = query.bias * scale, key.bias, value.bias
        activation = activation_of(layer.intermediate.intermediate_act_fn)
        assert activation is not None
        mixed, self.mixed_norm = _mixed(layer)
        inner, outer = layer.intermediate.dense, layer.output.dense
        self.attention = attention
        self.qkv = make.usual(torch.cat(weights), torch.cat(biases), "none")
        self.mixed = make.usual(mixed.weight, mixed.bias, "none")
        self.inner = make.usual(inner.weight, inner.bias, activation)
        self.outer = make.outer(outer.weight, outer.bias, "none")
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


class FastModernLayer:
    """A layer of ModernBERT: norms come first, and a gate beside the activation."""

    def __init__(self, layer: Any, attention: Attention, scale: float, make: MakeLinears) -> None:
        qkv, mixed, inner, outer = layer.attn.Wqkv, layer.attn.Wo, layer.mlp.Wi, layer.mlp.Wo
        factor = torch.ones(qkv.weight.shape[0])
        factor[: len(factor) // 3] = scale
        bias = None if qkv.bias is None else qkv.bias * factor
        self.attention = attention
        self.qkv = make.usual(qkv.weight * factor[:, None], bias, "none")
        self.mixed = make.usual(mixed.weight, mixed.bias, "none")
        self.inner = make.usual(inner.weight, inner.bias, "none")
        self.outer = make.outer(outer.weight, outer.bias, "none")
        norm = layer.attn_norm
        self.first_norm: nn.LayerNorm | None = norm if isinstance(norm, nn.LayerNorm) else None
        self.second_norm: nn.LayerNorm = layer.mlp_norm

    def __call__(
        self,
        tokens: Float[Tensor, "token hidden"],
        lengths: Sequence[int],
        keep: Int[Tensor, " kept"] | None,
    ) -> Float[Tensor, "kept hidden"]:
        """Return new vectors, with ``keep`` only those of some tokens; ``tokens`` is used up."""
        rows = tokens if self.first_norm is None else _norm(self.first_norm, tokens)
        context = self.attention(self.qkv(rows), lengths)
        if keep is not None:
            context, tokens = context[keep], tokens[keep]
        tokens = tokens.add_(self.mixed(context))
        inner, gate = self.inner(_norm(self.second_norm, tokens)).chunk(2, dim=-1)
        return tokens.add_(self.outer(functional.gelu(inner).mul_(gate)))


class FastEncoder:
    """All layers; made by ``fast_encoder``.

    Args:
        embed: returns the vectors of ids at their positions.
        layers: the layers in order.
        first_position: position of a text's first token.
        filler: returns the number of rows to add to so many.
        last_norm: applied to what the last layer gives.
    """

    def __init__(
        self,
        embed: Callable[[Tensor, Tensor], Tensor],
        layers: Sequence[Layer],
        *,
        first_position: int,
        filler: Callable[[int], int],
        last_norm: nn.LayerNorm | None = None,
    ) -> None:
        self.embed = embed
        self.layers = layers
        self.first_position = first_position
        self.filler = filler
        self.last_norm = last_norm

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
        tokens = self.embed(ids[None], positions[None])[0]
        for layer in self.layers[:-1]:
            tokens = layer(tokens, lengths, None)
        tokens = self.layers[-1](tokens, lengths, keep)
        return tokens if self.last_norm is None else _norm(self.last_norm, tokens)


def fast_encoder(encoder: Any, make: MakeLinears) -> FastEncoder | None:
    """Return the fast form of an encoder, or None where it is not one of those known here."""
    name = type(encoder).__name__
    if not type(encoder).__module__.startswith(("transformers.models.", "glinermt.bert")):
        return None
    last_norm = None
    layers: Sequence[Layer]
    if name in _BERTS and _is_plain_bert(encoder):
        layers = [_bert_layer(layer, make) for layer in _layers(encoder)]
    elif name == "MPNetModel" and _is_plain(encoder):
        layers = _mpnet_layers(encoder, make)
    elif name == "DebertaV2Model" and _is_plain_deberta(encoder):
        layers = _deberta_layers(encoder, make)
    elif name == "ModernBertModel" and _is_plain_modern(encoder):
        layers, last_norm = _modern_layers(encoder, make), encoder.final_norm
    else:
        return None
    embeddings = encoder.embeddings
    first = int(embeddings.padding_idx) + 1 if name in _BEHIND_PADDING else 0

    def embed(ids: Tensor, positions: Tensor) -> Tensor:
        places = {} if name == "ModernBertModel" else {"position_ids": positions}
        vectors: Tensor = embeddings(input_ids=ids, **places)
        return vectors

    return FastEncoder(embed, layers, first_position=first, filler=make.filler, last_norm=last_norm)


def _mixed(layer: Any) -> tuple[nn.Linear, nn.LayerNorm]:
    """Return the linear layer and the norm behind a layer's attention."""
    if hasattr(layer.attention, "attn"):  # MPNet
        return layer.attention.attn.o, layer.attention.LayerNorm
    return layer.attention.output.dense, layer.attention.output.LayerNorm


def _qkv(layer: Any) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    """Return the linear layers that make queries, keys and values."""
    if hasattr(layer.attention, "attn"):  # MPNet
        own = layer.attention.attn
        return own.q, own.k, own.v
    own = layer.attention.self
    if hasattr(own, "query_proj"):  # DeBERTa
        return own.query_proj, own.key_proj, own.value_proj
    return own.query, own.key, own.value


def _layers(encoder: Any) -> list[Any]:
    return list(encoder.encoder.layer)


def _is_plain(encoder: Any) -> bool:
    """Say whether every layer is what the configuration of a plain encoder builds."""
    return bool(_layers(encoder)) and all(
        activation_of(layer.intermediate.intermediate_act_fn) is not None
        and _are_linear(
            _mixed(layer)[0], layer.intermediate.dense, layer.output.dense, *_qkv(layer)
        )
        for layer in _layers(encoder)
    )


def _are_linear(*parts: nn.Module) -> bool:
    """Say whether no part is a quantised linear layer, or one with an adapter."""
    return all(type(part) is nn.Linear for part in parts)


def _is_plain_bert(encoder: Any) -> bool:
    config = encoder.config
    return (
        not getattr(config, "is_decoder", False)
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and _is_plain(encoder)
    )


def _is_plain_deberta(encoder: Any) -> bool:
    return (
        encoder.encoder.relative_attention
        and encoder.encoder.conv is None
        and encoder.z_steps == 0
        and _is_plain(encoder)
    )


def _is_plain_modern(encoder: Any) -> bool:
    layers = list(encoder.layers)
    kinds = {layer.attention_type for layer in layers}
    return (
        bool(layers)
        and kinds <= {"full_attention", "sliding_attention"}
        and all(encoder.rotary_emb.rope_type.get(kind) == "default" for kind in kinds)
        and all(
            activation_of(layer.mlp.act) == "gelu"
            and _are_linear(layer.attn.Wqkv, layer.attn.Wo, layer.mlp.Wi, layer.mlp.Wo)
            for layer in layers
        )
    )


def _bert_layer(layer: Any, make: MakeLinears) -> FastLayer:
    attention = layer.attention.self
    heads = attention.num_attention_heads
    scale = (attention.query.out_features // heads) ** -0.5
    return FastLayer(layer, scale, PlainAttention(heads, make.attention), make)


def _mpnet_layers(encoder: Any, make: MakeLinears) -> list[FastLayer]:
    """Return layers that share what MPNet adds to a score for the distance of two tokens."""

    def bias(length: int) -> Float[Tensor, "head token token"]:
        made: Tensor = encoder.encoder.compute_position_bias(torch.empty(1, length, 1))[0]
        return made

    shared = PairBias(bias)
    layers = []
    for layer in _layers(encoder):
        own = layer.attention.attn
        attention = PlainAttention(own.num_attention_heads, make.attention, bias=shared)
        layers.append(FastLayer(layer, own.attention_head_size**-0.5, attention, make))
    return layers


def _modern_layers(encoder: Any, make: MakeLinears) -> list[FastModernLayer]:
    rotations = {kind: _rotation(encoder, kind) for kind in set(encoder.config.layer_types)}
    window = int(encoder.config.sliding_window)
    near = band(window)
    layers = []
    for layer in encoder.layers:
        local = layer.attention_type == "sliding_attention"
        attention = PlainAttention(
            encoder.config.num_attention_heads,
            make.attention,
            bias=near if local else None,
            rotate=rotations[layer.attention_type],
            window=window if local else None,
        )
        scale = layer.attn.head_dim**-0.5
        layers.append(FastModernLayer(layer, attention, scale, make))
    return layers


def _rotation(encoder: Any, kind: str) -> Rotation:
    def make(length: int) -> tuple[Tensor, Tensor]:
        cos, sin = encoder.rotary_emb(torch.empty(1), torch.arange(length)[None], kind)
        return cos[0], sin[0]

    return Rotation(make)


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
    return FastLayer(layer, scale, disentangled, make)


def _norm(norm: nn.LayerNorm, rows: Tensor) -> Tensor:
    return functional.layer_norm(rows, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
