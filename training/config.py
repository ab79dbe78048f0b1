"""What a training run is: sources, stages, optimiser; strict TOML, changed by ``--set``."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from glinermt import overrides
from glinermt.config import ModelConfig, from_mapping
from glinermt.errors import ConfigError, unknown_choice
from glinermt.overrides import merged

TaskName = Literal[
    "ner", "relations", "pairs", "qa", "summaries", "gap_summaries", "classify", "examples"
]
FromZero = Annotated[int, Field(ge=0)]
FromOne = Annotated[int, Field(ge=1)]
FromTwo = Annotated[int, Field(ge=2)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


SHIPPED = "shipped"
"""What ``init`` says for the model that comes with the package."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of rows."""

    path: str
    """Below ``data_root``: ``.jsonl``, ``.jsonl.gz``, ``.jsonl.xz``, ``.parquet`` or a folder of
    them; or ``hub:owner/name:split``."""
    task: TaskName
    """What its rows are: ``examples`` is our own Example JSONL, ``gap_summaries`` plain texts,
    ``relations`` the paper's way of asking for relations, ``pairs`` that of the relation head."""
    group: str = ""
    """Name in ``shares``; empty = the task."""
    weight: NotNegative = 1.0
    """Multiplies what the size of the source earns it inside its group."""
    cap: FromZero = 0
    """Rows counted at most when sources are weighed; 0 = all. Every row is used in its turn."""
    domain: str = "general"
    """Labels of sources of *other* domains may serve as negatives here (``foreign_share``)."""
    exclude_labels: tuple[str, ...] = ()
    """Entity, relation or Example labels whose annotations are not read; rows of such a class."""
    judged: Literal["all", "listed"] = "all"
    """Of ``pairs``: whether mentions of a row that no relation joins are known to be unrelated, or
    only the pairs that the row lists are known."""
    prompt: str = ""
    """Data-set name put before the text, to settle conflicts between label conventions."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one gold row becomes one Example."""

    max_positives: FromOne = 12
    max_negatives: FromZero = 8
    """Absent labels asked beside the present ones: a number from 0 to this, drawn evenly."""
    borrowed_negatives: FromZero = 0
    """Labels of other examples asked as absent of an Example of entities, at most: for data such as
    Pile-NER that says only what is there. Drawn from the whole source (UniversalNER)."""
    frequency_share: Share = 0.5
    """Share of negatives drawn by label frequency (UniversalNER); the rest evenly."""
    foreign_share: Share = 0.3
    """Share of rows that also get one or two labels from other domains as negatives."""
    common_labels: tuple[str, ...] = ()
    """Never foreign negatives: types that may stand unannotated in any text."""
    drop_share: Share = 0.3
    """Share of rows from which some present labels are dropped (GLiNER: +1.4 F1)."""
    paraphrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other wordings of a label."""
    paraphrase_share: Share = 0.0
    """Share of rows whose labels are reworded where ``paraphrases`` knows them."""
    general_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """General type -> types that are kinds of it. Where a kind is asked and there, the general one
    is not a second answer for the same span: the most specific label asked wins, as in CrossNER."""
    general_share: Share = 0.0
    """Share of Examples with such a kind that are asked for the general type besides."""
    open_ner_share: Share = 0.0
    """Share of NER rows asked as an instruction with the single label ``match``."""
    joined_share: Share = 0.0
    """Share of NER rows that are read behind or before others of their source: a model that only
    saw single sentences misses most entities of longer texts."""
    most_joined: FromOne = 4
    """Rows that ``joined_share`` adds to one, at most."""
    max_empty_share: NotNegative = 0.1
    """Rows without any entity kept, per row with one."""
    max_words: FromOne = 200
    """Longer texts are cut around their spans, never through one."""
    max_summary_words: FromOne = 280
    """The same for texts to be summed up."""
    max_relation_labels: FromTwo = 10
    max_class_labels: FromTwo = 12
    mixed_share: Share = 0.0
    """Share of Examples for the relation head or the class head that ask for some entity types
    besides, of which nothing is learned: users ask for several kinds at once."""
    symmetric_relations: tuple[str, ...] = ()
    """Relations that hold both ways, so that swapping head and tail is no negative."""
    unanswerable_share: Share = 0.3
    """Share of questions that are edited, or moved to a paragraph that does not answer them."""
    edited_share: Share = 0.0
    """Of these, the share that keeps its paragraph but has a detail of the question changed."""
    removed_share: Share = 0.0
    """Of the others, the share that keeps its paragraph without the sentences of the answer."""
    similar_share: Share = 0.7
    """Of those left, the share that gets the paragraph most like the question; the rest any."""


@dataclass(frozen=True, slots=True)
class Loss:
    positive_weight: float = 0.75
    negative_weight: float = 0.25
    gamma: float = 0.0
    """Focal exponent; 0 = plain BCE."""
    smoothing: float = 0.0
    positive_power: float = 0.5
    """An example's summed loss is divided by (positive cells) ** this, at least 1 cell, so that a
    summary with 75 inside words does not drown a sentence with one entity; 0 = the paper's sum."""
    relation_weight: float = 1.0
    """Of the relation head's loss beside that of the span head."""
    relation_choice: float = 0.0
    """Of a pair's cross-entropy over the relations asked, where one of them holds, beside the sum
    over relations: so that scores of different relations are told apart, not each by itself."""
    class_weight: float = 1.0
    """The same of the class head's."""
    task_weights: Mapping[str, float] = field(default_factory=dict)
    """Multiplies the loss of a group's examples; 1 for groups not named."""


@dataclass(frozen=True, slots=True)
class Sentences:
    """Vectors of whole texts and labels that the encoder must keep; see ``run.sentences``."""

    teacher: str = ""
    """Hugging Face id or folder of the sentence encoder that the model began as; empty = nothing
    is kept. Needs a model whose ``class_reading`` is ``apart``."""
    share: Share = 0.25
    """Of a batch's examples whose text and labels are compared."""
    weight: NotNegative = 10.0
    """Of the loss, 1 - cosine."""


@dataclass(frozen=True, slots=True)
class Optim:
    """AdamW with two learning rates."""

    encoder_lr: NotNegative = 1e-5
    other_lr: NotNegative = 5e-5
    weight_decay: NotNegative = 0.01
    warmup: Share = 0.06
    """Share of the run during which the rates rise."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    clip: NotNegative = 10.0
    """Largest gradient norm; 0 = no clipping."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One mix, one schedule."""

    name: str
    steps: FromOne
    sources: tuple[Source, ...]
    shares: Mapping[str, float]
    """Share of examples per group; they are normalised."""
    temperature: float = 0.5
    """Inside a group, sources are drawn by rows ** this."""
    batch_tokens: FromZero = 1600
    """Padded subwords in one forward pass; 0 = use ``batch_size``."""
    batch_size: FromZero = 0
    """Examples in one forward pass; 0 = use ``batch_tokens``."""
    accumulate: FromOne = 1
    """Forward passes per optimiser step and process."""
    max_minutes: NotNegative = 0.0
    """Wall-clock limit over all resumed parts; the run ends there as if it were done. 0 = none."""
    clock: Literal["steps", "time"] = "steps"
    """What drives the schedule. ``time`` runs it over ``max_minutes``: handy where a machine's
    speed is unknown, but two runs then differ."""
    sampling: Sampling = field(default_factory=Sampling)
    loss: Loss = field(default_factory=Loss)
    optim: Optim = field(default_factory=Optim)
    sentences: Sentences = field(default_factory=Sentences)


@dataclass(frozen=True, slots=True)
class Dev:
    """Entity files scored during training; the mean of their F1 picks the best checkpoint."""

    paths: tuple[str, ...] = ()
    limit: FromZero = 100
    """Rows per file, the first ones; 0 = all."""
    threshold: Share = 0.5
    exclude_labels: tuple[str, ...] = ("miscellaneous",)
    every: FromOne = 500
    """Steps between scorings."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A whole run: stages one after the other."""

    stages: tuple[Stage, ...]
    model: ModelConfig = field(default_factory=ModelConfig)
    init: str = ""
    """Folder of a model to go on from, or ``shipped``; empty = build ``model`` anew."""
    add_heads: bool = False
    """Add a relation head and a class head to the model of ``init`` where it has none."""
    frozen_layers: FromZero = 0
    """Layers of the encoder, counted from its embeddings, that stay as they are together with
    these; 0 trains all. Saves time and memory where a model is gone on with."""
    dropout: Share | None = None
    """Of all dropout during this run; None = what the model has. What is saved keeps the model's:
    a run that sees its rows many times needs more of it than a short one on a few examples."""
    trained_parts: tuple[str, ...] = ()
    """Parts of the network that learn, such as ``relation_head`` and ``class_head``; empty = all.
    Heads that learn alone leave what the model finds of spans as it is, and a step costs a third.
    """
    data_root: str = "."
    output: str = "runs/train"
    seed: int = 42
    precision: Literal["no", "bf16", "fp16"] = "no"
    pad_multiple: FromOne = 32
    """Shapes are padded to multiples of this: oneDNN and cuDNN prepare each new shape anew."""
    workers: FromZero = 0
    """Processes that read the sources, then sample and tokenise ahead of the training; 0 = it does
    so itself. For a GPU about as many as there are cores, as it reads faster than one prepares."""
    save_every: FromOne = 500
    """Steps between checkpoints."""
    log_every: FromOne = 10
    curves: bool = True
    """Draw ``curves.png`` beside the model in the end."""
    max_bad_share: Share = 0.01
    """Bad lines are skipped and listed; more than this share of a file stops the run."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Accelerate trackers besides ``metrics.jsonl``; they write below ``output/trackers``."""
    dev: Dev = field(default_factory=Dev)


def packaged_configs() -> dict[str, Path]:
    """Return the configurations that come with the package, by name."""
    folder = Path(__file__).with_name("configs")
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_config(name: str) -> Path:
    """Return the file of that path, or else the packaged configuration of that name.

    Raises:
        ConfigError: there is neither.
    """
    known = packaged_configs()
    if Path(name).is_file():
        return Path(name)
    if name in known:
        return known[name]
    if Path(name).suffix == ".toml":
        raise ConfigError(f"{name}: no such file")
    raise ConfigError(unknown_choice("configuration", name, known) + "; or name a TOML file")


def load_config(path: str | Path, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a TOML file and apply ``key.sub=value`` overrides; ``stages.0.steps=10`` reaches lists.

    A stage with ``like = "NAME"`` takes what it does not set from an earlier stage of that name,
    overrides of it included.

    Raises:
        ConfigError: the file, a key or a value is not usable.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    for override in changes:
        _refuse_taken(data, override)
        overrides.apply(data, override)
    _complete(data.get("stages"))
    return checked(data, where=str(path))


def checked(config: TrainConfig | Mapping[str, Any], *, where: str) -> TrainConfig:
    """Return the configuration read from plain data; one made by a program is read again.

    Raises:
        ConfigError: a key or a value is not usable, or a stage cannot be run.
    """
    data = asdict(config) if isinstance(config, TrainConfig) else config
    config = from_mapping(TrainConfig, data, where=where)
    if not config.stages:
        raise ConfigError(f"{where}: a run needs at least one stage; add [[stages]]")
    names = [stage.name for stage in config.stages]
    if len(set(names)) < len(names):
        raise ConfigError(f"{where}: stages need names of their own, not {names}")
    for stage in config.stages:
        _check_stage(stage, f"{where}: stage {stage.name!r}")
    return config


def _check_stage(stage: Stage, where: str) -> None:
    if not stage.sources:
        raise ConfigError(f"{where} has no sources; add [[stages.sources]]")
    groups = {source.group or source.task for source in stage.sources}
    for name in groups - set(stage.shares):
        raise ConfigError(
            f"{where}: group {name!r} has no share; add it to shares (0 leaves it out)"
        )
    for name in set(stage.shares) - groups:
        raise ConfigError(f"{where}: shares names {name!r}, but no source is of that group")
    if min(stage.shares.values()) < 0 or sum(stage.shares.values()) <= 0:
        raise ConfigError(
            f"{where}: shares must not be negative and not all 0: {dict(stage.shares)}"
        )
    if (stage.batch_tokens > 0) == (stage.batch_size > 0):
        raise ConfigError(f"{where}: set one of batch_tokens and batch_size, the other to 0")
    if stage.clock == "time" and stage.max_minutes <= 0:
        raise ConfigError(f"{where}: clock = 'time' needs max_minutes")


def _complete(stages: Any) -> None:
    """Fill in what stages take from those they are ``like``; wrong types are found later.

    Raises:
        ConfigError: there is no such stage before.
    """
    known: dict[str, Any] = {}
    for i, stage in enumerate(stages if isinstance(stages, list) else ()):
        if not isinstance(stage, dict):
            continue
        like = stage.pop("like", None)
        if like is not None and str(like) not in known:
            raise ConfigError(f"stages.{i}.like: no earlier stage is called {like!r}")
        stages[i] = known[str(stage.get("name"))] = merged(known.get(str(like), {}), stage)


def _refuse_taken(data: Mapping[str, Any], override: str) -> None:
    """Say where a list stands that an override reaches into and a stage takes whole from another.

    Raises:
        ConfigError: the override does so.
    """
    target: Any = data
    for key, following in pairwise(override.partition("=")[0].split(".")):
        if isinstance(target, list):
            target = target[int(key)] if key.isdigit() and int(key) < len(target) else None
        elif isinstance(target, Mapping):
            if following.isdigit() and key not in target and "like" in target:
                raise ConfigError(
                    f"--set {override}: {key!r} is that of stage {target['like']!r}, which this "
                    "one is like; change it there, or set the whole list"
                )
            target = target.get(key)
