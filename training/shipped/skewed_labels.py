"""What ``Tuning.balance`` and ``Tuning.hard_share`` change where labels are skewed.

``python -m glinermt.training.shipped.skewed_labels --data-root DATA --out DIR``: the shipped model
is fine-tuned on some sentences of a file with rare labels, with each way of drawing examples, and
scored on a held part of the same file. Run again with the same options or more seeds, it goes on
after what is done.
"""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from glinermt.errors import DataError
from glinermt.eval.metrics.entities import (
    KINDS,
    add_up,
    precision_recall_f1,
    span_counts,
    total,
)
from glinermt.exits import run_script
from glinermt.jsonl import write_text
from glinermt.model import GlinerMT
from glinermt.training.adapt.fine_tuning import Tuning, fine_tune
from glinermt.training.config import Source
from glinermt.training.dev_scores import entity_examples, predict
from glinermt.types import Example, Extractor

WAYS = {"none": (0.0, 0.0), "balance": (0.2, 0.0), "hard_share": (0.0, 0.3)}
"""Name -> balance and hard_share; the values are those that the documentation names."""
RARE = 0.2
"""A label is rare where fewer than this share of the sentences have it."""
START = "before"
RESULT = "skewed_labels.json"
SCORES = ("precision", "recall", "f1", "rare_f1", "macro_f1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a way of drawing reached with one draw of sentences; all scores are strict, 0 to 1."""

    way: str
    seed: int
    """Of the draw of sentences, and of the training."""
    precision: float
    recall: float
    f1: float
    rare_f1: float
    """Micro F1 of the rare labels alone."""
    macro_f1: float
    """Mean F1 of the labels."""


def split(rows: Sequence[Example], held: int) -> tuple[list[Example], list[Example]]:
    """Return the rows to draw from, and the held ones: the same whatever the seed of a draw."""
    mixed = random.Random("held").sample(list(rows), len(rows))
    return mixed[held:], mixed[:held]


def rare_labels(rows: Sequence[Example], share: float) -> frozenset[str]:
    """Return the labels that fewer than ``share`` of the rows have."""
    counts = Counter(label for row in rows for label in {span.label for span in row.spans})
    return frozenset(label for label, count in counts.items() if count < share * len(rows))


def outcome(
    way: str, seed: int, model: Extractor, held: Sequence[Example], rare: frozenset[str]
) -> Outcome:
    """Score a model on the held rows."""
    found = predict(model, held)
    totals = add_up(
        [
            span_counts(row.query.text, row.spans, spans)
            for row, spans in zip(held, found, strict=True)
        ]
    )
    labels = sorted({span.label for row in held for span in row.spans})
    each = [precision_recall_f1(totals, "strict", label)[2].item() for label in labels]
    of_rare = {
        f"strict/{kind}": sum(
            (total(totals, f"strict/{kind}@{label}") for label in rare), np.zeros(1)
        )
        for kind in KINDS
    }
    precision, recall, f1 = (value.item() for value in precision_recall_f1(totals, "strict"))
    rare_f1 = precision_recall_f1(of_rare, "strict")[2].item()
    return Outcome(way, seed, precision, recall, f1, rare_f1, sum(each) / len(each))


def report(outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table: means over seeds in percent, and each seed's F1."""
    lines = [
        "| examples drawn | P | R | F1 (each seed) | F1 of rare labels (each seed) | macro F1 |"
    ]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for way in (START, *WAYS):
        own = [one for one in outcomes if one.way == way]
        if not own:
            continue
        mean = {name: sum(getattr(one, name) for one in own) / len(own) for name in SCORES}
        cells = {name: f"{100 * value:.1f}" for name, value in mean.items()}
        for name in ("f1", "rare_f1"):
            if len(own) > 1:
                cells[name] += f" ({', '.join(f'{100 * getattr(o, name):.1f}' for o in own)})"
        lines.append(f"| {way} | {' | '.join(cells.values())} |")
    return "\n".join(lines) + "\n"


def main(
    data_root: Annotated[Path, typer.Option(help="Folder that the file is below.")],
    out: Annotated[Path, typer.Option(help="Folder for skewed_labels.md and .json.")],
    file: Annotated[
        str, typer.Option(help="Entity rows with skewed labels.")
    ] = "train/ner/fire_finance.train.jsonl.xz",
    number: Annotated[int, typer.Option(help="Sentences to learn from.")] = 60,
    held: Annotated[int, typer.Option(help="Sentences to score on.")] = 300,
    steps: Annotated[int, typer.Option(help="Steps of each fine-tuning.")] = 100,
    seeds: Annotated[str, typer.Option(help="Separated by commas.")] = "1,2,3",
) -> None:
    """Fine-tune in each way with each seed, and write what came out after each."""
    pool, kept = split(entity_examples(Source(file, "ner"), data_root), held)
    rare = rare_labels(pool, RARE)
    typer.echo(f"{len(pool)} sentences to draw from, {len(kept)} held; rare: {sorted(rare)}")
    how = {"file": file, "number": number, "held": held, "steps": steps}
    outcomes = _done(out / RESULT, how)
    if not outcomes:
        outcomes.append(outcome(START, 0, GlinerMT.from_pretrained(), kept, rare))
    for seed in map(int, seeds.split(",")):
        rows = random.Random(seed).sample(pool, number)
        for way, (balance, hard_share) in WAYS.items():
            if any(one.way == way and one.seed == seed for one in outcomes):
                continue
            model = GlinerMT.from_pretrained()
            tuning = Tuning(balance=balance, hard_share=hard_share, seed=seed)
            fine_tune(model, rows, steps=steps, tuning=tuning)
            outcomes.append(outcome(way, seed, model, kept, rare))
            typer.echo(f"seed {seed} {way:10} F1 {outcomes[-1].f1:.3f}")
            _write(out, outcomes, how)
    typer.echo(report(outcomes))


def _done(path: Path, how: Mapping[str, Any]) -> list[Outcome]:
    """Return what is there, made under the same options.

    Raises:
        DataError: it was made under others.
    """
    if not path.exists():
        return []
    data = json.loads(path.read_text(encoding="utf-8"))
    if data["how"] != how:
        raise DataError(f"{path}: made with {data['how']}, not {how}; choose another --out")
    return [Outcome(**one) for one in data["outcomes"]]


def _write(out: Path, outcomes: Sequence[Outcome], how: Mapping[str, Any]) -> None:
    data = {"how": how, "outcomes": [asdict(one) for one in outcomes]}
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / RESULT, json.dumps(data, indent=1) + "\n")
    write_text(out / "skewed_labels.md", report(outcomes))


if __name__ == "__main__":
    run_script(main)
