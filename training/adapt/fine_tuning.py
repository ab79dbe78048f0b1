"""Fine-tunes a model on a handful of examples."""

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike

from glinermt.config import check_count, from_mapping
from glinermt.errors import UsageError
from glinermt.eval.metrics.entities import span_f1
from glinermt.examples import checked_examples
from glinermt.tasks import TASKS
from glinermt.tasks.task import reworded
from glinermt.training.adapt.adapters import merge_lora, with_lora
from glinermt.training.adapt.watching import BestWeights, Callback, Score, TuningReport, unharmed
from glinermt.training.config import FromOne, FromZero, Loss, Optim, Sampling, Share, Source
from glinermt.training.data.batching import Batches, Taken
from glinermt.training.data.hard_examples import false_positives, repeated
from glinermt.training.data.mixture import Feed, Mixture
from glinermt.training.data.sampling import Sampler, make_sampler, shuffled
from glinermt.training.dev_scores import predict
from glinermt.training.run.frozen import freeze
from glinermt.training.run.metrics_log import Meter
from glinermt.training.run.processes import OneProcess, denormals_flushed
from glinermt.training.run.stepper import Stepper, Trainable
from glinermt.types import Example


@dataclass(frozen=True, slots=True)
class Tuning:
    """How to fine-tune. The defaults suit some tens to some thousands of examples."""

    batch_size: FromOne = 8
    optim: Optim = field(default_factory=lambda: Optim(encoder_lr=1e-5, other_lr=5e-5, warmup=0.1))
    loss: Loss = field(default_factory=Loss)
    sampling: Sampling = field(default_factory=lambda: Sampling(drop_share=0.2, max_words=300))
    replay_share: Share = 0.3
    """Share of examples drawn from ``replay``, general data against forgetting."""
    balance: Share = 0.0
    """Examples with a label that fewer than this share of them have are drawn more often, by the
    square root of what is missing; 0 = all equally often."""
    hard_share: Share = 0.0
    """Share of examples drawn from those in which the model finds what is not there: hard
    negatives, mined from its own false positives, whose labels are then always asked."""
    minings: FromOne = 2
    """Times that the model reads the examples for these, spread evenly from the start."""
    evaluations: FromOne = 10
    """Times the dev set is scored, spread evenly."""
    patience: FromZero = 3
    """Scorings without a new best after which training stops; 0 = never."""
    threshold: Share | None = None
    """Score from which a span counts on the dev set; None = as the model's settings say."""
    lora_rank: FromZero = 0
    """Rank of LoRA adapters on the encoder's linear layers, merged at the end; 0 = train all."""
    frozen_layers: FromZero = 0
    """Layers of the encoder, counted from its embeddings, that stay as they are, these included."""
    head_only: bool = False
    """Leave the whole encoder as it is: fast, for little data and small changes."""
    seed: int = 42


def fine_tune(
    model: Trainable,
    examples: Sequence[Example],
    *,
    steps: int = 200,
    replay: Sequence[Example] = (),
    dev: Sequence[Example] = (),
    tuning: Tuning | None = None,
    callbacks: Sequence[Callback] = (),
) -> TuningReport:
    """Train ``model`` in place on ``examples``; with ``dev``, end with the best weights seen.

    Where it fails or is interrupted, the model is as it was before.

    Args:
        model: a ``GlinerMT``; left in evaluation mode.
        examples: what to learn; labels without spans teach what is absent. Those worded as this
            package does it are put into the words that the model is asked with.
        steps: optimiser steps at most.
        replay: general examples mixed in, so that less of the old is forgotten.
        dev: held-out examples; strict F1 on them, asked as their task asks, stops training early
            and picks the weights.
        tuning: rates, batch size and the rest.
        callbacks: told of steps and scores; the first that says so ends the training.

    Raises:
        TypeError: an argument is of another kind, such as the name of a file, or the model is of a
            kind that cannot be trained here.
        ValueError: there is no example, one asks for nothing or has a span that is not at its place
            or not asked for, ``steps`` is not positive, or the shares of ``tuning`` leave no room
            for the examples.
        ConfigError: a value of ``tuning`` is impossible, or layers are to be frozen that the
            encoder does not have.
    """
    tuning = _checked(tuning)
    if isinstance(model, str | PathLike):
        raise TypeError(f"model must be loaded: GlinerMT.from_pretrained({str(model)!r})")
    examples = checked_examples(examples, "examples")
    dev, replay = checked_examples(dev, "dev"), checked_examples(replay, "replay")
    dev = _in_its_words(model, dev)
    score = _dev_score(dev, tuning.threshold) if dev else None
    return tune(
        model,
        _in_its_words(model, examples),
        steps=steps,
        replay=_in_its_words(model, replay),
        score=score,
        tuning=tuning,
        callbacks=callbacks,
    )


def _in_its_words(model: Trainable, examples: Sequence[Example]) -> list[Example]:
    """Return the examples as the model is asked, so that it is trained on these prompts."""
    return [reworded(each, TASKS.get(each.task), model.settings) for each in examples]


def learning_curve(
    model: Trainable,
    examples: Sequence[Example],
    dev: Sequence[Example],
    *,
    sizes: Sequence[int],
    steps: int = 200,
    replay: Sequence[Example] = (),
    tuning: Tuning | None = None,
) -> list[tuple[int, float]]:
    """Return the dev score after fine-tuning on the first 0, then ``sizes`` examples.

    Where it still rises at the end, more examples will help. The model stays as it was.

    Raises:
        ValueError: there is no dev example, or a size is not one of 1 to the number of examples.
    """
    examples, dev = checked_examples(examples, "examples"), checked_examples(dev, "dev")
    if not dev:
        raise UsageError("a learning curve needs dev examples")
    if wrong := [size for size in sizes if not 1 <= size <= len(examples)]:
        raise UsageError(f"sizes must be from 1 to {len(examples)}, not {wrong}")
    tuning = _checked(tuning)
    start, training = copy.deepcopy(model.state_dict()), model.training
    score = _dev_score(dev, tuning.threshold)
    model.eval()
    curve = [(0, score(model))]
    for size in sizes:
        report = fine_tune(
            model, examples[:size], steps=steps, replay=replay, dev=dev, tuning=tuning
        )
        curve.append((size, dict(report.scores)[report.best_step]))
        model.load_state_dict(start)
        model.train(training)
    return curve


def tune(
    model: Trainable,
    examples: Sequence[Example],
    *,
    steps: int,
    replay: Sequence[Example],
    score: Score | None,
    tuning: Tuning,
    keep_best: bool = True,
    callbacks: Sequence[Callback] = (),
) -> TuningReport:
    """``fine_tune`` with any score; without ``keep_best`` the last weights stay."""
    model.network.check_trainable()
    _check(examples, replay, steps, _checked(tuning))
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"a callback must be an object of a subclass of Callback, got {callback!r}"
            )
    with unharmed(model), denormals_flushed():
        for encoder in model.network.encoders().values():
            if tuning.frozen_layers:
                freeze(encoder, tuning.frozen_layers)
            if tuning.head_only:
                encoder.requires_grad_(False)
        if tuning.lora_rank and not tuning.head_only:
            with_lora(model, tuning.lora_rank, seed=tuning.seed)
        keeper = BestWeights(model, score, tuning.patience, callbacks)
        stream = _Stream(model, examples, replay, steps, tuning)
        report = _steps(model, stream, steps, keeper, tuning, keep_best=keep_best)
        if tuning.lora_rank and not tuning.head_only:
            merge_lora(model)
    model.eval()
    for callback in callbacks:
        callback.on_end(report)
    return report


def _checked(tuning: Tuning | None) -> Tuning:
    """Return the settings, each of which can be.

    Raises:
        TypeError: they are no ``Tuning``.
        ConfigError: one of them is impossible.
    """
    if tuning is None:
        return Tuning()
    if not isinstance(tuning, Tuning):
        raise TypeError(f"tuning must be a Tuning, got {tuning!r:.80}; write Tuning(lora_rank=8)")
    return from_mapping(Tuning, asdict(tuning), where="tuning")


def _check(
    examples: Sequence[Example], replay: Sequence[Example], steps: int, tuning: Tuning
) -> None:
    if not examples:
        raise UsageError("there are no examples to learn from")
    for row in (*examples, *replay):
        if not (row.query.labels or row.query.relations or row.query.classes):
            raise UsageError(f"an example asks for no label: {row.query.text!r:.80}")
    check_count("steps", steps)
    if tuning.hard_share + (tuning.replay_share if replay else 0.0) >= 1:
        raise UsageError("hard_share and replay_share together must be below 1")


def _steps(
    model: Trainable,
    stream: "_Stream",
    steps: int,
    keeper: BestWeights,
    tuning: Tuning,
    *,
    keep_best: bool,
) -> TuningReport:
    stepper = Stepper(
        model,
        OneProcess(model.device),
        loss=tuning.loss,
        optim=tuning.optim,
        seed=tuning.seed,
        steps=steps,
    )
    every = max(1, steps // max(1, tuning.evaluations))
    losses: list[tuple[int, float]] = []
    step, since = 0, [0.0, 0.0]
    keeper.look(0)
    while step < steps and not keeper.done:
        batch = stream.take(step)
        model.train()
        meter = Meter()
        stepper.step(batch, number=step, progress=step / steps, meter=meter)
        step += 1
        loss = meter.read()["loss"]
        since = [since[0] + loss, since[1] + 1]
        keeper.stepped(step, loss)
        if step % every == 0 or step == steps or keeper.done:
            losses.append((step, since[0] / since[1]))
            since = [0.0, 0.0]
            keeper.look(step)
    best_step = keeper.restore(step) if keep_best else step
    return TuningReport(step, tuple(keeper.scores), best_step, tuple(losses))


def _dev_score(dev: Sequence[Example], threshold: float | None) -> Score:
    gold = [example.spans for example in dev]
    return lambda model: span_f1(gold, predict(model, dev, threshold=threshold))


class _Stream:
    """The batches of a fine-tuning; hard negatives are mined from time to time."""

    def __init__(
        self,
        model: Trainable,
        examples: Sequence[Example],
        replay: Sequence[Example],
        steps: int,
        tuning: Tuning,
    ) -> None:
        self._model = model
        self._examples = examples
        self._replay = replay
        self._tuning = tuning
        self._every = max(1, math.ceil(steps / max(1, tuning.minings)))
        self._batches: Batches | None = None

    def take(self, step: int) -> list[Taken]:
        """Return the batches of a step; steps count from 0."""
        if self._batches is None or (self._tuning.hard_share and step % self._every == 0):
            self._batches = self._made(step)
        return self._batches.take(1)

    def _made(self, step: int) -> Batches:
        tuning, hard = self._tuning, []
        if tuning.hard_share:
            self._model.eval()
            hard = false_positives(self._model, self._examples, threshold=tuning.threshold)
        rows = self._examples
        if tuning.balance:
            rows = repeated(rows, tuning.balance, seed=tuning.seed)
        shares = {
            "replay": tuning.replay_share if self._replay else 0.0,
            "hard": tuning.hard_share if hard else 0.0,
        }
        shares["examples"] = 1.0 - sum(shares.values())
        feeds = []
        for name, some in (("examples", rows), ("replay", self._replay), ("hard", hard)):
            if some:
                sampler: Sampler = shuffled
                if name != "hard":
                    sampler = make_sampler(Source(name, "examples"), some, (), tuning.sampling)
                feeds.append(Feed(name, name, some, sampler, 1.0))
        return Batches(
            Mixture(
                feeds, {feed.group: shares[feed.group] for feed in feeds}, seed=tuning.seed + step
            ),
            batch_tokens=0,
            batch_size=tuning.batch_size,
            seed=tuning.seed + step,
        )
