"""Tells how training goes: a bar, ``metrics.jsonl`` in the output, trackers, curves."""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich import get_console
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from glinermt.console import Milestones
from glinermt.errors import BackendError, ConfigError
from glinermt.jsonl import write_jsonl

JOURNAL, CURVES = "metrics.jsonl", "curves.png"


class Meter:
    """Means over the steps since it was last read."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._tokens = 0
        self._examples = 0
        self._since = time.monotonic()

    def add(self, group: str, loss: float) -> None:
        for name in ("loss", f"loss_{group}"):
            self._sums[name] += loss
            self._counts[name] += 1
        self._examples += 1

    def add_part(self, name: str, loss: float) -> None:
        """Note a loss of a whole batch, besides those of its examples."""
        self._sums[f"loss_{name}"] += loss
        self._counts[f"loss_{name}"] += 1

    def add_tokens(self, number: int) -> None:
        self._tokens += number

    def read(self) -> dict[str, float]:
        """Return the mean loss, that of each group, tokens and examples a second; start anew."""
        seconds = max(1e-9, time.monotonic() - self._since)
        means = {name: self._sums[name] / self._counts[name] for name in sorted(self._sums)}
        means["tokens_per_s"] = self._tokens / seconds
        means["examples_per_s"] = self._examples / seconds
        self.__init__()  # type: ignore[misc]  # all of its state is what __init__ sets
        return means


class Journal:
    """Appends records to ``metrics.jsonl``; a resumed run first drops what it will do again."""

    def __init__(self, output: Path, *, stage: str, step: int) -> None:
        output.mkdir(parents=True, exist_ok=True)
        self._path = output / JOURNAL
        self._stage = stage
        self._dev: dict[int, float] = {}
        kept = [r for r in read_journal(output) if r["stage"] != stage or r["step"] <= step]
        write_jsonl(self._path, kept)
        for record in kept:
            if record["stage"] == stage and "dev" in record:
                self._dev[record["step"]] = record["dev"]

    def dev_score(self, step: int) -> float | None:
        """Return the score that a run before this one has written down for the step."""
        return self._dev.get(step)

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"stage": self._stage, "step": step, **rounded}) + "\n")


def read_journal(output: Path) -> list[dict[str, Any]]:
    """Read the records of ``metrics.jsonl``; a line that a kill cut short is left out."""
    path = output / JOURNAL
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


class Trackers:
    """Accelerate's trackers by name, such as ``tensorboard`` or ``wandb``, below ``output``.

    Raises:
        BackendError: accelerate is not installed.
        ConfigError: there is no tracker of a name, or its package is not installed.
    """

    def __init__(self, names: Sequence[str], output: Path) -> None:
        self._trackers: list[Any] = []
        if not names:
            return
        try:
            from accelerate import tracking  # type: ignore[import-untyped]  # ships no types
        except ImportError as error:
            raise BackendError(
                "trackers need accelerate: pip install 'glinermt[training]', or set trackers = []"
            ) from error
        try:
            found = tracking.filter_trackers(list(names), str(output))
        except ValueError as error:
            raise ConfigError(f"trackers: {error}") from error
        known = set(map(str, found))
        if missing := [name for name in names if name not in known and name != "all"]:
            raise ConfigError(f"trackers: the packages of {missing} are not installed")
        for name in sorted(known):
            kind = tracking.LOGGER_TYPE_TO_CLASS[name]
            folder = (str(output),) if kind.requires_logging_directory else ()
            tracker = kind("trackers", *folder)
            tracker.start()
            self._trackers.append(tracker)

    def log(self, values: Mapping[str, float], step: int) -> None:
        for tracker in self._trackers:
            tracker.log(dict(values), step=step)

    def close(self) -> None:
        for tracker in self._trackers:
            tracker.finish()


class Bar:
    """A progress bar over the steps or minutes of a training.

    Where no bar can be drawn it prints lines.
    """

    def __init__(self, job: str, *, shown: bool = True, console: Console | None = None) -> None:
        console = console or get_console()
        self._lines = Milestones(console, job)
        self._shown = shown
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:.1f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            disable=not shown or self._lines.wanted,
        )
        self._task = self._progress.add_task(job, total=1.0, text="")

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show_values(self, progress: float, step: int, values: Mapping[str, float]) -> None:
        """Show loss per group and the rates."""
        parts = [f"step {step}"]
        for name, value in values.items():
            if name.startswith("loss"):
                parts.append(f"{name.removeprefix('loss_')} {value:.3g}")
        parts.append(f"lr {values['encoder_lr']:.2g}")
        parts.append(f"{values['tokens_per_s']:.0f} tokens/s")
        self.show(progress, " ".join(parts))

    def show(self, progress: float, text: str) -> None:
        self._progress.update(self._task, completed=progress, text=text)
        if self._shown:
            self._lines.show(progress, text)


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
    path = output / CURVES
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
