"""The reliability plot: how often what scores 0.8 is right."""

from collections.abc import Sequence
from pathlib import Path

from glinermt.config import tempered
from glinermt.errors import BackendError
from glinermt.eval.calibration.choose import Calibration
from glinermt.eval.calibration.thresholds import reliability


def draw_reliability(calibrations: Sequence[Calibration], stem: Path) -> list[Path]:
    """Draw one panel a task into ``stem.png`` and ``stem.svg``; give the two paths."""
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
