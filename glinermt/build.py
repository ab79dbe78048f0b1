"""ModelConfig -> Parts, the only place that turns a configuration into arguments; new heads."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import nn

from glinermt.bert import Bert, is_plain_bert
from glinermt.config import ModelConfig, TaskSettings
from glinermt.encoder import WordEncoder
from glinermt.encoding import QueryEncoder
from glinermt.errors import CheckpointError, ConfigError, unknown_choice
from glinermt.heads import CLASS_HEADS, HEADS, RELATION_HEADS
from glinermt.heads.base import Builder, Head
from glinermt.layers import BiLSTM
from glinermt.network import Network
from glinermt.reader import Reader
from glinermt.tokenizer import Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_MAX_TOKENS = 1024
"""Tokens of a pass where the encoder's positions set no limit (relative positions)."""

_ENCODER_DECODERS = frozenset({"t5", "mt5", "umt5"})
"""Model types of which only the encoder reads."""


@dataclass
class Parts:
    """What a model is made of."""

    network: Network
    query_encoder: QueryEncoder
    settings: TaskSettings
    config: ModelConfig
    reader: Reader | None = None
    """How queries are read, where that is not ``reader.NetworkReader``'s way."""
    source: Path | None = None
    """The folder it was read from, of a family that is saved as it was."""
    published: Mapping[str, str] = field(default_factory=dict)
    """The network's names of weights, and those of that folder."""


def build(config: ModelConfig, settings: TaskSettings | None = None) -> Parts:
    """Build an untrained model around the pretrained encoder that ``config.encoder`` names.

    The markers join the vocabulary: those of labels begin as copies of the mask token, ``<<SEP>>``
    as one of the separator, which the encoder already uses as placeholder and border.

    Raises:
        CheckpointError: the encoder is neither a folder here nor to be had from the hub.
    """
    tokenizer, encoder = _pretrained(config)
    markers = {"ent": config.ent_token, "sep": config.sep_token}
    if config.relation_head:
        markers["rel"] = config.rel_token
    if config.classes_in_prompt:
        markers["cls"] = config.cls_token
    tokenizer.add_special_tokens({"additional_special_tokens": list(markers.values())})
    encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    ids = dict(zip(markers, token_ids(tokenizer, *markers.values()), strict=True))
    table = encoder.get_input_embeddings().weight
    assert isinstance(table, torch.Tensor)
    with torch.no_grad():
        for name, new in ids.items():
            old = tokenizer.sep_token_id if name == "sep" else tokenizer.mask_token_id
            if old is not None:
                table[new] = table[old]
    config = with_ids(config, ids)
    return assemble(config, _own_encoder(encoder), tokenizer, settings)


def assemble(
    config: ModelConfig,
    encoder: Any,
    tokenizer: Tokenizer,
    settings: TaskSettings | None = None,
) -> Parts:
    """Put the parts together; the encoder's pooler, which nothing reads, is left out.

    Raises:
        ConfigError: an unknown head, word splitter, or pooling, or a head whose marker token has
            no id.
    """
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    heads = _heads(config)
    for name, present in (("rel", config.relation_head), ("cls", config.classes_in_prompt)):
        if present and getattr(config, f"{name}_token_id") < 0:
            raise ConfigError(f"{name}_token_id is not set, which the head needs")
    size = config.hidden_size or encoder.config.hidden_size
    layers = config.num_rnn_layers
    config = replace(
        config,
        hidden_size=size,
        encoder_config=encoder.config.to_diff_dict(),
        max_tokens=config.max_tokens or position_limit(encoder, tokenizer),
    )
    network = Network(
        encoder=WordEncoder(encoder, size, label_pooling=config.label_pooling),
        rnn=BiLSTM(size, layers, config.dropout) if layers else None,
        head=heads.spans.from_config(size, config),
        relation_head=heads.relations.from_config(size, config) if heads.relations else None,
        class_head=heads.classes.from_config(size, config) if heads.classes else None,
    )
    query_encoder = QueryEncoder.from_config(config, tokenizer)
    return Parts(network, query_encoder, settings or TaskSettings(), config)


def _pretrained(config: ModelConfig) -> "tuple[PreTrainedTokenizerBase, PreTrainedModel]":
    from transformers import AutoModel

    try:
        tokenizer = load_tokenizer(config.encoder)
        encoder: PreTrainedModel = AutoModel.from_pretrained(
            config.encoder, dtype=torch.float32, **config.encoder_config
        )
    except (CheckpointError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"encoder {config.encoder!r} cannot be loaded: {_first_line(error)}; name a folder "
            "that has one (in training: --set model.encoder=FOLDER)"
        ) from error
    return tokenizer, encoder


class _Heads(NamedTuple):
    spans: type[Head]
    relations: type[Builder] | None
    classes: type[Builder] | None


def _heads(config: ModelConfig) -> _Heads:
    """Return the heads that a configuration names; true stands for the usual one."""
    related, classed = config.relation_head, config.class_head
    related = "pairs" if related is True else related
    classed = config.class_reading if classed is True else classed
    for kind, name, known in (
        ("head", config.head, HEADS),
        ("relation_head", related, RELATION_HEADS),
        ("class_head", classed, CLASS_HEADS),
    ):
        if name is not False and name not in known:
            raise ConfigError(unknown_choice(kind, name, known))
    return _Heads(
        HEADS[config.head],
        RELATION_HEADS[related] if related else None,
        CLASS_HEADS[classed] if classed else None,
    )


def with_words(parts: Parts, words: str | Callable[[str], Iterable[tuple[int, int]]]) -> Parts:
    """Return the parts with another word splitter; a function's name is not saved.

    Raises:
        BackendError: the splitter's library is not installed.
        ConfigError: an unknown splitter.
    """
    parts.query_encoder.split_by(words)
    if not isinstance(words, str):
        return parts
    return replace(parts, config=replace(parts.config, words=words))


def _own_encoder(encoder: "PreTrainedModel") -> nn.Module:
    """Return the encoder in the form that trains fastest, the same to the bit of its weights.

    That is ``Bert`` for a BERT; see ``count_distances_once`` for an MPNet.
    """
    values = {**encoder.config.to_diff_dict(), "vocab_size": encoder.config.vocab_size}
    if not is_plain_bert(values):
        return count_distances_once(encoder)
    own = Bert(values)
    weights = encoder.state_dict()
    own.load_state_dict({name: weights[name] for name in own.state_dict()})
    return own


def empty_encoder(encoder_config: dict[str, Any], vocab_size: int) -> nn.Module:
    """Build an encoder with random weights from its own configuration.

    Transformers is imported only for what is not BERT: it takes longer than all else.

    Raises:
        ConfigError: there is no such encoder.
    """
    try:
        return _empty_encoder(encoder_config, vocab_size)
    except Exception as error:  # torch and transformers raise whatever they stumble over
        raise ConfigError(f"no encoder can be built from its configuration: {error}") from error


def _empty_encoder(encoder_config: dict[str, Any], vocab_size: int) -> nn.Module:
    values = {**encoder_config, "vocab_size": vocab_size}
    if is_plain_bert(values):
        return Bert(values)
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

    model_type = values.pop("model_type", None)
    if not model_type:
        raise ConfigError("it has no model_type")
    hf_config = AutoConfig.for_model(model_type, **values)
    make = AutoModelForTextEncoding if model_type in _ENCODER_DECODERS else AutoModel
    encoder: nn.Module = make.from_config(  # type: ignore[no-untyped-call]
        hf_config, dtype=torch.float32
    )
    return count_distances_once(encoder)


def count_distances_once(encoder: nn.Module) -> nn.Module:
    """Have an MPNet look up the distances of its tokens; any other encoder stays as it is.

    Transformers puts all pairs of tokens into buckets on the processor, in every pass, for which a
    GPU waits. There are no more buckets than distances; these are known from the length.
    """
    if type(encoder).__name__ == "MPNetModel":
        layers: Any = encoder.encoder
        layers.compute_position_bias = partial(_position_bias, layers)
    return encoder


def _position_bias(layers: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Return what MPNet adds to the scores of [batch, head, token, token]."""
    place = torch.arange(tokens.shape[1], device=tokens.device)
    buckets = _mpnet_buckets(tokens.shape[1]).to(tokens.device)
    distances = place[None] - place[:, None] + tokens.shape[1] - 1
    bias: torch.Tensor = layers.relative_attention_bias(buckets[distances])
    return bias.permute(2, 0, 1).expand(len(tokens), -1, -1, -1)


@lru_cache(maxsize=1024)
def _mpnet_buckets(length: int) -> torch.Tensor:
    """Return the bucket of each distance from 1 - ``length`` to ``length`` - 1."""
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    distances = torch.arange(1 - length, length)
    buckets: torch.Tensor = MPNetEncoder.relative_position_bucket(distances)  # type: ignore[no-untyped-call]
    return buckets


def load_tokenizer(path: str | Path) -> "PreTrainedTokenizerBase":
    """Load a fast tokenizer from a folder or the hub.

    Raises:
        CheckpointError: there is none, or only a slow one.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError, KeyError) as error:
        reason = _first_line(error)
        raise CheckpointError(f"{path}: no tokenizer could be loaded: {reason}") from error
    if not tokenizer.is_fast:
        raise CheckpointError(f"{path}: the tokenizer has no fast version, which is needed")
    loaded: PreTrainedTokenizerBase = tokenizer
    return loaded


def _first_line(error: Exception) -> str:
    """Return what an error says first: transformers goes on with general advice."""
    return str(error).strip().partition("\n")[0].rstrip(".")


def token_ids(tokenizer: Tokenizer, *tokens: str) -> list[int]:
    """Return the vocabulary ids of single tokens."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in tokens]


def with_ids(config: ModelConfig, ids: Mapping[str, int]) -> ModelConfig:
    """Return the configuration with the vocabulary ids of the markers named: ent, sep, rel, cls."""
    return replace(
        config,
        ent_token_id=ids.get("ent", config.ent_token_id),
        sep_token_id=ids.get("sep", config.sep_token_id),
        rel_token_id=ids.get("rel", config.rel_token_id),
        cls_token_id=ids.get("cls", config.cls_token_id),
    )


def position_limit(encoder: Any, tokenizer: Tokenizer) -> int:
    """Tokens the encoder can read at a time, special ones included."""
    config = encoder.config
    relative = getattr(config, "relative_attention", False)
    absolute = getattr(config, "position_biased_input", not relative)
    positions = getattr(config, "max_position_embeddings", None)
    if not absolute or not positions:
        return DEFAULT_MAX_TOKENS
    # RoBERTa's positions begin behind the padding index.
    used = getattr(getattr(encoder, "embeddings", None), "padding_idx", None)
    if used is not None and config.model_type in {"roberta", "xlm-roberta", "camembert"}:
        positions -= used + 1
    return int(min(positions, tokenizer.model_max_length, DEFAULT_MAX_TOKENS))


def with_heads(
    parts: Parts,
    *,
    relations: bool = True,
    classes: bool = True,
    class_reading: Literal["joint", "apart"] | None = None,
) -> Parts:
    """Return new parts that also have the heads asked for, with random weights.

    Their marker tokens join the vocabulary as copies of ``<<ENT>>``, which the encoder has learned
    to read a label behind. All other weights are copies: spans score as before.

    Args:
        parts: of a model whose network is ``Network``; left as they are.
        relations: whether the new parts have a relation head; one that is there stays.
        classes: the same for a class head.
        class_reading: see ``ModelConfig``; a class head that reads in another way is replaced, and
            None leaves it.
    """
    config = parts.config
    config = replace(
        config,
        relation_head=config.relation_head or relations,
        class_head=config.class_head or classes,
        class_reading=class_reading or config.class_reading,
    )
    tokenizer = copy.deepcopy(parts.query_encoder.tokenizer)
    wanted = {
        "rel": (relations and not parts.config.relation_head, config.rel_token),
        "cls": (config.classes_in_prompt and config.cls_token_id < 0, config.cls_token),
    }
    added = {name: token for name, (new, token) in wanted.items() if new}
    tokenizer.add_tokens(list(added.values()), special_tokens=True)
    ids = dict(zip(added, token_ids(tokenizer, *added.values()), strict=True))
    config = with_ids(config, ids)
    old = parts.network.state_dict()
    encoder_config = parts.network.encoder.encoder.config.to_dict()  # type: ignore[union-attr, operator]
    vocab_size = max([encoder_config["vocab_size"], *(i + 1 for i in ids.values())])
    new = assemble(config, empty_encoder(encoder_config, vocab_size), tokenizer, parts.settings)
    new.query_encoder.split_words = parts.query_encoder.split_words
    new.query_encoder.plain = parts.query_encoder.plain
    device = parts.network.device
    new.network.to(device=device, dtype=next(parts.network.parameters()).dtype)
    with torch.no_grad():
        for name, weight in new.network.state_dict().items():
            if name not in old:
                continue  # a new head
            if weight.shape == old[name].shape:
                weight.copy_(old[name])
            else:  # the table of tokens
                weight[: len(old[name])] = old[name]
        table = new.network.encoder.encoder.get_input_embeddings().weight  # type: ignore[operator]
        for i in ids.values():
            table[i] = table[config.ent_token_id]
    return new
