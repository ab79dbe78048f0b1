"""How a fine-tuning is watched: callbacks, scores on the way, and the weights that are kept."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from glinermt.training.adapt.adapters import drop_lora
from glinermt.training.run.stepper import Trainable

Score = Callable[[Trainable], float]
"""Model -> dev score; higher is better."""


@dataclass(frozen=True, slots=True)
class TuningReport:
    """What fine-tuning did."""

    steps: int
    """Optimiser steps made."""
    scores: tuple[tuple[int, float], ...]
    """``(step, dev score)``; step 0 is the model before. Empty without a dev set."""
    best_step: int
    """The step whose weights the model now has; without a dev set the last."""
    losses: tuple[tuple[int, float], ...] = ()
    """``(step, mean loss of an example)`` over the steps since the entry before."""


class Callback:
    """Watches a fine-tuning and may end it. Override what is wanted; a true result ends it."""

    def on_step(self, step: int, loss: float) -> bool | None:
        """Look at the mean loss of a step's examples; ``step`` counts from 1."""

    def on_score(self, step: int, score: float) -> bool | None:
        """Look at a dev score; that of step 0 is the model's before."""

    def on_end(self, report: TuningReport) -> None:
        """Look at the whole; the model has its last weights."""


@contextmanager
def unharmed(model: Trainable) -> Iterator[None]:
    """Put weights, modes, frozen parameters and device back where the block fails.

    What trains and what is frozen is the caller's in any case.
    """
    weights = copy.deepcopy(model.state_dict())
    modes = [(module, module.training) for module in model.modules()]
    frozen = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    except BaseException:
        drop_lora(model)
        model.load_state_dict(weights)
        for module, mode in modes:
            module.training = mode
        raise
    finally:
        for parameter, trains in frozen:
            parameter.requires_grad_(trains)
            parameter.grad = None


class BestWeights:
    """Scores a model now and then, remembers its best weights, and says when it is enough."""

    def __init__(
        self,
        model: Trainable,
        score: Score | None,
        patience: int,
        callbacks: Sequence[Callback],
    ) -> None:
        self.scores: list[tuple[int, float]] = []
        self.done = False
        self._model = model
        self._score = score
        self._patience = patience
        self._callbacks = callbacks
        self._best: tuple[float, int, dict[str, Any]] | None = None
        self._since = 0

    def stepped(self, step: int, loss: float) -> None:
        ends = [callback.on_step(step, loss) for callback in self._callbacks]
        self.done = self.done or any(ends)

    def look(self, step: int) -> None:
        if self._score is None:
            return
        self._model.eval()
        score = self._score(self._model)
        self.scores.append((step, score))
        self._since += 1
        if self._best is None or score > self._best[0]:
            self._best = score, step, copy.deepcopy(self._model.state_dict())
            self._since = 0
        ends = [callback.on_score(step, score) for callback in self._callbacks]
        self.done = self.done or any(ends) or 0 < self._patience <= self._since

    def restore(self, step: int) -> int:
        """Put the best weights back; return the step they are from."""
        if self._best is None:
            return step
        self._model.load_state_dict(self._best[2])
        return self._best[1]
