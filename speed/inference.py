"""Speed beside the package ``gliner``: the same weights, the same texts, one process.

    python speed/inference.py            # the table; about half an hour
    python speed/inference.py --quick    # only: are the answers the same?

The systems run in turns, so that whatever else the machine does meets all. A ratio is the median
over turns of a system's CPU time by ours; wall time is in the JSON.
"""

import os
import tempfile
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # before tokenizers is imported

import torch
import typer
from contest import (
    LABELS,
    OURS,
    THEIR_1,
    THEIR_8,
    Row,
    Run,
    contest,
    disagreements,
    measure,
    systems,
    usual_threshold,
    workloads,
)
from report import machine_line, table, write
from rich.console import Console

MODELS = ["shipped", "deberta-small-token", "deberta-small-span"]
console = Console(width=120)


def main(
    model: Annotated[list[str], typer.Option(help="shipped or deberta-SIZE-HEAD.")] = MODELS,
    labels: Annotated[list[int], typer.Option(help="Numbers of labels.")] = [5, 15, 30],  # noqa: B006
    turns: Annotated[int, typer.Option(help="Measured turns of each row.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs/inference"),
    threshold: Annotated[
        float | None,
        typer.Option(help="Least score; else a usual one. 0.95: nothing is found."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Compare answers; measure nothing.")] = (
        False
    ),
) -> None:
    """Measure inference beside the package gliner, or compare the answers of both."""
    torch.set_num_threads(threads)
    rows: list[Row] = []
    different = 0
    with tempfile.TemporaryDirectory() as temporary:
        for name in model:
            pair = contest(name, Path(temporary) / name)
            if quick:
                different += compare(name, systems(pair, rounded=False))
                continue
            runs = systems(pair)
            for count in labels:
                asked = LABELS[:count]
                least = threshold
                if least is None:
                    least = usual_threshold(runs[OURS], workloads()[1].texts, asked)
                for workload in workloads():
                    new = measure(name, runs, workload, asked, threshold=least, turns=turns)
                    console.print(table(new, f"{name}, threshold {least:.3f}"))
                    rows += new
                    write(rows, out, machine_line(threads))
    different += sum(row.same_answers is False for row in rows)
    console.print(table(rows, machine_line(threads)) if rows else f"{different} differences")
    raise typer.Exit(code=min(different, 1))


def compare(name: str, runs: dict[str, Run]) -> int:
    """Count the differences between our answers and theirs, and print them."""
    count = 0
    for workload in workloads(quick=True):
        asked = LABELS[:15]
        threshold = usual_threshold(runs[OURS], workload.texts, asked)
        ours = runs[OURS](workload.texts, asked, threshold)
        for other in (THEIR_1, THEIR_8):
            problems = disagreements(ours, runs[other](workload.texts, asked, threshold), threshold)
            found = sum(map(len, ours))
            console.print(
                f"{name}, {workload.name}, {other}: {found} spans, {len(problems)} differ"
            )
            for problem in problems[:5]:
                console.print(f"  {problem}")
            count += len(problems)
    return count


if __name__ == "__main__":
    typer.run(main)
