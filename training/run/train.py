"""A whole training run: model, data and stages put together."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]  # ships no types
from accelerate.utils import DistributedType  # type: ignore[import-untyped]
from rich.console import Console

from glinermt.errors import ConfigError
from glinermt.training.config import TrainConfig, check_config
from glinermt.training.data.batching import Batches
from glinermt.training.data.mixture import Mixture, load_feeds
from glinermt.training.dev_scores import load_dev, score_dev
from glinermt.training.run.checkpointing import has_state, load_state
from glinermt.training.run.curves import draw_curves
from glinermt.training.run.loop import Progress, Score, StageRun
from glinermt.training.run.resuming import CONFIG, check_same
from glinermt.training.run.signals import stop_on_signals


def train(config: TrainConfig, *, resume: bool = False, console: Console | None = None) -> Path:
    """Run the stages one after the other; give the folder of the last model.

    ``best`` (by dev score), ``last``, ``metrics.jsonl``, ``curves.png``, ``config.json`` and the
    checkpoint to resume from are written below ``config.output``.

    Raises:
        ConfigError: the configuration cannot be run, or ``resume`` is set and it is not that of
            the run; the output holds a run and ``resume`` is not set; or the launcher asks for a
            sharded model.
        CheckpointError: ``resume`` is set and there is nothing to resume.
    """
    console = console or Console(stderr=True)
    output = Path(config.output)
    check_config(config)
    state = load_state(output) if resume else None
    if resume:
        check_same(config, output)
    if not resume and has_state(output):
        raise ConfigError(f"{output} holds a run: resume it, or choose another output")
    trackers = list(config.trackers) or None
    accelerator = Accelerator(
        mixed_precision=config.precision, log_with=trackers, project_dir=str(output)
    )
    kind = accelerator.distributed_type
    if kind in (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise ConfigError(
            f"{kind.value} shards the model, but here each process keeps it whole; launch with "
            "plain data parallelism (torchrun, or accelerate launch --multi_gpu)"
        )
    accelerator.init_trackers("trackers")
    if accelerator.is_main_process:
        _write_config(config, output)
    model = _build(config)
    progress = Progress()
    if state is not None:
        progress = Progress(**state["progress"])
    score = _score(config)
    with stop_on_signals() as stop:
        while progress.stage < len(config.stages):
            run = StageRun(
                config,
                model,
                _batches(config, progress.stage, console),
                accelerator=accelerator,
                progress=progress,
                state=state,
                score=score,
                stop=stop,
            )
            if not run.run():
                console.print(f"stopped at step {progress.step}; go on with --resume")
                break
            accelerator.free_memory()
            progress = Progress(stage=progress.stage + 1, best=progress.best)
            state = None
    accelerator.end_training()
    if accelerator.is_main_process:
        draw_curves(output)
    return output / "last"


def _build(config: TrainConfig) -> Any:
    from glinermt.build import build
    from glinermt.model import GlinerMT

    torch.manual_seed(config.seed)  # the head begins at random
    return GlinerMT.from_pretrained(config.init) if config.init else build(config.model)


def _batches(config: TrainConfig, index: int, console: Console) -> Batches:
    stage = config.stages[index]
    seed = config.seed + index
    feeds, bad = load_feeds(
        stage, Path(config.data_root), max_bad_share=config.max_bad_share, seed=seed
    )
    for name, lines in bad.items():
        listed = "\n  ".join(lines.listed)
        console.print(f"{name}: {lines.count} bad lines skipped\n  {listed}", markup=False)
    mixture = Mixture(feeds, dict(stage.shares), seed=seed)
    return Batches(mixture, batch_tokens=stage.batch_tokens, batch_size=stage.batch_size, seed=seed)


def _score(config: TrainConfig) -> Score | None:
    if not config.dev.paths:
        return None
    sets = load_dev(config.dev, Path(config.data_root), max_bad_share=config.max_bad_share)
    return lambda model: score_dev(model, sets, threshold=config.dev.threshold)


def _write_config(config: TrainConfig, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(config), indent=2, ensure_ascii=False)
    (output / CONFIG).write_text(text + "\n", encoding="utf-8")
