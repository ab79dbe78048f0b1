"""One optimiser step, AdamW and its rates: what all training and fine-tuning share."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from glinermt.encoder import Apart
from glinermt.encoding import QueryEncoder
from glinermt.errors import ConfigError, DataError
from glinermt.network import GoldRows, Network, TrainingBatch
from glinermt.training.config import Loss, Optim, Sentences
from glinermt.training.data.batching import ReadyBatch, Taken
from glinermt.training.data.mixture import Item, normalised
from glinermt.training.run.metrics_log import Meter
from glinermt.training.run.processes import Processes, seeded
from glinermt.training.run.sentences import SentenceTeacher, sentence_loss
from glinermt.types import Example, Extractor


class Trainable(Extractor, Protocol):
    """What training asks of a model; ``GlinerMT`` has it."""

    @property
    def network(self) -> Network:
        """The module that is trained; its ``loss`` takes what ``collate`` makes."""
        ...

    @property
    def query_encoder(self) -> QueryEncoder: ...

    @property
    def training(self) -> bool: ...

    @property
    def device(self) -> torch.device: ...

    def collate(self, examples: Sequence[Example], *, multiple: int = 1) -> GoldRows:
        """Return a batch of the examples; shapes are padded to a ``multiple``."""
        ...

    def encoder_parameters(self) -> Iterable[nn.Parameter]:
        """Return the pretrained part, which learns at a rate of its own."""
        ...

    def other_parameters(self) -> Iterable[nn.Parameter]:
        """Return the rest."""
        ...

    def train(self, mode: bool = True) -> Any: ...

    def eval(self) -> Any: ...

    def modules(self) -> Iterator[nn.Module]: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...

    def to(self, device: torch.device) -> Any: ...

    def save_pretrained(self, folder: Path) -> None: ...


class LossModule(nn.Module):
    """A network whose ``forward`` is its loss, as data parallel wrappers need it."""

    def __init__(self, network: Network, loss: Loss) -> None:
        super().__init__()
        self.network = network
        self._loss = loss

    def forward(
        self, batch: GoldRows, rows: Apart | None = None, wanted: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return each example's loss, and that of the sentence vectors (``run.sentences``)."""
        losses: Tensor = self.network.loss(
            batch,
            positive_weight=self._loss.positive_weight,
            negative_weight=self._loss.negative_weight,
            gamma=self._loss.gamma,
            smoothing=self._loss.smoothing,
            relation_weight=self._loss.relation_weight,
            relation_choice=self._loss.relation_choice,
            class_weight=self._loss.class_weight,
        )
        if rows is None or wanted is None:
            return losses, losses.new_zeros(())
        return losses, sentence_loss(self.network, rows, wanted)


class Stepper:
    """A model in training with its optimiser.

    Every random choice hangs on the seed, the step and the place of a batch in its step. So a
    resumed run equals an uninterrupted one, and several processes equal one that accumulates.

    Args:
        model: trained in place.
        processes: where it is trained.
        loss: how cells and examples are weighed.
        optim: learning rates and their schedule.
        steps: how many the run has; see ``rate_factor``.
        pad_multiple: shapes are padded to multiples of it.
        sentences: what is kept of the encoder's sentence vectors.
    """

    def __init__(
        self,
        model: Trainable,
        processes: Processes,
        *,
        loss: Loss,
        optim: Optim,
        seed: int,
        steps: int,
        pad_multiple: int = 1,
        sentences: Sentences | None = None,
    ) -> None:
        self._processes = processes
        self._model = model
        self._loss = loss
        self._optim = optim
        self._seed = seed
        self._stride = 1 / steps
        self._pad_multiple = pad_multiple
        self._sentences = sentences or Sentences()
        self._teacher = self._load_teacher() if self._sentences.teacher else None
        self._module, self.optimizer = processes.prepare(
            LossModule(model.network, loss), make_optimizer(model, optim)
        )

    def step(
        self, batches: Sequence[Taken], *, number: int, progress: float, meter: Meter
    ) -> float:
        """Learn from a step's batches, each process from its part; return the gradient's norm.

        Args:
            batches: those of all processes, the same list in each.
            number: steps made before.
            progress: share of the run that is over, which sets the learning rates.
            meter: told the losses.

        Raises:
            DataError: a loss is not finite; the weights are still those of the step before.
        """
        processes = self._processes
        total = sum(map(len, batches))
        mine = list(enumerate(batches))[processes.index :: processes.number]
        losses = []
        for i, taken in mine:
            seed = hash((self._seed, number, i))
            with (
                processes.gather(self._module, last=i == mine[-1][0]),
                seeded(seed, processes.device),
            ):
                batch = self.ready(taken) if isinstance(taken, list) else taken
                of_examples, of_sentences = self._losses(batch)
                kept = self._sentences.weight * of_sentences * len(batch)
                processes.backward((of_examples.sum() + kept) * (processes.number / total))
                losses.append((batch, of_examples.detach(), of_sentences.detach()))
        for learned in losses:  # only now: to read a number is to wait for the device
            self._read(*learned, number, meter)
        set_rates(self.optimizer, self._optim, progress, stride=self._stride)
        norm = processes.update(self._module, self.optimizer, self._optim.clip or math.inf)
        self.optimizer.zero_grad()
        return norm

    def ready(self, items: list[Item]) -> ReadyBatch:
        """Return a batch as the network takes it: what needs no weights, in any process."""
        weights, power = dict(self._loss.task_weights), self._loss.positive_power
        return ReadyBatch(
            self._model.collate([item.example for item in items], multiple=self._pad_multiple),
            tuple(item.group for item in items),
            tuple(normalised(item, weights, power) for item in items),
            tuple(f"{item.origin}: {item.example.query.text[:80]!r}" for item in items),
            self._sentence_rows(items),
        )

    def rates(self) -> dict[str, float]:
        """Return the learning rates of the last step."""
        rates = [group["lr"] for group in self.optimizer.param_groups]
        return {"encoder_lr": rates[0], "other_lr": rates[-1]}

    def _load_teacher(self) -> SentenceTeacher:
        encoder = self._model.query_encoder
        if not encoder.classes_apart:
            raise ConfigError(
                "sentences.teacher keeps what a model with class_reading = 'apart' compares; set "
                "it in [model], or leave the teacher out"
            )
        vocabulary = encoder.tokenizer.get_vocab()
        teacher = SentenceTeacher(self._sentences.teacher, vocabulary, share=self._sentences.share)
        return teacher.to(self._processes.device)

    def _sentence_rows(self, items: list[Item]) -> Apart | None:
        """Return texts and labels of a batch that are read apart."""
        if self._teacher is None:
            return None
        examples = self._teacher.class_examples(items)
        batch = self._model.collate(examples) if examples else None
        return batch.batch.apart if isinstance(batch, TrainingBatch) else None

    def _losses(self, batch: ReadyBatch) -> tuple[Tensor, Tensor]:
        """Return each example's loss, and that of the sentence vectors."""
        device = self._processes.device
        rows, wanted = None, None
        if self._teacher is not None and batch.sentences is not None:
            rows = batch.sentences.to(device)
            wanted = self._teacher.vectors(rows)
        with self._processes.autocast():
            losses, kept = self._module(batch.rows.to(device), rows, wanted)
        return losses * losses.new_tensor(batch.factors), kept

    def _read(
        self, batch: ReadyBatch, losses: Tensor, kept: Tensor, number: int, meter: Meter
    ) -> None:
        """Tell the meter the losses of a batch.

        Raises:
            DataError: one is not finite.
        """
        values = losses.tolist()
        wrong = [
            name for name, loss in zip(batch.names, values, strict=True) if not math.isfinite(loss)
        ]
        if wrong:
            self.optimizer.zero_grad()
            raise DataError(
                f"step {number}: the loss is not finite for {'; '.join(wrong)}; go on from the "
                "last checkpoint with lower learning rates, or look at these examples"
            )
        for group, loss in zip(batch.groups, values, strict=True):
            meter.add(group, loss)
        if batch.sentences is not None:
            meter.add_part("sentences", float(kept))
        meter.add_tokens(batch.rows.num_tokens)


class TwoPart(Protocol):
    """A model whose encoder is trained at a rate of its own."""

    def encoder_parameters(self) -> Iterable[nn.Parameter]: ...

    def other_parameters(self) -> Iterable[nn.Parameter]: ...


def make_optimizer(model: TwoPart, optim: Optim) -> torch.optim.AdamW:
    """Build AdamW; biases and norms (vectors) do not decay."""
    groups: list[dict[str, Any]] = []
    parts = (
        (model.encoder_parameters(), optim.encoder_lr),
        (model.other_parameters(), optim.other_lr),
    )
    for parameters, rate in parts:
        trained = [p for p in parameters if p.requires_grad]
        for decays in (True, False):
            members = [p for p in trained if (p.dim() > 1) == decays]
            if members:
                decay = optim.weight_decay if decays else 0.0
                groups.append({"params": members, "lr": rate, "peak": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, fused=True)


def set_rates(
    optimizer: torch.optim.Optimizer, optim: Optim, progress: float, *, stride: float = 0.0
) -> None:
    """Set the learning rates for ``progress`` in [0, 1] of the run; see ``rate_factor``."""
    factor = rate_factor(optim, progress, stride=stride)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def rate_factor(optim: Optim, progress: float, *, stride: float = 0.0) -> float:
    """Return the share of the peak rate: rising over ``warmup``, then falling to 0 at the end.

    ``stride`` is the share of the run that one step takes: the rise is to where the step ends, so
    that the first step learns, too.
    """
    if progress < optim.warmup:
        return min(1.0, (progress + stride) / optim.warmup)
    if optim.schedule == "constant":
        return 1.0
    left = (1.0 - min(1.0, progress)) / (1.0 - optim.warmup) if optim.warmup < 1 else 0.0
    return left if optim.schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * left))
