"""The same weights for the package ``gliner`` and for us, texts, and both in turns on these."""

import copy
import gc
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import wraps
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, ParamSpec, TypeVar

import torch
from loading import load_gliner
from torch import Tensor

from glinermt.checkpoints import SHIPPED
from glinermt.checkpoints.gliner import names
from glinermt.checkpoints.weights import renamed
from glinermt.fast.linear import has_bf16
from glinermt.model import GlinerMT
from glinermt.types import Query

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
        encoder, hidden, weights = random_deberta(size, ours), 512, None
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
    return load_gliner(str(folder))


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


def random_deberta(size: str, ours: GlinerMT) -> Any:
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


Found = list[dict[tuple[int, int, str], float]]
"""For each text: score of each place and label."""
Run = Callable[[Sequence[str], Sequence[str], float], Found]
OURS, OURS_BF16, OURS_INT8 = "glinermt", "glinermt bf16", "glinermt int8"
THEIR_8, THEIR_1 = "gliner, batch 8", "gliner, batch 1"
THEIR_BF16, THEIR_INT8 = "gliner bf16, batch 1", "gliner int8, batch 1"
ROUNDED = (OURS_BF16, OURS_INT8, THEIR_BF16, THEIR_INT8)
_TOLERANCE = 2e-4


@dataclass(frozen=True)
class Row:
    """One system on one workload."""

    model: str
    labels: int
    workload: str
    system: str
    words: int
    cpu_seconds: float
    wall_seconds: float
    cpu_ratio: float
    """Median over turns of this system's CPU time by that of ``glinermt``."""
    cpu_ratio_low: float
    cpu_ratio_high: float
    same_answers: bool | None
    """Whether the spans are those of the package; None for the systems that round."""


def systems(contest: Contest, *, rounded: bool = True) -> dict[str, Run]:
    """Load every system that takes part, by name; ours first, bf16 where the processor has it."""
    runs: dict[str, Run] = {OURS: ours(contest.ours())}
    package = contest.theirs()
    if rounded and has_bf16():
        runs[OURS_BF16] = ours(contest.ours("bf16"))
        runs[THEIR_BF16] = theirs(copy.deepcopy(package).to(torch.bfloat16), 1)
    if rounded:
        runs[OURS_INT8] = ours(contest.ours("int8"))
        quantized = copy.deepcopy(package)
        quietly(quantized.quantize)("int8")
        runs[THEIR_INT8] = theirs(quantized, 1)
    runs[THEIR_1] = theirs(package, 1)
    runs[THEIR_8] = theirs(package, 8)
    return runs


def measure(
    model: str,
    runs: dict[str, Run],
    workload: Workload,
    labels: Sequence[str],
    *,
    threshold: float,
    turns: int,
) -> list[Row]:
    """Return a row a system, from ``turns`` turns after one that does not count."""
    if workload.one_by_one:
        runs = {name: run for name, run in runs.items() if name != THEIR_8}
    found: dict[str, Found] = {}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    wall: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            gc.collect()
            start = time.process_time(), time.perf_counter()
            found[name] = _answers(run, workload, labels, threshold)
            if turn:
                cpu[name].append(time.process_time() - start[0])
                wall[name].append(time.perf_counter() - start[1])
    reference = found[THEIR_1]
    rows = []
    for name in runs:
        ratios = sorted(a / b for a, b in zip(cpu[name], cpu[OURS], strict=True))
        same = None if name in ROUNDED else not disagreements(found[name], reference, threshold)
        rows.append(
            Row(
                model, len(labels), workload.name, name, workload.num_words,
                statistics.median(cpu[name]), statistics.median(wall[name]),
                statistics.median(ratios), ratios[0], ratios[-1], same,
            )
        )  # fmt: skip
    return rows


def usual_threshold(run: Run, texts: Sequence[str], labels: Sequence[str]) -> float:
    """Return a threshold at which about one word in eight begins a span.

    Random weights know no 0.5; where each word is an entity, decoding would be all that is
    measured.
    """
    found = run(texts, labels, 0.02)
    scores = sorted((s for spans in found for s in spans.values()), reverse=True)
    wanted = sum(len(text.split()) for text in texts) // 8
    return 0.5 if len(scores) <= wanted else min(0.95, scores[wanted])


def disagreements(ours: Found, theirs: Found, threshold: float) -> list[str]:
    """Say what only one found, or scored otherwise; a score at the threshold may go either way."""
    problems = []
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        for place in sorted(a.keys() | b.keys()):
            one, other = a.get(place, 0.0), b.get(place, 0.0)
            near = place not in a or place not in b
            if near and abs(max(one, other) - threshold) < _TOLERANCE:
                continue
            if abs(one - other) > _TOLERANCE:
                problems.append(f"text {i}, {place}: {one:.5f} and {other:.5f}")
    return problems


def _answers(run: Run, workload: Workload, labels: Sequence[str], threshold: float) -> Found:
    if not workload.one_by_one:
        return run(workload.texts, labels, threshold)
    return [spans for text in workload.texts for spans in run([text], labels, threshold)]


def ours(model: GlinerMT) -> Run:
    """Return our model as a system."""

    def run(texts: Sequence[str], labels: Sequence[str], threshold: float) -> Found:
        queries = [Query(text, tuple(labels)) for text in texts]
        found = model.extract(queries, threshold=threshold, span_score="min")
        return [{(s.start, s.end, s.label): s.score for s in spans} for spans in found]

    return run


def theirs(model: object, batch_size: int) -> Run:
    """Return the package's model as a system."""
    infer = quietly(model.inference)  # type: ignore[attr-defined]

    def run(texts: Sequence[str], labels: Sequence[str], threshold: float) -> Found:
        found = infer(list(texts), list(labels), threshold=threshold, batch_size=batch_size)
        return [{(s["start"], s["end"], s["label"]): s["score"] for s in spans} for spans in found]

    return run
