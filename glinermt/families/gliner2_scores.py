"""From the vectors of one GLiNER2 row to what it found; words are counted from the row's first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from glinermt.checks import label_thresholds
from glinermt.decode import Candidates
from glinermt.families.gliner2_network import Gliner2Network
from glinermt.families.gliner2_rows import CLASS, ENTITY, FIELD, RELATION, Asked
from glinermt.rows import TokenizedWords
from glinermt.structures import Structure
from glinermt.types import Ask, Overlap, Query

Words = tuple[int, int]
"""First word and the word behind the last."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation, by the index of its label."""

    label: int
    head: Words
    tail: Words
    score: float


@dataclass(frozen=True, slots=True)
class RowVectors:
    """What the encoder gave for one row."""

    words: Tensor
    """One vector a word, those of the prefix first."""
    prompts: Tensor
    """One vector a group."""
    names: list[Tensor]
    """One vector a name, group by group."""
    prefix: tuple[str, ...] = ()
    """The words that stand before the text's."""

    @property
    def num_prefix(self) -> int:
        return len(self.prefix)


@dataclass(frozen=True, slots=True)
class Limits:
    """Least scores of the names that the row asks for."""

    labels: np.ndarray
    relations: np.ndarray
    given: tuple[Words, ...] | None = None
    """The only ranges of words that relations may join; None = any."""
    fields: tuple[np.ndarray, ...] = ()
    """One a field, for each structure."""
    overlaps: tuple[Overlap, ...] = ()
    """How spans of one field may overlap, for each structure."""
    structures: tuple[Structure, ...] = ()
    instance: float = 0.5
    """Least probability of an instance that the network tells apart."""


@dataclass(slots=True)
class RowFound:
    """What one row found."""

    spans: list[Candidates] = field(default_factory=list)
    """Spans of the entity labels."""
    edges: list[Edge] = field(default_factory=list)
    classes: list[float] = field(default_factory=list)
    """One logit a class."""
    instances: list["RowInstance"] = field(default_factory=list)
    """Structure by structure."""
    attributes: "Callable[[Sequence[Words]], np.ndarray] | None" = None
    """Words of spans -> the logits of attribute names there, ``name span``; NaN = not to be had."""


@dataclass(frozen=True, slots=True)
class RowInstance:
    """One instance of a structure, by the structure's index in the row."""

    structure: int
    spans: Candidates
    """Spans of its fields."""
    choices: np.ndarray
    """Probability of each prefix word for each field."""
    formed: "Formed | None" = None
    """What is known of an instance that the network has told apart from others."""


@dataclass(frozen=True, slots=True)
class Formed:
    """Where an instance comes from, and which choices are its own."""

    score: float
    anchor: Words | None
    """None where no span is its anchor."""
    own: np.ndarray
    """Probability of each prefix word for each field in this instance, 0 where it was not chosen;
    ``choices`` hold for the whole text."""


class RowScorer(Protocol):
    """Turns the vectors of a row into what it found."""

    def __call__(self, vectors: RowVectors, asked: Asked, limits: Limits) -> RowFound: ...


class SpanScorer:
    """Reads the span network, group by group."""

    def __init__(self, network: Gliner2Network) -> None:
        self.network = network

    def __call__(self, vectors: RowVectors, asked: Asked, limits: Limits) -> RowFound:
        found = RowFound()
        relation = structure = 0
        for group, prompt, names in zip(asked.groups, vectors.prompts, vectors.names, strict=True):
            if group.marker == CLASS:
                found.classes += self.network.class_logits(names).tolist()
                continue
            count = self.network.count(prompt)
            if group.marker == ENTITY:  # any number of instances is asked once
                count = min(count, 1)
            scores = self._scores(vectors, names, count)
            text = scores[:, :, vectors.num_prefix :]
            if group.marker == ENTITY:
                number = len(limits.labels)
                found.spans = [candidates(text[0][:number], limits.labels)] if len(text) else []
                if len(text) and len(names) > number:
                    found.attributes = partial(_logits_at, text[0][number:])
            elif group.marker == FIELD:
                found.instances += [
                    RowInstance(structure, candidates(own, limits.fields[structure]), choices)
                    for own, choices in zip(
                        text, scores[:, :, : vectors.num_prefix, 0], strict=True
                    )
                ]
                structure += 1
            elif group.marker == RELATION:
                label = asked.relations[relation]
                found.edges += best_edges(text, label, limits.relations[relation], limits.given)
                relation += 1
        return found

    def _scores(self, vectors: RowVectors, names: Tensor, count: int) -> np.ndarray:
        """Return probabilities ``instance name word width``."""
        if not count:
            return np.zeros((0, len(names), len(vectors.words), self.network.max_width))
        logits = self.network.span_logits(vectors.words, names, count)
        at_least_32_bits = torch.promote_types(logits.dtype, torch.float32)
        scores: np.ndarray = logits.to(at_least_32_bits).sigmoid().cpu().numpy()
        return scores


def _logits_at(scores: np.ndarray, places: Sequence[Words]) -> np.ndarray:
    """Return the logits of some spans, from probabilities ``name word width``."""
    found = np.full((len(scores), len(places)), np.nan)
    for i, (start, end) in enumerate(places):
        if end - start <= scores.shape[2]:
            found[:, i] = scores[:, start, end - start - 1]
    share = found.clip(1e-12, 1 - 1e-12)
    logits: np.ndarray = np.log(share / (1 - share))
    return logits


def candidates(scores: np.ndarray, limits: np.ndarray) -> Candidates:
    """Return the spans that reach their name's limit, from probabilities ``name word width``."""
    label, start, width = np.nonzero(scores >= limits[:, None, None])
    score = scores[label, start, width].astype(float)
    return Candidates(start, start + width + 1, label, score, np.zeros(len(start), dtype=bool))


def best_edges(
    scores: np.ndarray, label: int, limit: float, given: Sequence[Words] | None
) -> Iterator[Edge]:
    """Yield each instance's best head with its best tail, where both reach the limit.

    Args:
        scores: ``instance (head, tail) word width``.
        label: index of the relation.
        limit: least score of head and tail; the lower of the two is the relation's.
        given: the only places that are looked at.
    """
    if not len(scores):
        return
    if given is not None:
        allowed = np.zeros_like(scores[0, 0], dtype=bool)
        for start, end in given:
            if end - start <= allowed.shape[1] and end <= len(allowed):
                allowed[start, end - start - 1] = True
        scores = np.where(allowed, scores, -1.0)
    for instance in scores:
        best = [np.unravel_index(part.argmax(), part.shape) for part in instance]
        score = min(float(part[place]) for part, place in zip(instance, best, strict=True))
        if score >= max(limit, 0.0):
            head, tail = ((int(place[0]), int(place[0] + place[1] + 1)) for place in best)
            yield Edge(label, head, tail, score)


def limits_of(query: Query, words: TokenizedWords, ask: Ask) -> Limits:
    """Return the least scores of all that a query asks for."""
    labels, relations = tuple(dict.fromkeys(query.labels)), tuple(dict.fromkeys(query.relations))
    given = None
    if query.entities is not None:
        starts, ends = np.array(words.offsets).reshape(-1, 2).T
        given = tuple(
            (
                int(np.searchsorted(ends, span.start, side="right")),
                int(np.searchsorted(starts, span.end)),
            )
            for span in query.entities
        )
    return Limits(
        np.array(label_thresholds(ask.threshold, labels)),
        np.array(label_thresholds(ask.relation_threshold, relations)),
        given,
        tuple(_field_limits(structure, ask) for structure in query.structures),
        tuple(structure.overlap or ask.overlap for structure in query.structures),
        query.structures,
        _least(query, ask),
    )


def _least(query: Query, ask: Ask) -> float:
    """Return the least of the query's thresholds, from which on an instance counts.

    What a call says of the labels of its other queries does not count.
    """
    if not isinstance(ask.threshold, Mapping):
        return float(ask.threshold)
    fields = [field for structure in query.structures for field in structure.fields]
    names = (*query.labels, *(field.name for field in fields))
    given = (ask.threshold[name] for name in names if name in ask.threshold)
    own = (field.threshold for field in fields if field.threshold is not None)
    return min([*given, *own], default=0.5)


def _field_limits(structure: Structure, ask: Ask) -> np.ndarray:
    return np.array(
        [
            label_thresholds(ask.threshold, (f.name,))[0] if f.threshold is None else f.threshold
            for f in structure.fields
        ]
    )
