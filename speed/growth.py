"""What inference costs as work grows: words of a text, labels, number of texts.

    python speed/growth.py            # about ten minutes
    python speed/growth.py --peer     # peak memory beside the package gliner

Each line runs in a process of its own, so that its peak memory is its own.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Annotated

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # before tokenizers is imported

import torch
import typer
from report import machine_line
from rich.console import Console
from turns import Run, ours, theirs
from workloads import LABELS, text_of

WORDS = (50, 200, 1000, 5000, 20000)
COUNTS = (1, 5, 15, 30, 100, 200)
TEXTS = (1, 10, 100, 1000, 10000)
THRESHOLD = 0.5
console = Console(width=120)
app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    peer: Annotated[bool, typer.Option("--peer", help="Only memory, beside gliner.")] = False,
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("runs/growth.md"),
) -> None:
    """Measure CPU time and memory of the shipped model as work grows."""
    if context.invoked_subcommand:
        return
    if peer:
        cases = [(system, 24, 120, 15) for system in ("glinermt", "glinermt int8", "gliner")]
        cases += [(system, 8, 300, 30) for system in ("glinermt", "glinermt int8", "gliner")]
    else:
        cases = [("glinermt", 1, words, 15) for words in WORDS]
        cases += [("glinermt", 20, 20, labels) for labels in COUNTS]
        cases += [("glinermt", texts, 20, 15) for texts in TEXTS]
    lines = [
        machine_line(1), "",
        "| system | texts | words each | labels | CPU s | words/s | peak, MB | above loading |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        folder = _checkpoint(Path(temporary)) if peer else None
        for case in cases:
            lines.append(_line(case, _alone(case, folder)))
            console.print(lines[-1])
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text("\n".join(lines) + "\n", encoding="utf-8")


@app.command("case", hidden=True)
def run_case(system: str, texts: int, words: int, labels: int, folder: str) -> None:
    """Run one case and print its numbers as JSON."""
    torch.set_num_threads(1)
    random = Random(0)
    given = [text_of(random, words) for _ in range(texts)]
    asked = [f"{LABELS[i % 30]} {i // 30}" if i >= 30 else LABELS[i] for i in range(labels)]
    run = _system(system, folder)
    run(["Ann lives in Bonn."], asked[:1], THRESHOLD)
    loaded = _peak()
    start = time.process_time()
    run(given, asked, THRESHOLD)
    print(json.dumps([time.process_time() - start, loaded, _peak()]))


def _system(system: str, folder: str) -> Run:

    if system == "gliner":
        from models import their_saved_model

        return theirs(their_saved_model(Path(folder)), 8)
    from glinermt import GlinerMT

    precision = "int8" if "int8" in system else "exact"
    return ours(GlinerMT.from_pretrained(folder or None, precision=precision))


def _alone(case: tuple[str, int, int, int], folder: Path | None) -> list[float]:
    command = [sys.executable, "-W", "ignore", __file__, "case", *map(str, case)]
    command.append(str(folder or ""))
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    numbers: list[float] = json.loads(run.stdout.splitlines()[-1])
    return numbers


def _line(case: tuple[str, int, int, int], numbers: list[float]) -> str:
    system, texts, words, labels = case
    seconds, loaded, peak = numbers
    speed = texts * words / seconds
    return (
        f"| {system} | {texts} | {words} | {labels} | {seconds:.2f} | {speed:,.0f} | "
        f"{peak:.0f} | {peak - loaded:.0f} |"
    )


def _checkpoint(folder: Path) -> Path:
    from models import contest

    return contest("shipped", folder / "shipped").folder


def _peak() -> float:
    """Give the process's peak memory so far, in MB."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    app()
