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
        self, input_ids: Int[Tensor, "batch token"], attention_mask: Int[Tensor, "batch token"]
    ) -> BertOutput:
        tokens = self.embeddings(input_ids)
        mask = attention_mask.bool()[:, None, None]
        layers = self.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            tokens = layer(tokens, mask)
        return BertOutput(tokens)

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the table of tokens, under the name that transformers gives this."""
        return self.embeddings.word_embeddings


class _Embeddings(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.word_embeddings = nn.Embedding(
            config.vocab_size, size, padding_idx=config.pad_token_id
        )
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, size)
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
        self, tokens: Float[Tensor, "batch token hidden"], mask: Bool[Tensor, "batch 1 1 token"]
    ) -> Float[Tensor, "batch token hidden"]:
        q, k, v = (
            part(tokens).unflatten(2, (self.num_attention_heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        context = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=self.dropout_p if self.training else 0.0
        )
        return context.transpose(1, 2).flatten(2)


class _Residual(nn.Module):
    """A linear layer whose result is added to what came before."""

    def __init__(self, config: BertConfig, size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self, inner: Float[Tensor, "batch token inner"], tokens: Float[Tensor, "batch token hidden"]
    ) -> Float[Tensor, "batch token hidden"]:
        result: Tensor = self.LayerNorm(self.dropout(self.dense(inner)) + tokens)
        return result


class _Intermediate(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.intermediate_act_fn = ACTIVATIONS[config.hidden_act]()

    def forward(self, tokens: Float[Tensor, "batch token hidden"]) -> Tensor:
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
        self, tokens: Float[Tensor, "batch token hidden"], mask: Bool[Tensor, "batch 1 1 token"]
    ) -> Float[Tensor, "batch token hidden"]:
        tokens = self.attention["output"](self.attention["self"](tokens, mask), tokens)
        result: Tensor = self.output(self.intermediate(tokens), tokens)
        return result
