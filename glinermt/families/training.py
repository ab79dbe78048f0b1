"""Fine-tunes families with rows of their own: examples -> rows with gold values, and the losses."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.collate import NO_SPANS, gold_spans, related_pairs, silent_words, span_targets
from glinermt.encoding import QueryEncoder
from glinermt.errors import UsageError
from glinermt.families.base import FamilyNetwork, TextRow
from glinermt.heads import Head
from glinermt.heads.class_ import choice_loss
from glinermt.network import GoldRows, Losses, RelationTargets, bce_loss
from glinermt.rows import TokenizedQuery
from glinermt.types import Example

PROPOSALS = 64
"""Spans beside the gold ones that a row's span vectors learn from, best first."""


@dataclass(frozen=True, slots=True)
class FamilyBatch:
    """Rows of a family with their gold values; a long example has several rows."""

    rows: list[TextRow]
    targets: list[Float[Tensor, "word label axis"]]
    """Gold values of each row's text."""
    valid: list[Bool[Tensor, "word label axis"]]
    """The places that count in the loss."""
    spans: list[Int[Tensor, "span 3"]]
    """First word of the text, end word, label of each row's gold spans."""
    example: Int[Tensor, " row"]
    """Index of the example each row belongs to."""
    num_examples: int
    relations: RelationTargets | None = None
    label_rows: Sequence[list[int]] = ()
    """Token ids of all labels of the batch, each once, where they are read apart."""
    asked: Sequence[list[int]] = ()
    """Which of these each row asks for."""
    pad_token_ids: tuple[int, ...] = (0,)
    """Of the text's encoder and, where there is one, of the labels'."""

    @property
    def num_tokens(self) -> int:
        """Tokens, without padding."""
        return sum(len(row) for row in (*(r.token_ids for r in self.rows), *self.label_rows))

    def to(self, device: torch.device | str) -> "FamilyBatch":
        return replace(
            self,
            targets=[one.to(device) for one in self.targets],
            valid=[one.to(device) for one in self.valid],
            spans=[one.to(device) for one in self.spans],
            example=self.example.to(device),
            relations=None if self.relations is None else self.relations.to(device),
        )


class RowVectors(NamedTuple):
    """What a network has read of one row."""

    words: Float[Tensor, "word hidden"]
    labels: Float[Tensor, "label hidden"]
    relations: Float[Tensor, "relation hidden"]


class FamilyTrainer(Protocol):
    """A ``Reader`` whose family can be fine-tuned."""

    def collate(self, examples: Sequence[Example]) -> FamilyBatch:
        """Make a training batch; see ``GlinerMT.collate``."""
        ...


def family_batch(
    encoder: QueryEncoder,
    head: Head,
    examples: Sequence[Example],
    queries: Sequence[TokenizedQuery],
    rows: Sequence[TextRow],
) -> FamilyBatch:
    """Return the rows that a reader has planned for the examples, with their gold values.

    Raises:
        ValueError: there is no row.
    """
    if not rows:
        raise UsageError("none of the examples has both a label and a word")
    passes = [replace(row.window, relations=row.relations) for row in rows]
    by_score = gold_spans(examples, queries, passes, encoder.same)
    all_targets, all_valid, all_spans = [], [], []
    for i, row in enumerate(rows):
        num_words = row.window.end - row.window.start
        shape = (1, num_words, len(row.window.labels))
        own = {
            score: spans[spans[:, 0] == i] - torch.tensor([i, row.num_prompt, row.num_prompt, 0])
            for score, spans in by_score.items()
        }
        targets = span_targets(head, own, shape)
        valid = head.valid(
            torch.ones(1, num_words, dtype=torch.bool), torch.ones(1, shape[2], dtype=torch.bool)
        )
        silent = silent_words(examples, queries, passes[i])
        if silent.any():
            valid = valid & (~head.touches(silent[None]) | (targets > 0).any(-1, keepdim=True))
        all_targets.append(targets[0])
        all_valid.append(valid[0])
        all_spans.append(torch.cat([NO_SPANS, *own.values()])[:, 1:])
    widest = max(len(row.relations) for row in rows)
    counts = torch.tensor([len(row.relations) for row in rows])
    return FamilyBatch(
        list(rows),
        all_targets,
        all_valid,
        all_spans,
        torch.tensor([row.window.query for row in rows]),
        len(examples),
        related_pairs(
            examples,
            queries,
            passes,
            [row.num_prompt for row in rows],
            torch.arange(widest) < counts[:, None],
        ),
    )


class TrainedFamily(FamilyNetwork):
    """A network of a family that can be fine-tuned: one row after another, behind the encoder."""

    head: Head
    marker: nn.Module | None
    """Vectors of spans that a token head proposes, where these are scored anew or related."""
    represent_spans: bool = False

    def check_trainable(self) -> None:
        """Nothing is in the way."""

    @abstractmethod
    def vectors(self, batch: FamilyBatch) -> Iterator[RowVectors]:
        """Yield the vectors of each row of a batch, with gradients."""

    @abstractmethod
    def logits(
        self, words: Float[Tensor, "word hidden"], labels: Float[Tensor, "label hidden"]
    ) -> Float[Tensor, "word label axis"]:
        """Return the logits of one text; see ``heads.base.Head`` for their last axis."""

    def related(
        self,
        read: RowVectors,
        spans: Int[Tensor, "span 2"],
        pairs: Int[Tensor, "pair 2"],
    ) -> tuple[Float[Tensor, " pair"] | None, Float[Tensor, "pair relation"]]:
        """Return how likely pairs are related at all, None where all are, and their logits."""
        raise NotImplementedError

    def losses(self, batch: GoldRows, *, relation_choice: float = 0.0, **weights: float) -> Losses:
        """Return the parts of the loss, weighed as by ``Network.losses``; there are no classes."""
        assert isinstance(batch, FamilyBatch)
        weigh: Callable[..., Tensor] = partial(bce_loss, **weights)  # type: ignore[arg-type]
        none = torch.zeros(batch.num_examples, device=batch.example.device)
        spans, relations, holding = none, none, none
        for i, read in enumerate(self.vectors(batch)):
            example, row = batch.example[i : i + 1], batch.rows[i]
            if batch.targets[i].shape[1]:
                logits = self.logits(read.words, read.labels)[row.num_prompt :].float()
                targets, valid = batch.targets[i], batch.valid[i]
                loss = weigh(logits[None], targets[None], valid[None])
                if self.represent_spans:
                    text, gold = read.words[row.num_prompt :], batch.spans[i]
                    loss = loss + self._represented(weigh, logits, text, read.labels, gold)
                spans = spans.index_add(0, example, loss)
            if batch.relations is not None:
                loss, count = self._relations(weigh, relation_choice, batch.relations, i, read)
                relations = relations.index_add(0, example, loss[None])
                holding = holding.index_add(0, example, count[None])
        relations = relations / holding.clamp(min=1).sqrt()
        return Losses(spans, relations, none)

    def _represented(
        self,
        weigh: Callable[..., Tensor],
        logits: Tensor,
        words: Tensor,
        labels: Tensor,
        gold: Tensor,
    ) -> Float[Tensor, " 1"]:
        """Return the loss of span vectors: of gold spans, and of those that are proposed now."""
        assert self.marker is not None
        scores = logits.detach().sigmoid().cpu().numpy()
        found = self.head.candidates(scores, np.full(labels.shape[0], 0.5), "min")
        found = found.take(np.argsort(-found.score, kind="stable")[:PROPOSALS])
        places = [(start, end) for start, end, _ in gold.tolist()]
        places += zip(found.start.tolist(), found.end.tolist(), strict=True)
        if not places:
            return logits.new_zeros(1)
        index = {place: i for i, place in enumerate(dict.fromkeys(places))}
        targets = torch.zeros(len(index), labels.shape[0], device=logits.device)
        for start, end, label in gold.tolist():
            targets[index[start, end], label] = 1
        vectors = self.marker(words, torch.tensor(list(index), device=logits.device))
        own = (vectors @ labels.T).float()
        loss: Tensor = weigh(own[None], targets[None], torch.ones_like(targets[None]).bool())
        return loss

    def _relations(
        self,
        weigh: Callable[..., Tensor],
        choice: float,
        gold: RelationTargets,
        row: int,
        read: RowVectors,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the loss of a row's pairs, and how many relations hold there."""
        mine = gold.pairs.row == row
        count = read.relations.shape[0]
        if not mine.any() or not count:
            zero = gold.targets.new_zeros(())
            return zero, zero
        ends = torch.stack([gold.pairs.head[mine], gold.pairs.tail[mine]], dim=1)
        used, index = torch.unique(ends, return_inverse=True)
        targets, valid = gold.targets[mine, :count], gold.valid[mine, :count]
        near, logits = self.related(read, gold.pairs.mentions[used, 1:], index)
        logits = logits.float()
        loss = weigh(logits, targets, valid).sum()
        if choice:
            loss = loss + choice * choice_loss(logits, targets, valid).sum()
        if near is not None:
            judged = valid.any(1)
            holds = (targets * valid).amax(1)
            limits = near.float().clamp(1e-6, 1 - 1e-6)
            loss = loss + functional.binary_cross_entropy(
                limits[judged], holds[judged], reduction="sum"
            )
        return loss, (targets * valid).sum()
