"""The commands ``glinermt annotate`` and ``glinermt suggest``."""

import re
import time
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from glinermt.errors import UsageError

Many = list[str] | None


def register(app: typer.Typer) -> None:
    """Add the commands to the app; what they need is imported when they run."""
    app.command("annotate")(annotate_command)
    app.command("suggest")(suggest_command)


def annotate_command(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Files, folders, hf://NAME[:CONFIG][@SPLIT], or addresses as s3://..."),
    ],
    out: Annotated[str, typer.Option(help="Folder for the shards; run again to go on.")],
    task: Annotated[str, typer.Option(help="Such as entities, relations, answer, classify.")],
    labels: Annotated[Many, typer.Option(help="Labels, parted by commas or |; repeatable.")] = None,
    relations: Annotated[Many, typer.Option(help="As in glinermt relations.")] = None,
    instruction: Annotated[str | None, typer.Option(help="Of matches or open_entities.")] = None,
    question: Annotated[str | None, typer.Option(help="Of answer.")] = None,
    schema: Annotated[Path | None, typer.Option(help="JSON schema of records, a file.")] = None,
    arguments: Annotated[
        Path | None, typer.Option(help="JSON file with any further arguments of the task.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Least score, 0 to 1.")] = None,
    model: Annotated[str | None, typer.Option(help="Folder or hub id; shipped without.")] = None,
    precision: Annotated[str, typer.Option(help="exact, bf16 or int8.")] = "exact",
    field: Annotated[str, typer.Option(help="Column or key that holds the text.")] = "text",
    keep: Annotated[
        Many, typer.Option(help="Input column to keep (repeatable); all without.")
    ] = None,
    result: Annotated[str, typer.Option(help="Name of the result column.")] = "result",
    format: Annotated[str, typer.Option(help="parquet or jsonl.")] = "parquet",
    shard_rows: Annotated[int, typer.Option(min=1, help="Rows of a shard.")] = 1000,
    max_chars: Annotated[
        int, typer.Option(min=1, help="A longer text is recorded as failed.")
    ] = 2_000_000,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds a row may take; 0 = any.")] = 0.0,
    engine: Annotated[str, typer.Option(help="local or ray.")] = "local",
    processes: Annotated[
        int, typer.Option(min=1, help="Processes with a model each, on the CPU (local).")
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Of each process (local); 1 if several, else as many as cores."),
    ] = None,
    devices: Annotated[
        Many, typer.Option(help="Device of a process, as cuda:0 (repeatable; local).")
    ] = None,
    workers: Annotated[
        tuple[int, int], typer.Option(help="Least and greatest number of actors (ray).")
    ] = (1, 1),
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of each actor (ray).")] = 0.0,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again about rows that failed.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Forget what another job left in the folder.")
    ] = False,
) -> None:
    """Annotate any number of documents; a job that was stopped goes on where it was."""
    from glinermt.annotate import Counts, Engine, annotate
    from glinermt.console import Milestones, read_json, relations_in

    given = {
        "labels": _split(labels),
        "relations": relations_in(relations) if relations else None,
        "instruction": instruction,
        "question": question,
        "schema": None if schema is None else read_json(schema, "--schema"),
        "threshold": threshold,
        **({} if arguments is None else read_json(arguments, "--arguments")),
    }
    if devices and processes > 1:
        raise UsageError("give --devices, one for each process, or --processes, not both")
    of_processes = tuple(devices or ["cpu"] * processes) if devices or processes > 1 else ()
    console = Console(stderr=True)
    milestones = Milestones(console, f"{task}:")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(task, total=None, told="")

        begun: tuple[float, int] | None = None

        def watch(counts: Counts, done: int, total: int | None) -> None:
            nonlocal begun
            if begun is None:
                begun = time.monotonic(), counts.rows
            passed = time.monotonic() - begun[0]
            rate = f"{(counts.rows - begun[1]) / passed:,.0f} rows/s, " if passed else ""
            told = f"{counts.rows:,} rows, {rate}{counts.errors:,} failed"
            progress.update(bar, completed=done, total=total, told=told)
            if total:
                milestones.show(done / total, told)

        report = annotate(
            inputs,
            out,
            task,
            {name: value for name, value in given.items() if value is not None},
            engine=Engine(engine, of_processes, threads, workers, gpus),
            force=force,
            retry_failed=retry_failed,
            watch=watch,
            model=model,
            precision=precision,
            field=field,
            keep=None if keep is None else tuple(keep),
            result=result,
            format=format,
            shard_rows=shard_rows,
            max_chars=max_chars,
            timeout=timeout,
        )
    counts = report.counts
    if left := report.left_out:
        console.print(f"not read, as their names say no kind: {len(left):,} files", markup=False)
    console.print(f"{counts.rows:,} rows, {counts.errors:,} failed: {out}/report.md", markup=False)


def suggest_command(
    texts: Annotated[Path, typer.Argument(help="JSON lines with texts, Parquet, or - for stdin.")],
    labels: Annotated[list[str], typer.Option(help="Labels, parted by commas or |; repeatable.")],
    by: Annotated[str, typer.Option(help="margin, entropy, disagreement or diversity.")] = "margin",
    n: Annotated[int, typer.Option("-n", min=1, help="How many texts.")] = 100,
    model: Annotated[Many, typer.Option(help="Folder or hub id; several for disagreement.")] = None,
    field: Annotated[str, typer.Option(help="Key that holds the text.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Say which texts to annotate next, the most useful first; indices count from 0."""
    from glinermt.console import printable, read_jsonl, to_json
    from glinermt.tasks.active_learning import By, suggest

    found = suggest(
        list(read_jsonl(texts, field)),
        _split(labels) or [],
        by=cast(By, by),
        n=n,
        model=model[0] if model and len(model) == 1 else tuple(model) if model else None,
    )
    for one in found:
        if as_json:
            typer.echo(to_json(one))
        else:
            typer.echo(f"{one.index:7} {one.score:6.3f}  {printable(' '.join(one.text.split()))}")


def _split(given: Many) -> list[str] | None:
    if given is None:
        return None
    return [name.strip() for item in given for name in re.split("[|,]", item) if name.strip()]
