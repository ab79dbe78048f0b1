"""The training loop: one stage, from a stream of batches to a trained model, until it stops."""

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from glinermt.errors import UsageError
from glinermt.training.config import TrainConfig
from glinermt.training.data.batching import Batches
from glinermt.training.run.checkpointing import save_model, save_state
from glinermt.training.run.metrics_log import Bar, Journal, Meter, Trackers
from glinermt.training.run.processes import Processes
from glinermt.training.run.stepper import Stepper, Trainable

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PARTS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
Score = Callable[[Trainable], dict[str, float]]
"""Model -> dev scores by name."""


class Stop:
    """Asked after every step whether to go on.

    Args:
        after: seconds from now, None = no limit.
    """

    def __init__(self, after: float | None = None) -> None:
        self.signal: int | None = None
        """The signal that asked, None where none did."""
        self.early = False
        """Whether a run has ended before its end because of this."""
        self._end = None if after is None else time.monotonic() + after

    @property
    def asked(self) -> bool:
        late = self._end is not None and time.monotonic() >= self._end
        return self.signal is not None or late

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take the first SIGINT or SIGTERM as asking; a second one acts as it did before.

        Only Python's main thread may have signals; in another one nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        found = {number: signal.getsignal(number) for number in SIGNALS}
        before = {number: handler for number, handler in found.items() if handler is not None}

        def ask(number: int, _: FrameType | None) -> None:
            self.signal = number
            signal.signal(number, before[signal.Signals(number)])

        for number in before:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def parse_duration(text: str) -> float:
    """Return the seconds of ``25m``, ``1h30m``, ``90s`` or ``90``.

    Raises:
        ValueError: it is written in another way, or is no time at all.
    """
    found = _PARTS.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in (found.groups() if found else (0, 0, 0)))
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise UsageError(f"{text!r} is no length of time: write 25m, 1h30m or 90s")
    return float(total)


@dataclass
class Progress:
    """Where a run stands; saved with every checkpoint."""

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    started: float = field(default_factory=time.monotonic, repr=False)

    def elapsed(self) -> float:
        """Seconds spent in this stage, earlier parts of a resumed run included."""
        return self.seconds + time.monotonic() - self.started

    def to_dict(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "step": self.step,
            "seconds": self.elapsed(),
            "best": self.best,
        }


class StageRun:
    """One stage in the doing.

    Args:
        config: the whole run's configuration.
        model: trained in place.
        batches: where the data comes from.
        processes: where it is trained.
        progress: where to begin; ``state`` then holds the rest of the checkpoint.
        score: gives dev scores; the mean decides which model is the best.
        stop: asked after every step whether to save and leave.
        trackers: told what the journal is told.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: Trainable,
        batches: Batches,
        *,
        processes: Processes,
        progress: Progress,
        state: dict[str, Any] | None = None,
        score: Score | None = None,
        stop: Stop | None = None,
        trackers: Trackers | None = None,
    ) -> None:
        self.config = config
        self.stage = config.stages[progress.stage]
        self.output = Path(config.output)
        self.model = model
        self.progress = progress
        self._batches = batches
        self._processes = processes
        self._score = score
        self._stop = stop or Stop()
        self._trackers = trackers
        if state is not None:
            model.load_state_dict(state["model"])
        self._stepper = Stepper(
            model,
            processes,
            loss=self.stage.loss,
            optim=self.stage.optim,
            seed=config.seed,
            steps=self.stage.steps,
            pad_multiple=config.pad_multiple,
            sentences=self.stage.sentences,
        )
        batches.ready = self._stepper.ready
        if state is not None:
            self._stepper.optimizer.load_state_dict(state["optimizer"])
            batches.restore(state["batches"])

    def run(self) -> bool:
        """Train to the end of the stage; False where it was stopped before."""
        main = self._processes.index == 0
        journal = None
        if main:
            journal = Journal(self.output, stage=self.stage.name, step=self.progress.step)
        meter = Meter()
        self.model.train()
        done, stopped = self._agreed()
        with Bar(self.stage.name, shown=main) as bar:
            while done < 1.0 and not stopped:
                norm = self._step(done, meter)
                done, stopped = self._agreed()
                if self.progress.step % self.config.log_every == 0:
                    values = {**meter.read(), **self._stepper.rates(), "gradient_norm": norm}
                    bar.show_values(done, self.progress.step, values)
                    self._record(journal, {**values, **self._clock()})
                if self._score and self.progress.step % self.config.dev.every == 0 and done < 1.0:
                    self._dev(journal)
                if self.progress.step % self.config.save_every == 0:
                    self.save()
        self._batches.close()
        if done >= 1.0:
            self._dev(journal)
        self.save()
        return done >= 1.0

    def save(self) -> None:
        """Write the checkpoint and the model as it is now."""
        if self._processes.index:
            return
        save_state(
            self.output,
            {
                "progress": self.progress.to_dict(),
                "model": self.model.state_dict(),
                "optimizer": self._stepper.optimizer.state_dict(),
                "batches": self._batches.state(),
            },
        )
        save_model(self.model, self.output / "last")

    def _agreed(self) -> tuple[float, bool]:
        """Share of the stage that is over, and whether to stop: the same in every process."""
        stage, progress = self.stage, self.progress
        minutes, asked = progress.elapsed() / 60, self._stop.asked
        total, votes = self._processes.sums([minutes, float(asked)])
        minutes = total / self._processes.number
        steps = progress.step / stage.steps
        over = minutes / stage.max_minutes if stage.max_minutes else 0.0
        return (max(steps, over) if stage.clock == "time" or over >= 1.0 else steps), votes > 0

    def _step(self, done: float, meter: Meter) -> float:
        number = self._processes.number * self.stage.accumulate
        norm = self._stepper.step(
            self._batches.take(number), number=self.progress.step, progress=done, meter=meter
        )
        self.progress.step += 1
        return norm

    def _clock(self) -> dict[str, float]:
        minutes, processes = self.progress.elapsed() / 60, self._processes.number
        return {"minutes": minutes, "processes": processes}

    def _dev(self, journal: Journal | None) -> None:
        """Score on the main process; keep the model where it is the best so far."""
        if self._score and journal:
            known = journal.dev_score(self.progress.step)
            mean = self._scored(journal, self._score) if known is None else known
            self.progress.best = max(mean, self.progress.best)
        self._processes.wait()

    def _scored(self, journal: Journal, score: Score) -> float:
        self.model.eval()
        scores = score(self.model)
        self.model.train()
        mean = sum(scores.values()) / len(scores)
        if mean > self.progress.best:
            save_model(self.model, self.output / "best")
        named = {f"dev_{name}": value for name, value in scores.items()}
        self._record(journal, {**named, "dev": mean})
        return mean

    def _record(self, journal: Journal | None, values: Mapping[str, float]) -> None:
        if journal:
            journal.write(self.progress.step, values)
        named = {f"{self.stage.name}/{name}": value for name, value in values.items()}
        if self._trackers:
            self._trackers.log(named, step=self.progress.step)
