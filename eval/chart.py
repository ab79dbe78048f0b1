"""Charts, PNG and SVG: the headline numbers with intervals; how often what scores 0.8 is right."""

from collections.abc import Sequence
from pathlib import Path

from glinermt.config import tempered
from glinermt.errors import BackendError
from glinermt.eval.calibration.choose import Calibration
from glinermt.eval.calibration.thresholds import reliability
from glinermt.eval.measure import MODEL
from glinermt.eval.report import Report

MODEL_COLOUR, BASELINE_COLOURS = "#2b6cb0", ("#a0aec0", "#cbd5e0", "#718096")


def draw_chart(reports: Sequence[Report], stem: Path) -> list[Path]:
    """Draw one panel a benchmark into ``stem.png`` and ``stem.svg``; return the two paths."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendError("a chart needs matplotlib: pip install 'glinermt[eval]'") from error
    heights = [1.2 + 0.32 * len(_bars(report)) for report in reports]
    figure = Figure(figsize=(8, sum(heights)), layout="constrained")
    panels = figure.subplots(len(reports), 1, squeeze=False, height_ratios=heights)
    for axes, report in zip(panels[:, 0], reports, strict=True):
        bars = _bars(report)[::-1]
        systems = list(dict.fromkeys(system for _, system, *_ in _bars(report)))
        for row, (_, system, value, low, high) in enumerate(bars):
            place = systems.index(system)
            colour = BASELINE_COLOURS[place % 3] if system != MODEL else MODEL_COLOUR
            axes.barh(row, value, color=colour)
            axes.plot([low, high], [row, row], color="#1a202c", linewidth=1)
            axes.annotate(f"{value:.1f}", (max(high, value) + 0.8, row), va="center", fontsize=8)
        axes.set_yticks(
            range(len(bars)), [f"{group}: {system}" for group, system, *_ in bars], fontsize=8
        )
        axes.set_xlim(0, 108)
        axes.set_title(f"{report.benchmark}: {report.headline}, % (95% interval)", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths


def _bars(report: Report) -> list[tuple[str, str, float, float, float]]:
    """Return group, system, value, low and high in per cent; a group's first metric if need be."""
    bars: list[tuple[str, str, float, float, float]] = []
    for result in report.results:
        name = report.headline if report.headline in result.metrics else next(iter(result.metrics))
        metric = result.metrics[name]
        group = result.group if name == report.headline else f"{result.group}, {name}"
        value, low, high = (100 * part for part in (metric.value, metric.low, metric.high))
        bars.append((group, result.system, value, low, high))
    return bars


def draw_reliability(calibrations: Sequence[Calibration], stem: Path) -> list[Path]:
    """Draw one panel a task into ``stem.png`` and ``stem.svg``; return the two paths."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendError("a plot needs matplotlib: pip install 'glinermt[eval]'") from error
    figure = Figure(figsize=(4 * len(calibrations), 4), layout="constrained")
    panels = figure.subplots(1, len(calibrations), squeeze=False)
    for axes, chosen in zip(panels[0], calibrations, strict=True):
        after = [(tempered(score, chosen.temperature), right) for score, right in chosen.judged]
        axes.plot([0, 1], [0, 1], color="#a0aec0", linewidth=1, linestyle="--")
        for judged, name, gap in (
            (chosen.judged, "as scored", chosen.error_before),
            (after, f"temperature {chosen.temperature:.2f}", chosen.error_after),
        ):
            bins = reliability(judged)
            scores, shares = [b[0] for b in bins], [b[1] for b in bins]
            axes.plot(scores, shares, marker="o", markersize=3, label=f"{name}, ECE {gap:.3f}")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="score", ylabel="share right", title=chosen.task)
        axes.legend(fontsize=8)
    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths
