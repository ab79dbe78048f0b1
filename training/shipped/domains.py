"""How well a model moves to new domains: few examples of each, and none at all (self-training).

``python -m glinermt.training.shipped.domains --model M --data-root DATA --out DIR`` on CrossNER: 50
labelled train sentences a domain for the first table, the train sentences without their labels
for the second. Dev files pick the weights of self-training; all scores are on test files.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from glinermt.eval.metrics.entities import span_f1
from glinermt.exits import run_script
from glinermt.training.adapt.fine_tuning import fine_tune
from glinermt.training.adapt.self_training import SelfTraining, self_train
from glinermt.training.config import Source
from glinermt.training.dev_scores import entity_examples
from glinermt.types import Example

DOMAINS = ("ai", "literature", "music", "politics", "science")
PATH = "eval/ner/crossner_{domain}.{split}.jsonl.xz"


@dataclass(frozen=True, slots=True)
class Moved:
    """What a model was on its domain, became there, and is on the other domains."""

    domain: str
    before: float
    after: float
    others_before: float
    others_after: float
    note: str = ""


def read_domain(root: Path, domain: str, split: str, *, limit: int = 0) -> list[Example]:
    """Read a split of a CrossNER domain; all of its labels are asked everywhere."""
    path = PATH.format(domain=domain, split=split)
    source = Source(path, "ner", exclude_labels=("miscellaneous",))
    return entity_examples(source, root, limit=limit)


def few_shot(load: Any, root: Path, *, number: int, steps: int, limit: int) -> list[Moved]:
    """Fine-tune a fresh model on the first ``number`` train sentences of each domain."""
    tests = {name: read_domain(root, name, "test", limit=limit) for name in DOMAINS}
    start = {name: _score(load(), tests[name]) for name in DOMAINS}
    moved = []
    for domain in DOMAINS:
        model = load()
        fine_tune(model, read_domain(root, domain, "train", limit=number), steps=steps)
        moved.append(_moved(domain, start, model, tests))
    return moved


def self_trained(load: Any, root: Path, *, settings: SelfTraining, limit: int) -> list[Moved]:
    """Self-train a fresh model on the unlabelled train sentences of each domain."""
    tests = {name: read_domain(root, name, "test", limit=limit) for name in DOMAINS}
    start = {name: _score(load(), tests[name]) for name in DOMAINS}
    moved = []
    for domain in DOMAINS:
        model = load()
        train = read_domain(root, domain, "train")
        report = self_train(
            model,
            [example.query.text for example in train],
            train[0].query.labels,
            dev=read_domain(root, domain, "dev", limit=limit),
            settings=settings,
        )
        note = f"{report.num_examples} texts, {report.steps} steps"
        note += ", refused" if report.refused else ""
        moved.append(_moved(domain, start, model, tests, note))
    return moved


def table(title: str, rows: Sequence[Moved]) -> str:
    """Return a Markdown table; F1 in percent."""
    lines = [
        f"### {title}",
        "| domain | before | after | other domains before | after | |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = (row.before, row.after, row.others_before, row.others_after)
        cells = " | ".join(f"{100 * number:.1f}" for number in numbers)
        lines.append(f"| {row.domain} | {cells} | {row.note} |")
    return "\n".join(lines) + "\n"


def main(
    model: Annotated[str, typer.Option(help="Folder or hub id.")],
    data_root: Annotated[Path, typer.Option(help="Folder that holds eval/ner/crossner_*.")],
    out: Annotated[Path, typer.Option(help="Folder for domains.md and domains.json.")],
    number: Annotated[int, typer.Option(help="Labelled sentences a domain.")] = 50,
    steps: Annotated[int, typer.Option(help="Steps of fine-tuning.")] = 100,
    self_steps: Annotated[int, typer.Option(help="Steps of self-training.")] = 500,
    threshold: Annotated[float, typer.Option(help="Score from which a span is trusted.")] = 0.6,
    limit: Annotated[int, typer.Option(help="Test sentences a domain; 0 = all.")] = 0,
) -> None:
    """Write both tables."""
    from glinermt.model import GlinerMT

    def load() -> GlinerMT:
        return GlinerMT.from_pretrained(model)

    settings = SelfTraining(steps=self_steps, threshold=threshold)
    results = {
        f"{number} labelled sentences": few_shot(
            load, data_root, number=number, steps=steps, limit=limit
        ),
        "Self-training": self_trained(load, data_root, settings=settings, limit=limit),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(table(title, rows) for title, rows in results.items())
    (out / "domains.md").write_text(text, encoding="utf-8")
    data = {title: [asdict(row) for row in rows] for title, rows in results.items()}
    (out / "domains.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    typer.echo(text)


def _score(model: Any, examples: Sequence[Example]) -> float:
    return span_f1([e.spans for e in examples], model.extract([e.query for e in examples]))


def _moved(
    domain: str,
    start: dict[str, float],
    model: Any,
    tests: dict[str, list[Example]],
    note: str = "",
) -> Moved:
    after = {name: _score(model, tests[name]) for name in DOMAINS}
    others = [name for name in DOMAINS if name != domain]
    before, now = (sum(scores[name] for name in others) / len(others) for scores in (start, after))
    return Moved(domain, start[domain], after[domain], before, now, note)


if __name__ == "__main__":
    run_script(main)
