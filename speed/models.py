"""The models of the benchmark: the same weights for the package ``gliner`` and for us."""

import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import wraps
from io import StringIO
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from glinermt.checkpoints import SHIPPED
from glinermt.checkpoints.gliner import names
from glinermt.checkpoints.weights import renamed
from glinermt.model import GlinerMT

P = ParamSpec("P")
R = TypeVar("R")

_SIZES = {"small": (6, 768, 12), "base": (12, 768, 12)}


def quietly(function: Callable[P, R]) -> Callable[P, R]:
    """Keep the package's warnings and log off the screen while the function runs."""

    @wraps(function)
    def silent(*args: P.args, **kwargs: P.kwargs) -> R:
        logging.disable(logging.WARNING)
        try:
            with warnings.catch_warnings(), redirect_stderr(StringIO()):
                warnings.simplefilter("ignore")
                return function(*args, **kwargs)
        finally:
            logging.disable(logging.NOTSET)

    return silent


@dataclass(frozen=True)
class Contest:
    """A checkpoint that both read, in the package's format."""

    name: str
    folder: Path

    def theirs(self) -> Any:
        return their_saved_model(self.folder)

    def ours(self, precision: str = "exact") -> GlinerMT:
        return GlinerMT.from_pretrained(self.folder, precision=precision)  # type: ignore[arg-type]


def contest(name: str, folder: Path) -> Contest:
    """Write the checkpoint called ``name`` into a folder.

    Args:
        name: ``shipped``, or ``deberta-SIZE-HEAD`` with random weights.
        folder: where; must not exist.
    """
    ours = GlinerMT.from_pretrained(SHIPPED)
    if name == "shipped":
        encoder = _for_transformers(ours)
        hidden, mode, weights = ours.config.hidden_size, "token_level", _renamed(ours.state_dict())
    else:
        _, size, head = name.split("-")
        encoder, hidden, weights = _random_deberta(size, ours), 512, None
        mode = "token_level" if head == "token" else "markerV0"
    backbone = folder / "backbone"
    encoder.save_pretrained(backbone)
    tokenizer = ours.query_encoder.tokenizer
    tokenizer.save_pretrained(backbone)
    settings = {
        "model_name": str(backbone), "span_mode": mode, "hidden_size": hidden, "dropout": 0.0,
        "max_types": 30, "max_len": 512, "vocab_size": len(tokenizer),
        "class_token_index": ours.config.ent_token_id,
    }  # fmt: skip
    torch.manual_seed(0)
    theirs = _their_model(settings)
    if weights is not None:
        result = theirs.model.load_state_dict(weights, strict=False)
        missing = [name for name in result.missing_keys if ".pooler." not in name]  # read by none
        if missing or result.unexpected_keys:
            raise ValueError(f"weights do not fit: {missing}, {result.unexpected_keys}")
    theirs.save_pretrained(folder / "saved", safe_serialization=True)
    return Contest(name, folder / "saved")


@quietly
def _their_model(settings: dict[str, Any]) -> Any:
    import gliner

    return gliner.GLiNER.from_config(gliner.GLiNERConfig(**settings)).eval()


@quietly
def their_saved_model(folder: Path) -> Any:
    import gliner

    return gliner.GLiNER.from_pretrained(str(folder), local_files_only=True).eval()


def _renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the shipped weights under the package's names.

    The package reads a label at its ``<<ENT>>``, the shipped model over the label's tokens. In
    the benchmark both read the ``<<ENT>>``: scores are not those of the shipped model, the work is.
    Its relation head and class head, which the package has no place for, are not asked there.
    """
    others = ("relation_head.", "class_head.")
    asked = {name: tensor for name, tensor in weights.items() if not name.startswith(others)}
    return renamed(asked, {ours: theirs for theirs, ours in names("token").items()})


def _for_transformers(ours: GlinerMT) -> Any:
    """Return the shipped encoder as transformers' BertModel."""
    from transformers import BertConfig, BertModel

    own = ours.encoder.encoder
    encoder = BertModel(BertConfig(**own.config.to_dict()), add_pooling_layer=False)
    encoder.load_state_dict(own.state_dict())
    return encoder


def _random_deberta(size: str, ours: GlinerMT) -> Any:
    """Return a random encoder of the shape of DeBERTa-v3, with the shipped model's vocabulary."""
    from transformers import DebertaV2Config, DebertaV2Model

    layers, width, heads = _SIZES[size]
    torch.manual_seed(0)
    return DebertaV2Model(
        DebertaV2Config(
            vocab_size=len(ours.query_encoder.tokenizer), hidden_size=width,
            num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width,
            relative_attention=True, position_buckets=256, max_relative_positions=-1,
            max_position_embeddings=512, pos_att_type=["p2c", "c2p"], share_att_key=True,
            position_biased_input=False, norm_rel_ebd="layer_norm", type_vocab_size=0,
            layer_norm_eps=1e-7,
        )
    )  # fmt: skip
