"""What all checkpoints with ``gliner_config.json`` share: encoder, tokenizer, checks."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from glinermt.build import empty_encoder, load_tokenizer
from glinermt.checkpoints.weights import one_of, read_json, read_weights, vocabulary_size
from glinermt.config import GLINER_FILE
from glinermt.errors import CheckpointError
from glinermt.heads import SpanHead, TokenHead
from glinermt.heads.span_modes import SPAN_VECTORS, VectorSpanHead
from glinermt.layers import FusedLayers
from glinermt.words import LIBRARY_SPLITTERS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ENCODER = "token_rep_layer.bert_layer.model."
LABEL_ENCODER = "token_rep_layer.labels_encoder.model."
VECTORS = "span_rep_layer.span_rep_layer."
STORED = ("precomputed_prompts", "precomputed_rel_prompts")
"""Vectors of labels and relations, each name's mean over some texts."""
STORED_NAMES = {STORED[0]: "label_vectors", STORED[1]: "relation_vectors"}
STORED_KEYS = frozenset({"precomputed_prompts_mode"})
FLERT = "[FLERT]"
"""Added by training before the markers, and never used."""
POOLINGS = ("first", "last", "mean", "max")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "spm.model", "vocab.txt")
# Keys that read like the network's, which a configuration of training would not have.
_ARCHITECTURE = re.compile(
    r"_(layers?|mode|schema|encoder|decoder|pooling|config|token|head|scorer|fusion)$"
)
_TRAINING = ("lr_", "weight_decay", "freeze_", "train_", "eval_", "loss_", "shuffle_")
_KNOWN = frozenset(
    "backbone_type class_token_index decoder_mode dropout embed_ent_token embed_rel_token "
    "encoder_config ent_token full_decoder_context fuse_layers has_rnn hidden_size id_to_classes "
    "labels_decoder labels_decoder_config labels_encoder labels_encoder_config max_len max_types "
    "max_width model_name model_type num_post_fusion_layers num_rnn_layers post_fusion_schema "
    "precomputed_prompts_mode rel_id_to_classes rel_token rel_token_index relations_layer "
    "represent_spans sep_token span_encoder_config span_mode subtoken_pooling triples_layer "
    "vocab_size words_splitter_type".split()
)


@dataclass(frozen=True, slots=True)
class GlinerFolder:
    """A checkpoint's files, read."""

    folder: Path
    data: Mapping[str, Any]
    weights: dict[str, Tensor]

    @classmethod
    def read(cls, folder: Path) -> "GlinerFolder":
        return cls(folder, read_json(folder / GLINER_FILE), read_weights(folder))

    @property
    def path(self) -> Path:
        return self.folder / GLINER_FILE

    def get(self, key: str, default: Any) -> Any:
        """Return a value; null counts as missing."""
        value = self.data.get(key)
        return default if value is None else value

    def one_of(self, key: str, default: Any, choices: Sequence[Any]) -> Any:
        """Return a value that must be one of some.

        Raises:
            CheckpointError: it is another.
        """
        return one_of(self.path, key, self.get(key, default), choices)

    def refuse_unknown(self, known: frozenset[str] = frozenset()) -> None:
        """Raise CheckpointError for a key that sets something up which is not known here.

        Published configurations also hold what training read, under any name; only names like
        ``..._layer`` or ``..._mode`` are taken to change the network.
        """
        for key in sorted(self.data.keys() - _KNOWN - known):
            if key.startswith(_TRAINING) or not _ARCHITECTURE.search(key):
                continue
            if self.data[key] not in (None, False, "", "none"):
                raise CheckpointError(
                    f"{self.path}: {key} = {self.data[key]!r:.80}: the key is not known to this "
                    "version of glinermt"
                )
        for key in ("span_encoder_config", "precomputed_prompts_mode"):
            if key not in known and self.data.get(key):
                raise CheckpointError(
                    f"{self.path}: {key} = {self.data[key]!r:.80} is not supported"
                )

    def encoder(
        self, prefix: str = ENCODER, key: str = "encoder_config", name_key: str = "model_name"
    ) -> Any:
        """Build the empty encoder whose weights begin with ``prefix``; without a pooler.

        Where the configuration fuses layers, it is inside ``FusedLayers``.
        """
        own = {name: t for name, t in self.weights.items() if name.startswith(prefix)}
        config = dict(self.data.get(key) or self._hub_config(name_key))
        config.setdefault("model_type", "deberta-v2")  # as the package takes it
        encoder: Any = empty_encoder(config, vocabulary_size(own, self.folder))
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None
        if not self.get("fuse_layers", False):
            return encoder
        size, count = int(encoder.config.hidden_size), int(encoder.config.num_hidden_layers)
        return FusedLayers(encoder, count, size)

    def encoder_names(self, prefix: str, ours: str) -> dict[str, str]:
        """Return the beginnings of the names of an encoder's weights, and ours."""
        if not self.get("fuse_layers", False):
            return {prefix: ours}
        fuser = prefix.removesuffix("model.") + "layers_fuser."
        return {prefix: f"{ours}encoder.", fuser: f"{ours}layers_fuser."}

    def tokenizer(self, added: Sequence[str]) -> "PreTrainedTokenizerBase":
        """Load the folder's tokenizer, else the encoder's, with the tokens that training added."""
        own = any((self.folder / name).exists() for name in _TOKENIZER_FILES)
        tokenizer = load_tokenizer(self.folder if own else self.data.get("model_name", ""))
        known = tokenizer.get_vocab()
        if any(token not in known for token in added if token != FLERT):
            tokenizer.add_special_tokens({"additional_special_tokens": list(added)})
        return tokenizer

    def stored_names(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Return the labels and relations whose vectors are weights, where no others can be read.

        Raises:
            CheckpointError: there are not as many vectors as names.
        """
        if not self.get("precomputed_prompts_mode", False):
            return None
        found = []
        for key, weight in zip(("id_to_classes", "rel_id_to_classes"), STORED, strict=True):
            by_id = {int(number): str(name) for number, name in self.get(key, {}).items()}
            names = tuple(by_id[number] for number in sorted(by_id))
            vectors = self.weights.get(weight)
            if (0 if vectors is None else len(vectors)) != len(names):
                raise CheckpointError(
                    f"{self.path}: {key} has {len(names)} names, but {weight} "
                    f"{0 if vectors is None else len(vectors)} vectors"
                )
            found.append(names)
        return found[0], found[1]

    @property
    def words(self) -> str:
        """The name of the configured word splitter."""
        names = ("whitespace", *LIBRARY_SPLITTERS)
        name: str = self.one_of("words_splitter_type", "whitespace", names)
        return "reference" if name == "whitespace" else name

    def _hub_config(self, name_key: str) -> dict[str, Any]:
        from transformers import AutoConfig

        name = self.data.get(name_key)
        if not name:
            raise CheckpointError(f"{self.path}: neither an encoder's configuration nor {name_key}")
        try:
            config: dict[str, Any] = AutoConfig.from_pretrained(name).to_dict()
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{self.path}: no configuration for encoder {name!r}: {error}"
            ) from error
        return config


def without_unread(weights: Mapping[str, Tensor], *also: str) -> dict[str, Tensor]:
    """Return the weights without those that no result depends on: position ids, poolers."""
    return {
        name: tensor
        for name, tensor in weights.items()
        if not name.endswith("embeddings.position_ids")
        and ".model.pooler." not in name
        and not name.startswith(also)
    }


def head_names(head: SpanHead | TokenHead) -> dict[str, str]:
    """Return the beginnings of the names of an entity head's weights, and ours.

    A token head may have vectors of spans beside it, in ``marker``.
    """
    if isinstance(head, TokenHead):
        return {"scorer.": "head.", VECTORS: "marker."}
    own = "head.vectors." if isinstance(head, VectorSpanHead) else "head."
    return {VECTORS: own, "prompt_rep_layer.": "head.prompt_rep."}


def entity_head(files: GlinerFolder, size: int, dropout: float) -> SpanHead | TokenHead:
    """Build the head that ``span_mode`` names."""
    modes = ("markerV0", "marker", "token_level", *SPAN_VECTORS)
    mode = files.one_of("span_mode", "markerV0", modes)
    width = int(files.get("max_width", 12))
    if mode == "token_level":
        return TokenHead(size, dropout)
    if mode in SPAN_VECTORS:
        return VectorSpanHead(size, width, dropout, mode)
    return SpanHead(size, width, dropout, mode)
