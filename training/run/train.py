"""A whole training run: model, data and stages put together."""

from contextlib import ExitStack, closing
from pathlib import Path

from rich.console import Console
from torch import nn

from glinermt.errors import ConfigError, DataError
from glinermt.outputs import locked
from glinermt.training.config import SHIPPED, TrainConfig, checked
from glinermt.training.data.batching import Batches
from glinermt.training.data.mixture import Mixture, load_feeds
from glinermt.training.data.readers import HUB
from glinermt.training.dev_scores import load_dev, score_dev
from glinermt.training.run.checkpointing import (
    CONFIG,
    STATE_FILE,
    check_same,
    has_state,
    load_state,
    recover_model,
    remove_model,
    write_config,
)
from glinermt.training.run.frozen import freeze, train_only
from glinermt.training.run.loop import Progress, Score, StageRun, Stop
from glinermt.training.run.metrics_log import CURVES, JOURNAL, Trackers, draw_curves
from glinermt.training.run.processes import (
    Processes,
    denormals_flushed,
    launched_processes,
    seeded,
)
from glinermt.training.run.stepper import Trainable

MODELS = ("best", "last")
"""Folders of a run's models: that with the best dev score, and the last."""


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    stop: Stop | None = None,
    score: Score | None = None,
    console: Console | None = None,
) -> Path:
    """Run the stages one after the other; return the folder of the last model.

    ``best`` (by dev score), ``last``, ``metrics.jsonl``, ``curves.png``, ``config.json`` and the
    checkpoint to resume from are written below ``config.output``, which no other run may use
    meanwhile. SIGINT and SIGTERM let the run save and leave after its step.

    Args:
        config: what to train on what.
        resume: go on from the checkpoint in the output.
        stop: may end the run before; afterwards it says whether it did, and by which signal.
        score: dev scores by name, in place of those of the ``dev`` files.
        console: where messages go; None = standard error.

    Raises:
        ConfigError: the configuration cannot be run, or ``resume`` is set and it is not that of
            the run; the output holds a run and ``resume`` is not set; or the launcher asks for a
            sharded model.
        CheckpointError: ``resume`` is set and there is nothing to resume.
        DataError: another run writes into the output, or a file of rows cannot be read.
    """
    console, stop = console or Console(stderr=True), stop or Stop()
    output = Path(config.output)
    config = checked(config, where="the configuration")
    if resume and not has_state(output):
        load_state(output)  # raises, and makes no folder
    processes = launched_processes(config.precision)
    with ExitStack() as stack:
        if processes.index == 0:
            stack.enter_context(locked(output))
        stack.enter_context(stop.on_signals())
        stack.enter_context(denormals_flushed())
        _run_stages(config, processes, stop, score, console, resume=resume)
    if processes.index == 0 and config.curves:
        draw_curves(output)
    return output / "last"


def forget(output: Path) -> None:
    """Remove what a run wrote into its output, but for what trackers did, and nothing else."""
    for name in MODELS:
        remove_model(output / name)
    for name in (STATE_FILE, CONFIG, JOURNAL, CURVES):
        (output / name).unlink(missing_ok=True)


def _run_stages(
    config: TrainConfig,
    processes: Processes,
    stop: Stop,
    score: Score | None,
    console: Console,
    *,
    resume: bool,
) -> None:
    output = Path(config.output)
    if resume:
        check_same(config, output)
    elif has_state(output):
        raise ConfigError(f"{output} holds a run: resume it, or choose another output")
    state = load_state(output) if resume else None
    progress = Progress(**state["progress"]) if state else Progress()
    _check_files(config, progress.stage)
    if processes.index == 0:
        write_config(config, output)
        for name in MODELS:
            recover_model(output / name)
    model, score = _build(config), score or _score(config)
    with closing(Trackers(config.trackers if processes.index == 0 else (), output)) as trackers:
        while progress.stage < len(config.stages):
            run = StageRun(
                config,
                model,
                _batches(config, progress.stage, console),
                processes=processes,
                progress=progress,
                state=state,
                score=score,
                stop=stop,
                trackers=trackers,
            )
            if not run.run():
                stop.early = True
                console.print(f"stopped at step {progress.step}; go on with --resume")
                break
            processes.free()
            progress = Progress(stage=progress.stage + 1, best=progress.best)
            state = None


def _check_files(config: TrainConfig, first: int) -> None:
    """Check that what the stages from ``first`` on read is there, before hours of training.

    Raises:
        DataError: a file or folder is missing.
    """
    root = Path(config.data_root)
    paths = [
        source.path
        for stage in config.stages[first:]
        for source in stage.sources
        if stage.shares[source.group or source.task] and not source.path.startswith(HUB)
    ]
    missing = [p for p in dict.fromkeys((*paths, *config.dev.paths)) if not (root / p).exists()]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(
            f"{root / missing[0]}: there is no such file{more}; say with --set data_root=FOLDER "
            "what the paths of the sources are below"
        )


def _build(config: TrainConfig) -> Trainable:
    from glinermt.model import GlinerMT

    with seeded(config.seed):  # the head begins at random
        if config.init:
            model = GlinerMT.from_pretrained(None if config.init == SHIPPED else config.init)
            model.network.check_trainable()
            if config.add_heads:
                model = model.with_heads(class_reading=config.model.class_reading)
        else:
            model = GlinerMT.from_config(config.model)
    if config.dropout is not None:
        set_dropout(model.network, config.dropout)
    if config.frozen_layers:
        freeze(model.encoder.encoder, config.frozen_layers)
    if config.trained_parts:
        train_only(model.network, config.trained_parts)
    return model


def set_dropout(network: nn.Module, share: float) -> None:
    """Let a network drop this share of its values in training, attention included."""
    for part in network.modules():
        if isinstance(part, nn.Dropout):
            part.p = share
        for name in ("dropout_p", "attention_dropout"):  # here, and in transformers
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, share)


def _batches(config: TrainConfig, index: int, console: Console) -> Batches:
    stage = config.stages[index]
    seed = config.seed + index
    feeds, bad = load_feeds(
        stage,
        Path(config.data_root),
        max_bad_share=config.max_bad_share,
        seed=seed,
        workers=config.workers,
    )
    for name, lines in bad.items():
        listed = "\n  ".join(lines.listed)
        console.print(f"{name}: {lines.count} bad lines skipped\n  {listed}", markup=False)
    mixture = Mixture(feeds, dict(stage.shares), seed=seed)
    return Batches(
        mixture,
        batch_tokens=stage.batch_tokens,
        batch_size=stage.batch_size,
        seed=seed,
        workers=config.workers,
    )


def _score(config: TrainConfig) -> Score | None:
    if not config.dev.paths:
        return None
    sets = load_dev(config.dev, Path(config.data_root), max_bad_share=config.max_bad_share)
    return lambda model: score_dev(model, sets, threshold=config.dev.threshold)
