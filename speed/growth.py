"""What every task costs as a text, the number of texts or of labels grows: twice as much, twice.

    python speed/growth.py            # all tasks, to 50,000 words; half an hour
    python speed/growth.py --tasks "answer;records"
    python speed/growth.py --quick    # shorter texts and fewer; four minutes
    python speed/growth.py --peer     # peak memory beside the package gliner

Fails where doubling the work costs more than 2.3 times the CPU time, measured again before it is
said. Each row of the table runs in a process of its own, so that its peak memory is its own.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2
from pathlib import Path
from random import Random
from typing import Annotated, Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # before tokenizers is imported

import torch
import typer
from contest import LABELS, SENTENCES
from loading import peak_memory
from report import machine_line
from rich.console import Console

import glinermt
from glinermt.tasks import extract_open_entities

MOST = 2.3
"""Times that twice the work may cost."""
AGAIN = 2
"""Measurements more where it costs more; the least time of each counts."""
WORDS = (12500, 50000)
TEXTS = (250, 1000)
"""Of 20 words."""
NUM_LABELS = (30, 120)
"""Of 20 texts of 20 words."""
QUICK = 8
"""What the work is divided by."""
SCHEMA = {
    "title": "person",
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "name of a person"},
        "city": {"type": "string"},
        "date": {"type": "string", "format": "date"},
    },
}
RELATION_NAMES = ["works for", "located in", "founded by", "member of"]

Texts = str | list[str]
TASKS: dict[str, Callable[[Texts], Any]] = {
    "entities": lambda texts: glinermt.extract_entities(texts, LABELS[:15]),
    "open_entities": lambda texts: extract_open_entities(texts, "all people and companies"),
    "relations": lambda texts: glinermt.extract_relations(texts, RELATION_NAMES),
    "answer": lambda texts: glinermt.answers("Who founded the company?", texts),
    "summarize": lambda texts: glinermt.summarize(texts),
    "matches": lambda texts: glinermt.extract_matches(texts, "all products"),
    "classify": lambda texts: glinermt.classify(texts, ["sports", "politics", "science"]),
    "records": lambda texts: glinermt.extract_records(texts, SCHEMA),
    "redact": lambda texts: glinermt.redact(texts),
    "keyphrases": lambda texts: glinermt.extract_keyphrases(texts),
    # Ways of asking that have a cost of their own.
    "relations, by labels": lambda texts: glinermt.extract_relations(
        texts, RELATION_NAMES[:2], method="labels"
    ),
    "records, many": lambda texts: glinermt.extract_records(texts, SCHEMA, many=True),
    "summarize, a third": lambda texts: glinermt.summarize(texts, ratio=1 / 3),
}
SMALLER = {"relations, by labels": 4, "records, many": 4, "summarize, a third": 4}
"""What the work of other ways of asking is divided by, which are measured in one text only."""
console = Console(width=120)
app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Cost:
    """What a piece of work took; memory in MB, above that of the loaded model."""

    work: int
    seconds: float
    memory: float


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    tasks: Annotated[str, typer.Option(help="Names, separated by semicolons; all.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Shorter texts and fewer.")] = False,
    peer: Annotated[bool, typer.Option("--peer", help="Only memory, beside gliner.")] = False,
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("runs/growth.md"),
) -> None:
    """Measure CPU time and memory of the shipped model as work grows; exit 1 where too much."""
    if context.invoked_subcommand:
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    if peer:
        out.write_text("\n".join(_beside_the_package()) + "\n", encoding="utf-8")
        return
    lines = [
        machine_line(1), "",
        "| task | what grows | from | to | CPU s | then | a doubling | MB above loading |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    failed = []
    for task in tasks.split(";") if tasks else TASKS:
        for axis, sizes in _axes(task, QUICK if quick else 1):
            costs = _measured(task, axis, sizes)
            times = max(_doublings(costs))
            lines.append(
                f"| {task} | {axis} | {costs[0].work:,} | {costs[-1].work:,} | "
                f"{costs[0].seconds:.2f} | {costs[-1].seconds:.2f} | {times:.2f} | "
                f"{costs[-1].memory:.0f} |"
            )
            console.print(lines[-1], style="red" if times > MOST else "")
            failed += [f"{task}, {axis}: {times:.2f}"] if times > MOST else []
            out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if failed:
        console.print(f"twice the work costs more than {MOST} times: {'; '.join(failed)}")
        raise typer.Exit(1)


def _axes(task: str, divisor: int) -> Iterator[tuple[str, list[int]]]:
    divisor *= SMALLER.get(task, 1)
    yield "words of a text", [words // divisor for words in WORDS]
    if task not in SMALLER:
        yield "texts", [texts // divisor for texts in TEXTS]
    if task == "entities":
        yield "labels", list(NUM_LABELS)


def _measured(task: str, axis: str, sizes: Sequence[int]) -> list[Cost]:
    costs = _in_a_process("case", task, axis, *sizes)
    for _ in range(AGAIN):
        if max(_doublings(costs)) <= MOST:
            break
        others = _in_a_process("case", task, axis, *sizes)
        costs = [min(both, key=lambda c: c.seconds) for both in zip(costs, others, strict=True)]
    return costs


def _doublings(costs: Sequence[Cost]) -> list[float]:
    """Return how many times the cost grows from each size to the next, for each doubling."""
    return [
        (after.seconds / before.seconds) ** (1 / log2(after.work / before.work))
        for before, after in pairwise(costs)
    ]


def _in_a_process(*arguments: object) -> list[Cost]:
    command = [sys.executable, "-W", "ignore", __file__, *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [Cost(*json.loads(line)) for line in run.stdout.splitlines() if line.startswith("[")]


@app.command("case", hidden=True)
def run_case(task: str, axis: str, sizes: list[int]) -> None:
    """Run one task on work of growing size, and print a line of JSON for each."""
    torch.set_num_threads(1)
    TASKS[task](text_of(Random(1), 400))  # also imports what is imported late
    loaded = peak_memory()
    for size in sizes:
        random = Random(0)
        given: Texts = text_of(random, size)
        if axis != "words of a text":
            given = [text_of(random, 20) for _ in range(size if axis == "texts" else 20)]
        start = time.process_time()
        if axis == "labels":
            names = [f"{LABELS[i % 30]} {i // 30}" for i in range(size)]
            glinermt.extract_entities(given, names)
        else:
            TASKS[task](given)
        print(json.dumps([size, time.process_time() - start, peak_memory() - loaded]), flush=True)


def text_of(random: Random, num_words: int) -> str:
    """Return sentences whose names are ever new ones as the text grows, as in a real document."""
    words: list[str] = []
    while len(words) < num_words:
        number = random.randrange(1 + num_words // 100)
        sentence = re.sub(r"(?<= )([A-Z][a-z]+)", rf"\g<1>{number}", random.choice(SENTENCES))
        words += sentence.split()
    return " ".join(words[:num_words])


def _beside_the_package() -> Iterator[str]:
    yield from (machine_line(1), "", "| system | texts | words each | labels | CPU s | MB |")
    yield "|---|---:|---:|---:|---:|---:|"
    from contest import contest

    with tempfile.TemporaryDirectory() as temporary:
        folder = contest("shipped", Path(temporary) / "shipped").folder
        for texts, words, labels in ((24, 120, 15), (8, 300, 30)):
            for system in ("glinermt", "glinermt int8", "gliner"):
                (cost,) = _in_a_process("peer", system, texts, words, labels, folder)
                yield (
                    f"| {system} | {texts} | {words} | {labels} | {cost.seconds:.2f} | "
                    f"{cost.memory:.0f} |"
                )
                console.print(f"{system}: {cost.seconds:.2f} s, {cost.memory:.0f} MB")


@app.command("peer", hidden=True)
def run_peer(system: str, texts: int, words: int, labels: int, folder: Path) -> None:
    """Run one system, and print its time and peak memory as JSON."""
    from contest import ours, their_saved_model, theirs

    torch.set_num_threads(1)
    if system == "gliner":
        run = theirs(their_saved_model(folder), 8)
    else:
        precision: Any = "int8" if "int8" in system else "exact"
        run = ours(glinermt.GlinerMT.from_pretrained(folder, precision=precision))
    random = Random(0)
    given = [text_of(random, words) for _ in range(texts)]
    run(["Ann lives in Bonn."], LABELS[:1], 0.5)
    start = time.process_time()
    run(given, LABELS[:labels], 0.5)
    print(json.dumps([texts, time.process_time() - start, peak_memory()]))


if __name__ == "__main__":
    app()
