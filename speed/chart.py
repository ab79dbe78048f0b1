"""Draws what ``inference.py`` measured.

python speed/chart.py docs/performance.svg runs/inference-*/inference.json
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from matplotlib.figure import Figure

LABELS = 15
COLOURS = {
    "glinermt": "#2a4365", "glinermt bf16": "#2b6cb0", "glinermt int8": "#63b3ed",
    "gliner, batch 1": "#4a5568", "gliner, batch 8": "#718096",
    "gliner bf16, batch 1": "#a0aec0", "gliner int8, batch 1": "#cbd5e0",
}  # fmt: skip


def main(
    out: Annotated[Path, typer.Argument(help="Image to write; the ending says which kind.")],
    results: Annotated[list[Path], typer.Argument(help="JSON files of inference.py.")],
) -> None:
    """Draw words a second of CPU time with 15 labels, one panel a model."""
    rows = [row for path in results for row in json.loads(path.read_text("utf-8"))["rows"]]
    rows = [row for row in rows if row["labels"] == LABELS]
    models = list(dict.fromkeys(row["model"] for row in rows))
    figure = Figure(figsize=(4 * len(models), 3.4), layout="constrained")
    for axes, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
        draw(axes, [row for row in rows if row["model"] == model])
        axes.set_title(f"{model}, {LABELS} labels", fontsize=9)
    figure.supylabel("words per second of CPU time", fontsize=8)
    names = {bars.get_label(): bars for bars in figure.axes[0].containers}
    figure.legend(names.values(), names, loc="outside lower center", ncols=4, fontsize=7)
    figure.savefig(out, dpi=120, metadata={"Date": None} if out.suffix == ".svg" else None)


def draw(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Draw a group of bars a workload, a bar a system."""
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    width = 0.8 / len(COLOURS)
    for place, (system, colour) in enumerate(COLOURS.items()):
        mine = [row for row in rows if row["system"] == system]
        x = [workloads.index(row["workload"]) + place * width for row in mine]
        heights = [row["words"] / row["cpu_seconds"] for row in mine]
        axes.bar(x, heights, width, color=colour, label=system)
    axes.set_xticks([i + 0.32 for i in range(len(workloads))], workloads, fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    typer.run(main)
