"""The table on the screen, as JSON, as Markdown and as a chart; what it was measured on.

python speed/report.py runs/inference-*/inference.json    # one line a workload
python speed/report.py runs/inference-*/inference.json --chart docs/performance.svg
"""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from contest import (
    OURS,
    OURS_BF16,
    OURS_INT8,
    THEIR_1,
    THEIR_8,
    THEIR_BF16,
    THEIR_INT8,
    Row,
)
from rich.table import Table

PAIRS = (
    ("exact : float32, batch 1", OURS, THEIR_1),
    ("batch 8", OURS, THEIR_8),
    ("bf16 : float32, batch 1", OURS_BF16, THEIR_1),
    ("batch 8", OURS_BF16, THEIR_8),
    ("int8 : float32, batch 1", OURS_INT8, THEIR_1),
    ("batch 8", OURS_INT8, THEIR_8),
    ("bf16 : bf16", OURS_BF16, THEIR_BF16),
    ("int8 : int8", OURS_INT8, THEIR_INT8),
)
"""Columns of the summary: how many times as fast the first system is as the second."""
CHART_LABELS = 15
COLOURS = {
    "glinermt": "#2a4365", "glinermt bf16": "#2b6cb0", "glinermt int8": "#63b3ed",
    "gliner, batch 1": "#4a5568", "gliner, batch 8": "#718096",
    "gliner bf16, batch 1": "#a0aec0", "gliner int8, batch 1": "#cbd5e0",
}  # fmt: skip
COLUMNS = ("model", "labels", "texts", "system", "words/s", "glinermt is", "range", "same answers")


def machine_line(threads: int) -> str:
    """Say what was measured where, in one line."""
    cpu = platform.processor() or platform.machine()
    for line in _cpu_info():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "gliner"))
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{date.today()}; {cpu}, {capability}, {threads} thread(s); {packages}"


def table(rows: Sequence[Row], title: str) -> Table:
    """Return the rows as a table for the screen."""
    shown = Table(title=title, title_justify="left")
    for column in COLUMNS:
        shown.add_column(column, justify="right" if column in COLUMNS[4:7] else "left")
    for row in rows:
        style = "bold" if row.system == OURS else None
        shown.add_row(*_cells(row), style=style)
    return shown


def write(rows: Sequence[Row], folder: Path, title: str) -> None:
    """Write ``inference.json`` and ``inference.md`` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {"machine": title, "rows": [asdict(row) for row in rows]}
    (folder / "inference.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    lines = [f"| {' | '.join(COLUMNS)} |", "|---|---|---|---|---:|---:|---:|---|"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    text = f"{title}\n\n" + "\n".join(lines) + "\n"
    (folder / "inference.md").write_text(text, encoding="utf-8")


def summary(rows: Sequence[Row]) -> str:
    """Return one line a workload: our speed, and how many times theirs it is."""
    lines = [
        f"| model | labels | texts | words/s | {' | '.join(title for title, _, _ in PAIRS)} |",
        "|---|---:|---|---:|" + "---:|" * len(PAIRS),
    ]
    groups: dict[tuple[str, int, str], dict[str, Row]] = {}
    for row in rows:
        groups.setdefault((row.model, row.labels, row.workload), {})[row.system] = row
    for (model, labels, workload), by_system in groups.items():
        ratios = [
            f"{by_system[b].cpu_ratio / by_system[a].cpu_ratio:.1f}"
            if {a, b} <= by_system.keys()
            else ""
            for _, a, b in PAIRS
        ]
        speed = by_system[OURS].words / by_system[OURS].cpu_seconds
        cells = [model, str(labels), workload, f"{speed:,.0f}", *ratios]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(row: Row) -> list[str]:
    faster, span = f"{row.cpu_ratio:.2f}x", f"{row.cpu_ratio_low:.2f}-{row.cpu_ratio_high:.2f}"
    return [
        row.model, str(row.labels), row.workload, row.system, f"{row.words / row.cpu_seconds:,.0f}",
        "" if row.system == OURS else faster, "" if row.system == OURS else span,
        {None: "rounded", True: "yes", False: "NO"}[row.same_answers],
    ]  # fmt: skip


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def chart(rows: Sequence[Row], out: Path) -> None:
    """Draw words a second of CPU time with 15 labels, one panel a model."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.labels == CHART_LABELS]
    models = list(dict.fromkeys(row.model for row in rows))
    figure = Figure(figsize=(4 * len(models), 3.4), layout="constrained")
    for axes, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
        _draw(axes, [row for row in rows if row.model == model])
        axes.set_title(f"{model}, {CHART_LABELS} labels", fontsize=9)
    figure.supylabel("words per second of CPU time", fontsize=8)
    names = {bars.get_label(): bars for bars in figure.axes[0].containers}
    figure.legend(names.values(), names, loc="outside lower center", ncols=4, fontsize=7)
    figure.savefig(out, dpi=120, metadata={"Date": None} if out.suffix == ".svg" else None)


def _draw(axes: Any, rows: Sequence[Row]) -> None:
    """Draw a group of bars a workload, a bar a system."""
    workloads = list(dict.fromkeys(row.workload for row in rows))
    width = 0.8 / len(COLOURS)
    for place, (system, colour) in enumerate(COLOURS.items()):
        mine = [row for row in rows if row.system == system]
        x = [workloads.index(row.workload) + place * width for row in mine]
        heights = [row.words / row.cpu_seconds for row in mine]
        axes.bar(x, heights, width, color=colour, label=system)
    axes.set_xticks([i + 0.32 for i in range(len(workloads))], workloads, fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def main(
    results: Annotated[list[Path], typer.Argument(help="JSON files of inference.py.")],
    draw: Annotated[Path | None, typer.Option("--chart", help="Image to write.")] = None,
) -> None:
    """Print the summary of what was measured, or draw it."""
    measured = [json.loads(path.read_text(encoding="utf-8")) for path in results]
    rows = [[Row(**row) for row in each["rows"]] for each in measured]
    if draw is not None:
        chart([row for each in rows for row in each], draw)
        return
    for each, mine in zip(measured, rows, strict=True):
        print(f"{each['machine']}\n\n{summary(mine)}\n")


if __name__ == "__main__":
    typer.run(main)
