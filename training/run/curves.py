"""Draws the curves of a run from its ``metrics.jsonl``."""

from collections import defaultdict
from pathlib import Path

from glinermt.training.run.metrics_log import read_journal

Series = dict[str, list[tuple[int, float]]]


def draw_curves(output: Path) -> Path:
    """Write ``curves.png``: losses by group above, dev scores and the rates below.

    Stages follow each other on one axis of steps.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series = _series(output)
    panels = [
        ("loss", [name for name in series if name.startswith("loss")]),
        ("dev F1", [name for name in series if name.startswith("dev")]),
        ("learning rate", [name for name in series if name.endswith("_lr")]),
    ]
    figure = Figure(figsize=(8, 9), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, names) in zip(figure.subplots(3, 1, sharex=True), panels, strict=True):
        for name in sorted(names):
            steps, values = zip(*series[name], strict=True)
            axes.plot(steps, values, label=name, marker="." if len(steps) < 30 else "")
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
        if names:
            axes.legend(fontsize="small")
    axes.set_xlabel("step")
    path = output / "curves.png"
    figure.savefig(path, dpi=120)
    return path


def _series(output: Path) -> Series:
    series: Series = defaultdict(list)
    before, last, stage = 0, 0, None
    for record in read_journal(output):
        if record["stage"] != stage:
            before, stage = before + last, record["stage"]
        last = record["step"]
        for name, value in record.items():
            if isinstance(value, float):
                series[name].append((before + last, value))
    return series
