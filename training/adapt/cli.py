"""The commands of ``glinermt`` that adapt a model: to examples, to texts, to a teacher, to you."""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from glinermt.console import is_given, names_in, tell_model
from glinermt.errors import UsageError

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace a model that is in the output folder.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the app; what they need is imported when they run."""
    app.command("fine-tune")(fine_tune_command)
    app.command("self-train")(self_train_command)
    app.command("distill")(distill_command)
    app.command("annotate-loop")(annotate_loop_command)


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
    frozen_layers: Annotated[
        int, typer.Option(min=0, help="Layers of the encoder, the first ones, that stay.")
    ] = 0,
    head_only: Annotated[bool, typer.Option(help="Leave the whole encoder as it is.")] = False,
    balance: Annotated[
        float,
        typer.Option(min=0, max=1, help="Examples of labels below this share come more often."),
    ] = 0.0,
    hard_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of examples in which the model finds too much."),
    ] = 0.0,
    patience: Annotated[
        int, typer.Option(min=0, help="Scorings without a new best that end it; 0 = none.")
    ] = 3,
    curve: Annotated[
        str | None,
        typer.Option(help="Train nothing; show the dev score after so many examples: 10,50,200."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Train a model further on examples."""
    from glinermt.model import GlinerMT
    from glinermt.outputs import check_no_model, locked
    from glinermt.training.adapt.fine_tuning import Tuning, fine_tune, learning_curve
    from glinermt.training.data.readers import read_examples

    tuning = Tuning(
        lora_rank=lora_rank,
        frozen_layers=frozen_layers,
        head_only=head_only,
        balance=balance,
        hard_share=hard_share,
        patience=patience,
    )
    sizes = _sizes(curve) if curve is not None else []
    with locked(out):
        check_no_model(out, overwrite=overwrite)
        tuned = GlinerMT.from_pretrained(model)
        rows, dev_rows = read_examples(examples), read_examples(dev) if dev else []
        general = read_examples(replay) if replay else []
        if sizes:
            points = learning_curve(
                tuned, rows, dev_rows, sizes=sizes, steps=steps, replay=general, tuning=tuning
            )
            for size, score in points:
                typer.echo(f"{size:6} examples F1 {score:.3f}")
            return
        with _steps_shown("fine-tuning", steps) as shown:
            report = fine_tune(
                tuned,
                rows,
                steps=steps,
                replay=general,
                dev=dev_rows,
                tuning=tuning,
                callbacks=[shown],
            )
        _write_report(out, report)
        for step, score in report.scores:
            typer.echo(f"step {step:6} F1 {score:.3f}" + (" *" if step == report.best_step else ""))
        tuned.save_pretrained(out)
        tell_model(out)


def _sizes(curve: str) -> list[int]:
    try:
        return [int(size) for size in curve.split(",")]
    except ValueError as error:
        raise UsageError(
            f"--curve {curve!r}: expected numbers of examples, such as 10,50,200"
        ) from error


def self_train_command(
    texts: Annotated[
        Path,
        typer.Option(help="File or folder: *.txt (a text a line) or *.jsonl, also packed."),
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
    overwrite: Overwrite = False,
) -> None:
    """Train a model on its own confident annotations of unlabelled texts."""
    from glinermt.model import GlinerMT
    from glinermt.outputs import check_no_model, locked
    from glinermt.training.adapt.self_training import SelfTraining, read_texts, self_train
    from glinermt.training.data.readers import read_examples

    settings = SelfTraining(
        steps=steps, threshold=threshold, margin=margin, allow_worse=allow_worse
    )
    with locked(out):
        check_no_model(out, overwrite=overwrite)
        start = GlinerMT.from_pretrained(model)
        gold = read_examples(dev) if dev else ()
        report = self_train(
            start, read_texts(texts), names_in([labels]), dev=gold, settings=settings
        )
        _write_report(out, report)
        typer.echo(f"learned from {report.num_examples} texts in {report.steps} steps")
        _show_scores(report, bool(dev))
        if report.refused:
            typer.echo("no step was better than the start: no model is written", err=True)
            raise typer.Exit(1)
        start.save_pretrained(out)
        tell_model(out)


def distill_command(
    teacher: Annotated[str, typer.Option(help="Folder or hub id of the model that annotates.")],
    texts: Annotated[
        Path,
        typer.Option(help="File or folder: *.txt (a text a line) or *.jsonl, also packed."),
    ],
    labels: Annotated[str, typer.Option(help="Entity types to learn, separated by commas.")],
    out: Annotated[Path, typer.Option(help="Folder for annotations, run, model and report.json.")],
    student: Annotated[
        str | None, typer.Option(help="Folder or hub id to train; the shipped model if none.")
    ] = None,
    gold: Annotated[
        Path | None, typer.Option(help="Labelled Example JSONL mixed in, which counts in full.")
    ] = None,
    gold_share: Annotated[float, typer.Option(min=0, max=1, help="Its share of examples.")] = 0.3,
    dev: Annotated[
        Path | None, typer.Option(help="Labelled Example JSONL; guards against getting worse.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 500,
    temperature: Annotated[
        float, typer.Option(min=0.01, help="Above 1 the teacher is taken for less sure.")
    ] = 1.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in --out.")] = False,
    stop_after: Annotated[
        str | None, typer.Option(help="Save and end after that time, to be resumed: 25m, 1h30m.")
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Begin anew where a distillation is in --out, and replace a model that is there.",
        ),
    ] = False,
) -> None:
    """Train a small model on the scores that a strong one gives to unlabelled texts."""
    from glinermt.model import GlinerMT
    from glinermt.outputs import check_no_model, locked
    from glinermt.training.adapt.distill import Distillation, check_stays, distill
    from glinermt.training.adapt.self_training import read_texts
    from glinermt.training.data.readers import read_examples
    from glinermt.training.run.loop import Stop, parse_duration

    stop = Stop(parse_duration(stop_after) if stop_after else None)
    with locked(out), stop.on_signals():
        check_no_model(out, overwrite=overwrite)
        if overwrite and not resume:
            check_stays(teacher, out)
        report = distill(
            GlinerMT.from_pretrained(teacher),
            read_texts(texts),
            names_in([labels]),
            student=student,
            out=out,
            gold=read_examples(gold) if gold else (),
            dev=read_examples(dev) if dev else (),
            settings=Distillation(steps=steps, temperature=temperature, gold_share=gold_share),
            resume=resume,
            overwrite=overwrite,
            stop=stop,
        )
        _write_report(out, report)
        typer.echo(f"the teacher found {sum(report.spans.values())} candidates")
        if not report.finished:
            typer.echo("stopped; go on with --resume", err=True)
            raise typer.Exit(128 + stop.signal if stop.signal else 0)
        _show_scores(report, bool(dev))
        if report.model is None:
            typer.echo("no step was better than the start: no model is written", err=True)
            raise typer.Exit(1)
        GlinerMT.from_pretrained(report.model).save_pretrained(out)
        tell_model(out)


def annotate_loop_command(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder that keeps the loop.")],
    texts: Annotated[
        Path | None, typer.Option(help="Begin: the pool, JSON lines or Parquet with 'text'.")
    ] = None,
    labels: Annotated[str, typer.Option(help="Begin: entity types, separated by commas.")] = "",
    tool: Annotated[str, typer.Option(help="label-studio, prodigy or doccano.")] = "label-studio",
    by: Annotated[
        str, typer.Option(help="margin, entropy, disagreement or diversity; see suggest.")
    ] = "margin",
    n: Annotated[int, typer.Option("-n", min=1, help="Texts suggested each round.")] = 50,
    held: Annotated[
        int, typer.Option(min=1, help="Random texts of the first round to measure the gain on.")
    ] = 30,
    model: Annotated[
        str | None, typer.Option(help="Folder or hub id to begin with; the shipped model if none.")
    ] = None,
    corrected: Annotated[
        Path | None, typer.Option(help="Go on: what the tool exported of the last round.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="General Example JSONL mixed in against forgetting.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 200,
) -> None:
    """Annotate with a model that learns: give out texts, take them back corrected, learn, repeat.

    With --texts it begins; with --corrected it learns and gives out the next round.
    """
    from glinermt.console import read_jsonl
    from glinermt.outputs import locked
    from glinermt.tasks.active_learning import By
    from glinermt.training.adapt.annotation_loop import (
        begin_loop,
        is_done,
        learn_round,
        next_round,
        open_loop,
    )
    from glinermt.training.data.readers import read_examples

    if (texts is None) == (corrected is None):
        raise UsageError("give --texts to begin a loop, or --corrected to go on with one")
    begins, goes_on = ("labels", "tool", "by", "n", "held", "model"), ("replay", "steps")
    _refuse_given(
        ctx, begins if texts is None else goes_on, "--texts" if corrected else "--corrected"
    )
    if corrected is None:
        pool = list(read_jsonl(cast(Path, texts), "text"))
        with locked(folder):
            path = begin_loop(
                folder,
                pool,
                names_in([labels]),
                tool=tool,
                by=cast(By, by),
                n=n,
                held=held,
                model=model,
            )
    else:
        open_loop(folder)
        with locked(folder):
            rows = read_examples(replay) if replay else ()
            with _steps_shown("learning", steps) as shown:
                report = learn_round(folder, corrected, replay=rows, steps=steps, callbacks=[shown])
            _show_scores(report, scored=True)
            low, high = report.gain
            typer.echo(
                f"round {report.round}: learned from {report.learned} texts; gain on {report.held} "
                f"held texts {report.after - report.before:+.3f} (95%: {low:+.3f} to {high:+.3f})"
            )
            if report.missing:
                typer.echo(
                    f"{report.missing} texts of the round are not in the export, or were skipped",
                    err=True,
                )
            if is_done(folder):
                model_folder = folder / f"round-{report.round}" / "model"
                typer.echo(f"every text of the pool is annotated; what was learned: {model_folder}")
                return
            path = next_round(folder)
    typer.echo(f"to correct: {path}")
    typer.echo(
        f"when it is corrected and exported: glinermt annotate-loop {folder} --corrected EXPORT",
        err=True,
    )


def _refuse_given(ctx: typer.Context, names: Sequence[str], needed: str) -> None:
    """Refuse options that would do nothing, as they belong to another use of the command."""
    for name in names:
        if is_given(ctx, name):
            shown = f"-{name}" if len(name) == 1 else f"--{name}"
            raise UsageError(f"{shown} goes with {needed} only; here it would do nothing")


@contextmanager
def _steps_shown(job: str, steps: int) -> Iterator[Any]:
    """Show on standard error how far a training is: a bar, or lines where none can be drawn."""
    from rich.console import Console

    from glinermt.training.adapt.watching import Callback
    from glinermt.training.run.metrics_log import Bar

    with Bar(job, console=Console(stderr=True)) as bar:

        class Shown(Callback):
            def on_step(self, step: int, loss: float) -> None:
                bar.show(step / steps, f"step {step} loss {loss:.3g}")

        yield Shown()


def _show_scores(report: Any, scored: bool) -> None:
    for label, (before, after) in report.labels.items():
        typer.echo(f"{label:30} F1 {before:.3f} -> {after:.3f}")
    if scored:
        typer.echo(f"{'all':30} F1 {report.before:.3f} -> {report.after:.3f}")


def _write_report(out: Path, report: Any) -> None:
    """Write the report as JSON, which has no NaN: what was not measured is null."""
    values = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in dataclasses.asdict(report).items()
    }
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
