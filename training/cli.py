"""The commands of ``glinermt`` that run a training, and look at what it is to learn from."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from glinermt.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands to the app; what they need is imported when they run."""
    app.command("train")(train_command)
    app.command("diagnose")(diagnose_command)


def train_command(
    config: Annotated[
        str | None, typer.Argument(help="TOML file, or a packaged configuration by name.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a value: stages.0.steps=100 (repeatable)."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in the output.")
    ] = False,
    stop_after: Annotated[
        str | None,
        typer.Option(help="Save and end after that time, to be resumed: 25m, 1h30m, 90s."),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List the packaged configurations and end.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print the configuration's file and end.")
    ] = False,
) -> None:
    """Train a model as a configuration says.

    Ctrl-C and SIGTERM end the run after its step with everything saved; the exit code is then 130
    or 143, else 0.
    """
    from glinermt.console import tell_model
    from glinermt.training.config import find_config, load_config, packaged_configs
    from glinermt.training.run.loop import Stop, parse_duration
    from glinermt.training.run.train import train

    if listed:
        for name, path in packaged_configs().items():
            first = path.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ")
            typer.echo(f"{name:12} {first}")
        return
    if config is None:
        raise UsageError("name a configuration: a TOML file, or one of glinermt train --list")
    if show:
        typer.echo(find_config(config).read_text(encoding="utf-8"), nl=False)
        return
    stop = Stop(parse_duration(stop_after) if stop_after else None)
    last = train(load_config(find_config(config), changes or ()), resume=resume, stop=stop)
    if stop.signal is not None:
        raise typer.Exit(128 + stop.signal)
    if not stop.early:
        best = last.with_name("best")
        tell_model(best if best.is_dir() else last)


def diagnose_command(
    examples: Annotated[Path, typer.Argument(help="Example JSONL, or another tool's format.")],
    held_out: Annotated[
        Path | None, typer.Option(help="Dev or test data that must not share texts with it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all counts.")] = False,
) -> None:
    """Look for what is wrong with labelled data, and say what to do about it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from glinermt.training.data.diagnosis import diagnose
    from glinermt.training.data.readers import read_examples

    rows = read_examples(examples)
    problems = diagnose(rows, held_out=read_examples(held_out) if held_out else ())
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(problem) for problem in problems], indent=2))
        return
    typer.echo(f"{len(rows)} examples, {sum(len(row.spans) for row in rows)} spans")
    if not problems:
        typer.echo("nothing found")
        return
    table = Table(show_lines=True)
    for title in ("problem", "cases", "for instance", "what to do"):
        table.add_column(title)
    for problem in problems:
        more = ["..."] if problem.count > len(problem.cases) else []
        cells = (str(problem.count), "\n".join([*problem.cases, *more]), problem.advice)
        table.add_row(problem.name, *map(Text, cells))
    Console(soft_wrap=False).print(table)
