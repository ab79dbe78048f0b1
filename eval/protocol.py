"""What a benchmark is: cases, predictions, counts of one case, and metrics of summed counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from glinermt.config import TaskSettings
from glinermt.errors import UsageError, unknown_choice
from glinermt.eval.data.hub import HubSet
from glinermt.eval.metrics.entities import FloatArray, Totals
from glinermt.types import Extractor

C = TypeVar("C")
Split = Literal["test", "validation"]
SPLITS = ("test", "validation")
Method = Literal["pairs", "labels"]
METHODS = ("pairs", "labels")
Prediction = dict[str, Any]
"""What is kept of a model's answer to one case: JSON values only."""
Baseline = Callable[[Sequence[Any]], list[Prediction | None]]
"""A predictor without a model; None for cases it has nothing to say about."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user may choose."""

    threshold: float | None = 0.5
    """Least score of an entity; None = the thresholds saved with the model."""
    miscellaneous: bool = False
    """Ask CrossNER's label ``miscellaneous``, too."""
    sets: tuple[str, ...] = ()
    """The CrossNER and MIT sets to run; empty = all seven."""
    split: Split = "test"
    """Of CNN/DailyMail."""
    method: Method | None = None
    """How relations are found; None = as the model can."""

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise UsageError(unknown_choice("split", self.split, SPLITS))
        if self.method not in (None, *METHODS):
            raise UsageError(unknown_choice("method", self.method, METHODS))


class Benchmark(Protocol[C]):
    """Pure functions over cases and predictions; only ``predict`` sees a model."""

    @property
    def name(self) -> str: ...

    @property
    def headline(self) -> str:
        """The metric the chart and the comparison lead with."""
        ...

    @property
    def protocol(self) -> tuple[str, ...]:
        """How it is measured, in sentences, for the protocol card."""
        ...

    @property
    def plain(self) -> frozenset[str]:
        """Names of extras that are no shares, so that they are not shown in per cent."""
        ...

    @property
    def averaged(self) -> bool:
        """Whether the plain mean over the groups is reported."""
        ...

    def load(self, folder: Path) -> list[C]:
        """Read all cases; each has an ``id`` and the ``group`` (table row) it belongs to."""
        ...

    def settings(self, saved: TaskSettings) -> dict[str, Any]:
        """Return every choice that changes a prediction or a score."""
        ...

    def predict(self, model: Extractor, cases: Sequence[C]) -> list[Prediction]:
        """Ask the model; one prediction a case."""
        ...

    def baselines(self) -> Mapping[str, Baseline]:
        """Return the trivial systems by name."""
        ...

    def score(
        self, case: C, prediction: Prediction, settings: Mapping[str, Any]
    ) -> dict[str, float]:
        """Count one case, under the choices of ``settings``."""
        ...

    def measure(self, totals: Totals) -> dict[str, FloatArray]:
        """Turn summed counts into metrics."""
        ...

    def extras(
        self, cases: Sequence[C], predictions: Sequence[Prediction], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what is no sum over cases: tables per label, upper bounds, rank metrics."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """How the command knows a benchmark."""

    make: Callable[[Options], Benchmark[Any]]
    hub: Callable[[Options], Mapping[str, HubSet]] | None = None
    """Its files on the Hugging Face hub, by the names they are written under."""
    own_data: bool = False
    """Whether its data is whatever folder the user has, so that ``all`` leaves it out."""
    options: tuple[str, ...] = ()
    """Which of the ``Options`` change its numbers."""
