"""What many labels cost, and what ``shortlist`` saves and misses.

    python speed/shortlist.py --data CROSSNER.dev.jsonl --names TRAIN.jsonl --number 40

The labels asked are those of the data and as many others, from the files of ``--names``, as make
the number. Recall is the share of the labels with a mention in a sentence that are in its
shortlist. Times are processor time of one thread; all ways take turns.
"""

import statistics
import time
from pathlib import Path
from random import Random
from typing import Annotated

import torch
import typer
from report import machine_line

from glinermt import GlinerMT, extract_entities
from glinermt.eval.data.readers import NerCase, read_ner
from glinermt.eval.metrics.entities import span_f1
from glinermt.fast.linear import has_bf16
from glinermt.tasks.labels import read_labels
from glinermt.tasks.shortlist import shortlisted

NUMBERS = (1, 10, 100, 1000)
SHORT = (10, 30, 100, 200)
TIMED = (30, 100)


def label_sets(data: list[NerCase], names: list[str]) -> dict[int, list[str]]:
    """Return sets of labels: those of the data and others, in random order."""
    own = list(dict.fromkeys(label for case in data for label in case.labels))
    others = [name for name in dict.fromkeys(names) if name not in own]
    random = Random(0)
    random.shuffle(others)
    sets = {number: (own + others)[:number] for number in NUMBERS}
    for labels in sets.values():
        random.shuffle(labels)
    return sets


def recall(model: GlinerMT, data: list[NerCase], labels: list[str], number: int) -> float:
    """Return the share of labels with a mention that the shortlist keeps."""
    asked = read_labels(labels)
    rows = shortlisted(((case.text, asked) for case in data), number, model)
    kept = total = 0
    for case, (_, short) in zip(data, rows, strict=True):
        names, gold = {label.name for label in short}, {span.label for span in case.spans}
        kept, total = kept + len(gold & names), total + len(gold)
    return kept / total


def main(
    data: Annotated[list[Path], typer.Option(help="JSON lines as CrossNER's (repeatable).")],
    names: Annotated[list[Path], typer.Option(help="Others, for their labels (repeatable).")],
    number: Annotated[int, typer.Option(help="Sentences of each file.")] = 40,
    texts: Annotated[int, typer.Option(help="Sentences that are timed.")] = 10,
    turns: Annotated[int, typer.Option(help="Measured turns.")] = 2,
) -> None:
    """Print recall of the shortlist, and time and F1 with and without it."""
    torch.set_num_threads(1)
    cases = [case for path in data for case in read_ner(path, path.stem)[:number]]
    others = [name for path in names for name in read_ner(path, path.stem)[0].labels]
    sets = label_sets(cases, others)
    models = {"exact": GlinerMT.from_pretrained()}
    if has_bf16():
        models["bf16"] = GlinerMT.from_pretrained(precision="bf16")
    print(f"{machine_line(1)}; {len(cases)} sentences, {len(sets[1000])} labels at most\n")
    print("| labels | shortlist | recall of labels |\n|---:|---:|---:|")
    for many in NUMBERS[2:]:
        for few in SHORT:
            if few < many:
                kept = recall(models["exact"], cases, sets[many], few)
                print(f"| {len(sets[many])} | {few} | {100 * kept:.1f} |", flush=True)
    ways = [(many, few) for many in NUMBERS for few in (None, *TIMED) if not few or few < many]
    random = Random(1)
    timed = random.sample(cases, min(texts, len(cases)))
    given, gold = [case.text for case in timed], [case.spans for case in timed]
    seconds: dict[tuple[str, int, int | None], list[float]] = {}
    scores: dict[tuple[str, int, int | None], float] = {}
    for _ in range(turns):
        for many, few in ways:
            for name, model in models.items():
                start = time.process_time()
                found = extract_entities(given, sets[many], shortlist=few, model=model)
                seconds.setdefault((name, many, few), []).append(time.process_time() - start)
                scores[name, many, few] = 100 * span_f1(gold, found)
    print(f"\n| labels | shortlist |{''.join(f' {name}, ms a text | F1 |' for name in models)}")
    print("|---:|---:|" + "---:|---:|" * len(models))
    for many, few in ways:
        each = [
            f" {1000 * statistics.median(seconds[way]) / len(timed):.0f} | {scores[way]:.1f} |"
            for way in ((name, many, few) for name in models)
        ]
        print(f"| {len(sets[many])} | {few or ''} |{''.join(each)}")


if __name__ == "__main__":
    typer.run(main)
