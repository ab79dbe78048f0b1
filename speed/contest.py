"""What the benchmarks run on: the same weights for the package ``gliner`` and for us, and texts."""

import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import wraps
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from glinermt.checkpoints import SHIPPED
from glinermt.checkpoints.gliner import names
from glinermt.checkpoints.weights import renamed
from glinermt.model import GlinerMT

P = ParamSpec("P")
R = TypeVar("R")

SENTENCES = Path(__file__).with_name("sentences.txt").read_text(encoding="utf-8").splitlines()
LABELS = (
    "person", "organization", "city", "country", "date", "event", "product", "money", "sports team",
    "disease", "mountain", "law or treaty", "work of art", "job title", "scientific instrument",
    "river", "drug", "university", "newspaper", "food", "software", "quantity", "percentage",
    "vehicle", "building", "language", "award", "musical instrument", "crop", "court",
)  # fmt: skip
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


@dataclass(frozen=True)
class Workload:
    """Texts that are given at once, or one after another."""

    name: str
    texts: tuple[str, ...]
    one_by_one: bool = False

    @property
    def num_words(self) -> int:
        return sum(len(text.split()) for text in self.texts)


def workloads(*, quick: bool = False) -> list[Workload]:
    """Return the four rows of the table; with ``quick`` fewer texts of each."""
    random = Random(0)
    single = random.sample(SENTENCES, 4 if quick else 12)
    bulk = [random.choice(SENTENCES) for _ in range(6 if quick else 48)]
    lengths = [random.lognormvariate(4.0, 0.9) for _ in range(6 if quick else 24)]
    mixed = [text_of(random, min(max(int(length), 5), 250)) for length in lengths]
    long = [text_of(random, 300) for _ in range(1 if quick else 3)]
    return [
        Workload("one short text", tuple(single), one_by_one=True),
        Workload("short texts", tuple(bulk)),
        Workload("mixed lengths", tuple(mixed)),
        Workload("long texts", tuple(long)),
    ]


def text_of(random: Random, num_words: int) -> str:
    """Return whole sentences in random order until there are words enough, cut to the number."""
    words: list[str] = []
    while len(words) < num_words:
        words += random.choice(SENTENCES).split()
    return " ".join(words[:num_words])
