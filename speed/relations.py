"""What relations cost as mentions grow: the relation head beside the paper's way.

    python speed/relations.py            # about two minutes

The shipped model with a relation head, whose cost does not hang on how it was trained. One text,
mentions given, all pairs, 15 relations. The paper's way asks "{head} <> {relation}" for every
head and relation, 30 labels a pass.
"""

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Annotated

import torch
import typer
from contest import text_of
from report import machine_line
from rich.console import Console

from glinermt.model import GlinerMT
from glinermt.types import Ask, Query, Span
from glinermt.words import split_reference

MENTIONS = (2, 6, 12, 24, 48, 64)
RELATIONS = (
    "founded", "born in", "capital of", "employer of", "part of", "located in", "member of",
    "married to", "parent of", "owner of", "author of", "plays for", "successor of", "ally of",
    "competitor of",
)  # fmt: skip
PAPER_UP_TO = 24
"""Mentions up to which the paper's way is measured; it grows with them."""
TURNS = 5
console = Console(width=120)


def main(
    words: Annotated[int, typer.Option(help="Words of the text.")] = 150,
    out: Annotated[Path, typer.Option(help="Markdown file to write.")] = Path("runs/relations.md"),
) -> None:
    """Measure CPU time of relations between given mentions."""
    torch.set_num_threads(1)
    model = GlinerMT.from_pretrained().with_heads(classes=False)
    text = text_of(Random(0), words)
    offsets = split_reference(text)
    lines = [
        machine_line(1), "",
        "| mentions | pairs | CPU ms, no relations | relation head | of it, beside the encoder | "
        "the paper's way | passes |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    plain = _milliseconds(lambda: model.read([Query(text, ("person",))], Ask()))
    for number in MENTIONS:
        places = [offsets[i * len(offsets) // number] for i in range(number)]
        mentions = tuple(Span(start, end, text[start:end], "") for start, end in places)
        query = Query(text, relations=RELATIONS, entities=mentions)
        unrelated = Query(text, relations=RELATIONS, entities=())
        head = _milliseconds(lambda query=query: model.read([query], Ask()))
        encoder = _milliseconds(lambda query=unrelated: model.read([query], Ask()))
        labels = tuple(f"{m.text} {m.start} <> {r}" for m in mentions for r in RELATIONS)
        paper = ""
        if number <= PAPER_UP_TO:
            asked = Query(text, labels)
            paper = f"{_milliseconds(lambda asked=asked: model.read([asked], Ask())):,.0f}"
        passes = -(-len(labels) // model.config.max_labels)
        lines.append(
            f"| {number} | {number * (number - 1):,} | {plain:.0f} | {head:.0f} | "
            f"{max(head - encoder, 0):.1f} | {paper} | {passes} |"
        )
        console.print(lines[-1])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _milliseconds(work: Callable[[], object]) -> float:
    """Return the least CPU time of a few turns."""
    work()
    times = []
    for _ in range(TURNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) * 1e3


if __name__ == "__main__":
    typer.run(main)
