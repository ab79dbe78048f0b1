"""The table on the screen, as JSON and as Markdown; what it was measured on.

python speed/report.py runs/inference-*/inference.json    # one line a workload
"""

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch
from rich.table import Table
from turns import (
    OURS,
    OURS_BF16,
    OURS_INT8,
    THEIR_1,
    THEIR_8,
    THEIR_BF16,
    THEIR_INT8,
    Row,
)

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


if __name__ == "__main__":
    for name in sys.argv[1:]:
        results = json.loads(Path(name).read_text(encoding="utf-8"))
        print(f"{results['machine']}\n\n{summary([Row(**row) for row in results['rows']])}\n")
