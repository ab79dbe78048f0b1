"""How many annotated sentences each strategy of ``suggest`` needs for the same F1, by simulation.

``python -m glinermt.training.shipped.annotation_curves --data-root DATA --out DIR``: the train
sentences of a CrossNER domain are the pool, their gold stands for the annotator. All strategies
begin with the same random sentences; at every size the shipped model is fine-tuned afresh on what
is annotated so far, and scored on dev sentences. ``random`` is what they are compared with. Run
again with the same options, it goes on after the strategies that are done.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from glinermt.errors import DataError
from glinermt.eval.metrics.entities import span_f1
from glinermt.exits import run_script
from glinermt.jsonl import write_text
from glinermt.model import GlinerMT
from glinermt.tasks.active_learning import STRATEGIES, By, suggest
from glinermt.training.adapt.fine_tuning import Tuning, fine_tune
from glinermt.training.config import Optim
from glinermt.training.dev_scores import predict
from glinermt.training.shipped.domains import read_domain
from glinermt.types import Example

RANDOM = "random"
RESULT = "annotation_curves.json"


@dataclass(frozen=True, slots=True)
class Point:
    """What a strategy had reached at a size."""

    strategy: str
    seed: int
    sentences: int
    spans: int
    """Entities annotated in these sentences: what they cost an annotator besides reading."""
    f1: float


def simulate(
    pool: Sequence[Example],
    dev: Sequence[Example],
    *,
    strategies: Sequence[str],
    sizes: Sequence[int],
    seed: int,
    steps: int,
    tuning: Tuning,
) -> Iterator[list[Point]]:
    """Yield the points of each strategy; those of the first size are the same."""
    if not strategies:
        return
    first = random.Random(seed).sample(range(len(pool)), sizes[0])
    begin = _point(RANDOM, seed, pool, first, dev, steps, tuning)
    for strategy in strategies:
        model, taken = begin[1], list(first)
        points = [replace(begin[0], strategy=strategy)]
        for size in sizes[1:]:
            taken += _next(strategy, pool, taken, size - len(taken), model, seed)
            point, model = _point(strategy, seed, pool, taken, dev, steps, tuning)
            points.append(point)
        yield points


def _next(
    strategy: str, pool: Sequence[Example], taken: Sequence[int], n: int, model: GlinerMT, seed: int
) -> list[int]:
    left = [i for i in range(len(pool)) if i not in set(taken)]
    if strategy == RANDOM:
        return random.Random(f"{seed}:{len(taken)}").sample(left, n)
    texts = [pool[i].query.text for i in left]
    found = suggest(texts, pool[0].query.labels, by=cast(By, strategy), n=n, model=model)
    return [left[one.index] for one in found]


def _point(
    strategy: str,
    seed: int,
    pool: Sequence[Example],
    taken: Sequence[int],
    dev: Sequence[Example],
    steps: int,
    tuning: Tuning,
) -> tuple[Point, GlinerMT]:
    rows = [pool[i] for i in taken]
    model = GlinerMT.from_pretrained()
    fine_tune(model, rows, steps=steps, tuning=tuning)
    f1 = span_f1([row.spans for row in dev], predict(model, dev))
    spans = sum(len(row.spans) for row in rows)
    return Point(strategy, seed, len(rows), spans, f1), model


def needed(points: Sequence[Point], f1: float) -> float | None:
    """Return the sentences after which a strategy's mean curve reaches ``f1``, between its points.

    None where it does not reach it.
    """
    curve = mean_curve(points)
    for (size, score), (following, higher) in pairwise(curve):
        if score >= f1:
            return size
        if higher >= f1:
            return size + (following - size) * (f1 - score) / (higher - score)
    return float(curve[-1][0]) if curve[-1][1] >= f1 else None


def mean_curve(points: Sequence[Point]) -> list[tuple[int, float]]:
    """Return (sentences, mean F1 over seeds) by size."""
    sizes = sorted({point.sentences for point in points})
    return [
        (size, sum(scores) / len(scores))
        for size in sizes
        for scores in [[point.f1 for point in points if point.sentences == size]]
    ]


def report(points: Sequence[Point], start: float) -> str:
    """Return a Markdown table; F1 in percent."""
    curves = _curves(points)
    sizes = sorted({point.sentences for point in points})
    goals = [score for _, score in mean_curve(curves[RANDOM])[1:]]
    heads = [*(f"F1 at {size}" for size in sizes), f"entities in {sizes[-1]}"]
    heads += [f"sentences for {100 * goal:.1f}" for goal in goals]
    lines = [f"Without fine-tuning: F1 {100 * start:.1f}.", ""]
    lines += [f"| strategy | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name, own in curves.items():
        last = [point.spans for point in own if point.sentences == sizes[-1]]
        scores = dict(mean_curve(own))
        cells = [f"{100 * scores[size]:.1f}" if size in scores else "" for size in sizes]
        cells.append(f"{sum(last) / len(last):.0f}" if last else "")
        for goal in goals:
            number = needed(own, goal)
            cells.append("not reached" if number is None else f"{number:.0f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(points: Sequence[Point], path: Path, title: str) -> None:
    """Draw the mean curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 4), layout="constrained")
    for name, own in _curves(points).items():
        curve = mean_curve(own)
        style = {"linestyle": "--", "color": "black"} if name == RANDOM else {}
        axes.plot(*zip(*curve, strict=True), marker="o", label=name, **style)  # type: ignore[arg-type]
    axes.set(xlabel="annotated sentences", ylabel="strict F1 on dev", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main(
    data_root: Annotated[Path, typer.Option(help="Folder that holds eval/ner/crossner_*.")],
    out: Annotated[Path, typer.Option(help="Folder for annotation_curves.md, .json and .svg.")],
    domain: Annotated[str, typer.Option(help="Of CrossNER.")] = "politics",
    strategies: Annotated[
        str, typer.Option(help="Strategies, separated by commas; random comes first.")
    ] = ",".join(STRATEGIES),
    sizes: Annotated[str, typer.Option(help="Annotated sentences, ascending.")] = "10,20,40,80",
    seeds: Annotated[str, typer.Option(help="Of the first draw, separated by commas.")] = "1",
    steps: Annotated[int, typer.Option(help="Steps of each fine-tuning.")] = 40,
    limit: Annotated[int, typer.Option(help="Dev sentences; 0 = all.")] = 100,
    rate: Annotated[float, typer.Option(help="Learning rate of all but the encoder.")] = 3e-4,
    whole: Annotated[bool, typer.Option("--whole", help="Train the encoder, too.")] = False,
) -> None:
    """Simulate, and write what came out after each point."""
    pool = read_domain(data_root, domain, "train")
    dev = read_domain(data_root, domain, "dev", limit=limit)
    all_sizes = [int(size) for size in sizes.split(",")]
    how: dict[str, Any] = {
        "domain": domain, "sizes": all_sizes, "steps": steps, "limit": limit, "rate": rate,
        "whole": whole,
    }  # fmt: skip
    start, points = _done(out / RESULT, how)
    if start is None:
        start = span_f1([row.spans for row in dev], predict(GlinerMT.from_pretrained(), dev))
    typer.echo(f"{len(pool)} sentences in the pool; the model as it is: F1 {start:.3f}")
    for seed in map(int, seeds.split(",")):
        done = {point.strategy for point in points if point.seed == seed}
        found = simulate(
            pool,
            dev,
            strategies=[s for s in (RANDOM, *strategies.split(",")) if s not in done],
            sizes=all_sizes,
            seed=seed,
            steps=steps,
            tuning=Tuning(
                head_only=not whole,
                replay_share=0.0,
                optim=Optim(encoder_lr=1e-5, other_lr=rate, warmup=0.1),
            ),
        )
        for own in found:
            for point in own:
                typer.echo(f"seed {seed} {point.strategy:13} {point.sentences:4} F1 {point.f1:.3f}")
            points += own
            _write(out, points, start, how)
    typer.echo(report(points, start))


def _done(path: Path, how: Mapping[str, Any]) -> tuple[float | None, list[Point]]:
    """Return the score of the start and the points that are there, made under the same options.

    Raises:
        DataError: they were made under others.
    """
    if not path.exists():
        return None, []
    data = json.loads(path.read_text(encoding="utf-8"))
    if data["how"] != how:
        raise DataError(f"{path}: made with {data['how']}, not {how}; choose another --out")
    return data["start"], [Point(**point) for point in data["points"]]


def _curves(points: Sequence[Point]) -> dict[str, list[Point]]:
    curves: dict[str, list[Point]] = {}
    for point in points:
        curves.setdefault(point.strategy, []).append(point)
    return curves


def _write(out: Path, points: Sequence[Point], start: float, how: Mapping[str, Any]) -> None:
    data = {"how": how, "start": start, "points": [asdict(point) for point in points]}
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / RESULT, json.dumps(data, indent=1) + "\n")
    write_text(out / "annotation_curves.md", report(points, start))
    draw(points, out / "annotation_curves.svg", f"CrossNER {how['domain']}")


if __name__ == "__main__":
    run_script(main)
