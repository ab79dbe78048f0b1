"""BERT without transformers: importing its modelling code takes longer than all else at start-up.

Parameter names and results are those of ``transformers.BertModel`` without its pooler, so weights
go from one to the other.
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}
SHORT = 256
"""Tokens a row up to which the products of attention are kept: longer, they take much memory."""
_DEFAULTS: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


class BertConfig(SimpleNamespace):
    """The settings of a checkpoint's encoder; what is not read here is kept."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        missing = {name: value for name, value in _DEFAULTS.items() if name not in values}
        super().__init__(**values, **missing)

    def __reduce__(self) -> tuple[type["BertConfig"], tuple[dict[str, Any]]]:
        return BertConfig, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    to_diff_dict = to_dict


class BertOutput(NamedTuple):
    last_hidden_state: Float[Tensor, "batch token hidden"]
    hidden_states: tuple[Float[Tensor, "batch token hidden"], ...] | None = None
    """Those of the embeddings and of each layer, where they are asked for."""


def is_plain_bert(values: Mapping[str, Any]) -> bool:
    """Say whether an encoder configuration is one that ``Bert`` can be built from."""
    return (
        values.get("model_type") == "bert"
        and not values.get("is_decoder", False)
        and not values.get("add_cross_attention", False)
        and values.get("position_embedding_type", "absolute") == "absolute"
        and values.get("hidden_act", "gelu") in ACTIVATIONS
    )


class Bert(nn.Module):
    """Embeddings and layers. Submodules carry the names that transformers gives them."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = BertConfig(values)
        self.embeddings = _Embeddings(self.config)
        layers = [_Layer(self.config) for _ in range(self.config.num_hidden_layers)]
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})

    def forward(
        self,
        input_ids: Int[Tensor, "batch token"],
        attention_mask: Int[Tensor, "batch token"],
        output_hidden_states: bool = False,
    ) -> BertOutput:
        """Return the vectors of all tokens; those of padding are zero."""
        rows = Rows(attention_mask.bool())
        position = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
        ids, positions = rows.take(input_ids)[None], rows.take(position)[None]
        tokens = self.embeddings(ids, positions)[0]
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        every = [tokens]
        for layer in layers:
            tokens = layer(tokens, rows)
            if output_hidden_states:
                every.append(tokens)
        hidden = tuple(map(rows.put, every)) if output_hidden_states else None
        return BertOutput(rows.put(tokens), hidden)

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the table of tokens, under the name that transformers gives this."""
        return self.embeddings.word_embeddings


class Rows:
    """The real tokens of a padded batch as one stream, so that no padding is multiplied.

    Only on a processor: elsewhere to count them would have to wait for the device, so there the
    stream holds the padding too.
    """

    def __init__(self, mask: Bool[Tensor, "batch token"]) -> None:
        self.mask = mask
        self.shape = mask.shape
        self.place: Tensor | None = None
        """Of each token of the stream in the flat batch; None = the stream is the flat batch."""
        if mask.device.type == "cpu" and not bool(mask.all()):
            self.place = mask.flatten().nonzero().flatten()
        self.all_real = mask.device.type == "cpu" and self.place is None

    def take(self, padded: Float[Tensor, "batch token ..."]) -> Float[Tensor, "stream ..."]:
        """Return the stream of a padded batch."""
        flat = padded.flatten(0, 1)
        return flat if self.place is None else _take(flat, self.place)

    def put(self, stream: Float[Tensor, "stream ..."]) -> Float[Tensor, "batch token ..."]:
        """Return the padded batch of a stream, zero where it has nothing."""
        if self.place is not None:
            stream = _put(stream, self.place, self.shape.numel())
        return stream.view(*self.shape, *stream.shape[1:])


def _take(flat: Tensor, place: Tensor) -> Tensor:
    taken: Tensor = _Take.apply(flat, place)  # type: ignore[no-untyped-call]
    return taken


def _put(stream: Tensor, place: Tensor, size: int) -> Tensor:
    padded: Tensor = _Put.apply(stream, place, size)  # type: ignore[no-untyped-call]
    return padded


class _Take(torch.autograd.Function):
    """Rows at places that are all different, so that the gradient needs no sums."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, place: Tensor) -> Tensor:
        ctx.place, ctx.size = place, flat.shape[0]
        return flat.index_select(0, place)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _put(gradient, ctx.place, ctx.size), None


class _Put(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, stream: Tensor, place: Tensor, size: int) -> Tensor:
        ctx.place = place
        return stream.new_zeros(size, *stream.shape[1:]).index_copy_(0, place, stream)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _take(gradient, ctx.place), None, None


def _table(number: int, size: int, **options: Any) -> nn.Embedding:
    """Return an embedding with random values; without any on the device ``meta``.

    There torch would import its compiler to draw them, which takes longer than all the loading.
    """
    weight = torch.empty(number, size)
    if not weight.is_meta:
        nn.init.normal_(weight)
    return nn.Embedding(number, size, _weight=weight, **options)


class _Embeddings(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.word_embeddings = _table(config.vocab_size, size, padding_idx=config.pad_token_id)
        self.position_embeddings = _table(config.max_position_embeddings, size)
        self.token_type_embeddings = _table(config.type_vocab_size, size)
        self.LayerNorm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self,
        input_ids: Int[Tensor, "batch token"],
        position_ids: Int[Tensor, "one token"] | None = None,
    ) -> Float[Tensor, "batch token hidden"]:
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        tokens = self.word_embeddings(input_ids) + self.token_type_embeddings.weight[0]
        result: Tensor = self.dropout(
            self.LayerNorm(tokens + self.position_embeddings(position_ids))
        )
        return result


class _Attention(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.num_attention_heads = config.num_attention_heads
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.dropout_p = config.attention_probs_dropout_prob

    def forward(
        self, tokens: Float[Tensor, "stream hidden"], rows: Rows
    ) -> Float[Tensor, "stream hidden"]:
        parts = (self.query, self.key, self.value)
        weight = torch.cat([part.weight for part in parts])
        bias = torch.cat([part.bias for part in parts])
        qkv = rows.put(functional.linear(tokens, weight, bias))
        q, k, v = qkv.view(*rows.shape, 3, self.num_attention_heads, -1).permute(2, 0, 3, 1, 4)
        dropout = self.dropout_p if self.training else 0.0
        rounded = q.device.type == "cpu" and q.dtype != torch.float32
        if rounded and rows.shape[1] <= SHORT:
            context = _plain_attention(q, k, v, rows, dropout)
        else:
            mask = None if rows.all_real else rows.mask[:, None, None]
            context = functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropout
            )
        return rows.take(context.transpose(1, 2).flatten(2))


def _plain_attention(
    q: Float[Tensor, "batch head token part"],
    k: Float[Tensor, "batch head token part"],
    v: Float[Tensor, "batch head token part"],
    rows: Rows,
    dropout: float,
) -> Float[Tensor, "batch head token part"]:
    """Attend by plain products.

    In bfloat16 the gradient of the processor's fused kernel takes a fifth of a training step; in
    float32 the kernel is as fast as these.
    """
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)  # batch head token token
    if not rows.all_real:
        padding = torch.zeros(rows.mask.shape, dtype=scores.dtype, device=scores.device)
        padding.masked_fill_(~rows.mask, torch.finfo(scores.dtype).min)
        scores = scores + padding[:, None, None]
    weights = scores.softmax(dim=-1)
    return functional.dropout(weights, dropout) @ v if dropout else weights @ v


class _Residual(nn.Module):
    """A linear layer whose result is added to what came before."""

    def __init__(self, config: BertConfig, size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self, inner: Float[Tensor, "stream inner"], tokens: Float[Tensor, "stream hidden"]
    ) -> Float[Tensor, "stream hidden"]:
        result: Tensor = self.LayerNorm(self.dropout(self.dense(inner)) + tokens)
        return result


class _Intermediate(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.intermediate_act_fn = ACTIVATIONS[config.hidden_act]()

    def forward(self, tokens: Float[Tensor, "stream hidden"]) -> Tensor:
        result: Tensor = self.intermediate_act_fn(self.dense(tokens))
        return result


class _Layer(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": _Attention(config), "output": _Residual(config, config.hidden_size)}
        )
        self.intermediate = _Intermediate(config)
        self.output = _Residual(config, config.intermediate_size)

    def forward(
        self, tokens: Float[Tensor, "stream hidden"], rows: Rows
    ) -> Float[Tensor, "stream hidden"]:
        tokens = self.attention["output"](self.attention["self"](tokens, rows), tokens)
        result: Tensor = self.output(self.intermediate(tokens), tokens)
        return result
