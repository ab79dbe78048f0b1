"""The network: a batch of numbers in, logits and losses out. It keeps no configuration."""

from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.encoder import Apart, Batch, WordEncoder
from glinermt.heads.base import Head
from glinermt.heads.class_ import choice_loss, class_loss
from glinermt.heads.relation import Pairs
from glinermt.layers import BiLSTM


@dataclass(frozen=True, slots=True)
class RelationTargets:
    """Pairs of mentions in the rows of a batch, and which relations hold between them."""

    pairs: Pairs
    targets: Float[Tensor, "pair relation"]
    valid: Bool[Tensor, "pair relation"]
    """The places that count: pairs of which the data says which relations hold."""

    def to(self, device: torch.device | str) -> "RelationTargets":
        return RelationTargets(
            self.pairs.to(device), self.targets.to(device), self.valid.to(device)
        )


@dataclass(frozen=True, slots=True)
class ClassTargets:
    """Which classes hold of the rows of a batch."""

    targets: Float[Tensor, "row label"]
    valid: Bool[Tensor, "row label"]
    one_of: Bool[Tensor, " row"]
    """Rows whose classes shut each other out."""

    def to(self, device: torch.device | str) -> "ClassTargets":
        return ClassTargets(self.targets.to(device), self.valid.to(device), self.one_of.to(device))


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Rows for the network with their gold values; a long example has several rows."""

    batch: Batch
    targets: Float[Tensor, "row word label axis"]
    valid: Bool[Tensor, "row word label axis"]
    """The places that count in the loss: no padding, no prompt, nothing silent."""
    example: Int[Tensor, " row"]
    """Index of the example each row belongs to."""
    num_examples: int
    relations: RelationTargets | None = None
    """None where no row asks for relations between mentions."""
    classes: ClassTargets | None = None
    """None where no row asks for classes."""

    @property
    def num_tokens(self) -> int:
        """Tokens, without padding."""
        return int(self.batch.attention_mask.sum())

    def to(self, device: torch.device | str) -> "TrainingBatch":
        return TrainingBatch(
            self.batch.to(device),
            self.targets.to(device),
            self.valid.to(device),
            self.example.to(device),
            self.num_examples,
            None if self.relations is None else self.relations.to(device),
            None if self.classes is None else self.classes.to(device),
        )


@runtime_checkable
class GoldRows(Protocol):
    """What ``loss`` takes: rows with their gold values, as the model's ``collate`` makes them."""

    @property
    def num_examples(self) -> int: ...

    @property
    def num_tokens(self) -> int:
        """Tokens, without padding."""
        ...

    def to(self, device: torch.device | str) -> "GoldRows": ...


@dataclass(frozen=True, slots=True)
class Output:
    """What the network makes of a batch; relations are scored when their pairs are known."""

    spans: Float[Tensor, "batch word label axis"]
    """Logits of the span head; see ``heads.base.Head`` for their last axis."""
    classes: Float[Tensor, "batch class"]
    """Logits of the class head; without classes of width 0."""
    words: Float[Tensor, "batch word hidden"]
    """Vectors that mentions are read from."""
    relations: Float[Tensor, "batch relation hidden"]
    """Vectors of the relation labels."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses of one kind each, one number an example."""

    spans: Float[Tensor, " example"]
    relations: Float[Tensor, " example"]
    classes: Float[Tensor, " example"]


class Network(nn.Module):
    """Encoder, BiLSTM over words, heads. The attributes' names are those of the saved weights."""

    def __init__(
        self,
        *,
        encoder: WordEncoder,
        rnn: BiLSTM | None,
        head: Head,
        relation_head: nn.Module | None = None,
        class_head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.rnn = rnn
        self.head = head
        self.relation_head = relation_head
        self.class_head = class_head

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def forward(
        self, batch: Batch, places: Bool[Tensor, "batch word label"] | None = None
    ) -> Output:
        """Read a batch. Relations are scored by ``relate``, since the span head may find pairs.

        Args:
            batch: what to read.
            places: words and labels that need logits of spans; None = all.
        """
        words, labels = self.encoder(batch)
        if self.rnn is not None:
            words = self.rnn(words, batch.word_mask)
        spans, relations, classes = batch.by_kind(labels)
        class_logits = classes.sum(2)
        if batch.apart is not None:
            vectors = map(self.encoder.sentence_vectors, *zip(*batch.apart.rows, strict=True))
            class_logits = self.compare(batch.apart, *vectors)
        elif classes.shape[1]:
            assert self.class_head is not None
            class_logits = self.class_head(words, batch.text_mask, classes)
        if places is None:
            logits = self.head(words, spans)
        else:
            logits = self.head.logits_at(words, spans, places)
        return Output(logits, class_logits, words, relations)

    def compare(
        self,
        apart: Apart,
        texts: Float[Tensor, "text width"],
        labels: Float[Tensor, "label width"],
    ) -> Float[Tensor, "batch class"]:
        """Return the logits of classes that were read apart from their texts."""
        assert self.class_head is not None
        logits: Tensor = self.class_head(texts[apart.text], labels[apart.label])
        return logits

    def relate(self, output: Output, pairs: Pairs) -> Float[Tensor, "pair relation"]:
        """Return the logits of pairs of mentions for the relation labels of their rows."""
        assert self.relation_head is not None
        logits: Tensor = self.relation_head(output.words, output.relations, pairs)
        return logits

    def loss(
        self,
        batch: GoldRows,
        *,
        positive_weight: float = 0.75,
        negative_weight: float = 0.25,
        gamma: float = 0.0,
        smoothing: float = 0.0,
        relation_weight: float = 1.0,
        relation_choice: float = 0.0,
        class_weight: float = 1.0,
    ) -> Float[Tensor, " example"]:
        """Return each example's loss: that of its spans, of its relations and of its classes.

        That of spans is a sum over words and labels (see ``bce_loss``), that of relations a
        sum over pairs and labels with the same weights, divided by the square root of the number
        of relations that hold, so that a document with fifty of them does not drown a sentence
        with one, and ``relation_choice`` times a cross-entropy over the relations asked for each
        pair that stands in one of them; that of classes is a cross-entropy (see
        ``heads.class_.class_loss``).
        """
        losses = self.losses(
            batch,
            positive_weight=positive_weight,
            negative_weight=negative_weight,
            gamma=gamma,
            smoothing=smoothing,
            relation_choice=relation_choice,
        )
        weighted = losses.spans + relation_weight * losses.relations
        return weighted + class_weight * losses.classes

    def losses(
        self,
        batch: GoldRows,
        *,
        positive_weight: float = 0.75,
        negative_weight: float = 0.25,
        gamma: float = 0.0,
        smoothing: float = 0.0,
        relation_choice: float = 0.0,
    ) -> "Losses":
        """Return the parts of ``loss``, not weighted against each other."""
        weigh = partial(
            bce_loss,
            positive_weight=positive_weight,
            negative_weight=negative_weight,
            gamma=gamma,
            smoothing=smoothing,
        )
        assert isinstance(batch, TrainingBatch)
        output: Output = self(batch.batch, batch.valid.any(3))
        spans = weigh(output.spans.float(), batch.targets, batch.valid)
        none = spans.new_zeros(batch.num_examples)
        relations, classes = none, none
        if batch.relations is not None:
            gold = batch.relations
            logits = self.relate(output, gold.pairs).float()
            example = batch.example[gold.pairs.row]
            holding = none.index_add(0, example, (gold.targets * gold.valid).sum(1))
            each = weigh(logits, gold.targets, gold.valid)
            if relation_choice:
                chosen = choice_loss(logits, gold.targets, gold.valid)
                each = each + relation_choice * chosen
            summed = none.index_add(0, example, each)
            relations = summed / holding.clamp(min=1).sqrt()
        if batch.classes is not None:
            rows = class_loss(
                output.classes.float(),
                batch.classes.targets,
                batch.classes.valid,
                batch.classes.one_of,
                smoothing=smoothing,
            )
            classes = none.index_add(0, batch.example, rows)
        return Losses(none.index_add(0, batch.example, spans), relations, classes)

    def check_trainable(self) -> None:
        """Raise TypeError where the network cannot be trained."""

    def encoders(self) -> dict[str, nn.Module]:
        """The pretrained parts, which learn at a lower rate, by their names in this module."""
        return {"encoder.encoder": self.encoder.encoder}

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The weights of ``encoders``."""
        return [p for encoder in self.encoders().values() for p in encoder.parameters()]

    def other_parameters(self) -> list[nn.Parameter]:
        """All that began with random weights."""
        pretrained = {id(p) for p in self.encoder_parameters()}
        return [p for p in self.parameters() if id(p) not in pretrained]


def bce_loss(
    logits: Float[Tensor, "batch ..."],
    targets: Float[Tensor, "batch ..."],
    valid: Bool[Tensor, "batch ..."],
    *,
    positive_weight: float = 0.75,
    negative_weight: float = 0.25,
    gamma: float = 0.0,
    smoothing: float = 0.0,
) -> Float[Tensor, " batch"]:
    """Sum the weighted loss of each row's valid places (the paper, section 3.2: 0.75 and 0.25).

    Args:
        logits: scores before the sigmoid.
        targets: 0 or 1.
        valid: the places that count.
        positive_weight: weight of places with target 1.
        negative_weight: weight of places with target 0.
        gamma: focal exponent (Lin et al. 2017); 0 = plain cross-entropy.
        smoothing: the a of ``t (1 - a) + a / 2``.
    """
    smooth = targets * (1 - smoothing) + 0.5 * smoothing
    loss = functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
    if gamma:
        loss = loss * (torch.sigmoid(logits) - targets).abs() ** gamma
    weight = negative_weight + (positive_weight - negative_weight) * targets
    return (loss * weight * valid).flatten(1).sum(1)
