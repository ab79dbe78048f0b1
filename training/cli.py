"""The training commands of ``glinermt``."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the app; what they need is imported when they run."""
    app.command("train")(train_command)
    app.command("fine-tune")(fine_tune_command)
    app.command("self-train")(self_train_command)


def train_command(
    config: Annotated[Path, typer.Argument(help="TOML file; see training/configs.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: stages.0.steps=100 (repeatable)."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in the output.")
    ] = False,
) -> None:
    """Train a model as a configuration says."""
    from glinermt.training.config import load_config
    from glinermt.training.run.train import train

    train(load_config(config, changes or ()), resume=resume)


def fine_tune_command(
    examples: Annotated[Path, typer.Option(help="Example JSONL to learn from.")],
    out: Annotated[Path, typer.Option(help="Folder for the trained model and report.json.")],
    model: Annotated[
        str | None, typer.Option(help="Folder or hub id to begin with; the shipped model if none.")
    ] = None,
    dev: Annotated[
        Path | None, typer.Option(help="Example JSONL that picks the best weights.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="General Example JSONL mixed in against forgetting.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps at most.")] = 200,
    lora_rank: Annotated[
        int, typer.Option(min=0, help="Rank of LoRA adapters; 0 = train all.")
    ] = 0,
) -> None:
    """Train a model further on examples."""
    from glinermt.model import GlinerMT
    from glinermt.training.adapt.fine_tuning import Tuning, fine_tune
    from glinermt.training.data.readers import read_examples

    out.mkdir(parents=True, exist_ok=True)
    tuned = GlinerMT.from_pretrained(model)
    report = fine_tune(
        tuned,
        read_examples(examples),
        steps=steps,
        replay=read_examples(replay) if replay else (),
        dev=read_examples(dev) if dev else (),
        tuning=Tuning(lora_rank=lora_rank),
    )
    _write_report(out, report)
    for step, score in report.scores:
        typer.echo(f"step {step:6} F1 {score:.3f}" + (" *" if step == report.best_step else ""))
    tuned.save_pretrained(out)


def self_train_command(
    texts: Annotated[
        Path, typer.Option(help="Folder with *.txt (a text a line) or *.jsonl, also .gz or .xz.")
    ],
    labels: Annotated[str, typer.Option(help="Entity types to learn, separated by commas.")],
    out: Annotated[Path, typer.Option(help="Folder for the trained model and report.json.")],
    model: Annotated[
        str | None, typer.Option(help="Folder or hub id to begin with; the shipped model if none.")
    ] = None,
    dev: Annotated[
        Path | None, typer.Option(help="Labelled Example JSONL; guards against getting worse.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps at most.")] = 500,
    threshold: Annotated[float, typer.Option(help="Score from which a span is trusted.")] = 0.6,
    margin: Annotated[float, typer.Option(help="Doubtful zone below the threshold.")] = 0.2,
    allow_worse: Annotated[
        bool, typer.Option("--allow-worse", help="Keep a result below the start.")
    ] = False,
) -> None:
    """Train a model on its own confident annotations of unlabelled texts."""
    from glinermt.model import GlinerMT
    from glinermt.training.adapt.self_training import SelfTraining, read_texts, self_train
    from glinermt.training.data.readers import read_examples

    out.mkdir(parents=True, exist_ok=True)
    start = GlinerMT.from_pretrained(model)
    report = self_train(
        start,
        read_texts(texts),
        [label.strip() for label in labels.split(",") if label.strip()],
        dev=read_examples(dev) if dev else (),
        settings=SelfTraining(
            steps=steps, threshold=threshold, margin=margin, allow_worse=allow_worse
        ),
    )
    _write_report(out, report)
    typer.echo(f"learned from {report.num_examples} texts in {report.steps} steps")
    for label, (before, after) in report.labels.items():
        typer.echo(f"{label:30} F1 {before:.3f} -> {after:.3f}")
    if dev:
        typer.echo(f"{'all':30} F1 {report.before:.3f} -> {report.after:.3f}")
    if report.refused:
        typer.echo("no step was better than the start: no model is written", err=True)
        raise typer.Exit(1)
    start.save_pretrained(out)


def _write_report(out: Path, report: Any) -> None:
    """Write the report as JSON, which has no NaN: what was not measured is null."""
    values = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in dataclasses.asdict(report).items()
    }
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
