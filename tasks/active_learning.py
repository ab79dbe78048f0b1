"""Which texts to annotate next: those that a model is unsure of, or that differ most.

Lewis and Gale (1994) ask for what is uncertain, Seung et al. (1992) for what a committee disagrees
about, Sener and Savarese (2018) for a subset that is near to all texts of the pool.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from glinermt.config import check_count
from glinermt.default_model import load_extractor
from glinermt.errors import UsageError, unknown_choice
from glinermt.tasks.entities import ENTITIES, label_orders
from glinermt.tasks.inputs import chunks, rows
from glinermt.tasks.labels import ENTITY_OPTIONS, Label, LabelSpec, read_labels
from glinermt.tasks.run import in_force, run
from glinermt.types import Extractor, Query, Span

Model = Extractor | str | Path | None
By = Literal["margin", "entropy", "disagreement", "diversity"]
STRATEGIES = ("margin", "entropy", "disagreement", "diversity")
FLOOR = 0.05
"""Score from which a span counts as a candidate that the model may be unsure of."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text that is worth annotating."""

    index: int
    """Its place among the texts that were given."""
    text: str
    score: float
    """How much it promises, as the strategy measures it; not comparable between strategies."""

    def to_dict(self) -> dict[str, Any]:
        return {"index": self.index, "text": self.text, "score": self.score}


@runtime_checkable
class TextVectors(Protocol):
    """A model whose encoder's vectors can be had."""

    def text_vectors(self, queries: Sequence[Query]) -> "np.ndarray[Any, Any]":
        """Return a row for each query."""
        ...


def suggest(
    texts: Iterable[str],
    labels: LabelSpec,
    *,
    by: By = "margin",
    n: int = 100,
    model: Model | list[Model] | tuple[Model, ...] = None,
) -> list[Suggestion]:
    """Return the texts to annotate next, the most useful first.

    ``margin`` takes the texts with the candidate nearest to its threshold (1 = on it), and
    ``entropy`` those with most doubt in all, the sum over candidates in bits. ``disagreement``
    takes those of which a committee finds different entities (1 less the mean F1 of its pairs):
    several models, or one that is asked the labels in four orders. ``diversity`` takes texts that
    are far from all taken before (cosine distance of the encoder's vectors, 0 to 2), beginning
    with the most typical one.

    A text that stands in the pool several times is suggested once; a blank one never is.

    Args:
        texts: the pool, in any form that has an order: a list, a Series of pandas, a generator.
        labels: what is to be annotated, as ``extract_entities`` takes them.
        by: the strategy.
        n: how many texts at most.
        model: a loaded model, a folder or hub id, or None for the shipped one; with
            ``disagreement`` also a list of these.

    Raises:
        TypeError: a text is not str, or a model has no vectors (``diversity``).
        ValueError: an unknown strategy, no labels, ``n`` below 1, several models for another
            strategy, or a committee that cannot disagree: one model and one label.
    """
    if by not in STRATEGIES:
        raise UsageError(unknown_choice("strategy", by, STRATEGIES))
    check_count("n", n)
    asked = read_labels(labels, options=ENTITY_OPTIONS)
    if not asked:
        raise UsageError("there are no labels; name what is to be annotated")
    found = _different(texts)
    places, pool = list(found.values()), list(found)
    several = model if isinstance(model, list | tuple) else [model]
    committee = [load_extractor(each) for each in several]
    if by == "diversity":
        chosen = _farthest(_vectors(_single(committee, by), pool, asked), n)
    else:
        if by == "disagreement":
            scores = _disagreement(committee, pool, asked)
        else:
            scores = _doubt(_single(committee, by), pool, asked, by)
        ranked = sorted(enumerate(scores), key=lambda pair: -pair[1])  # stable: first come first
        chosen = ranked[:n]
    return [Suggestion(places[i], pool[i], score) for i, score in chosen]


def _different(texts: Iterable[str]) -> dict[str, int]:
    """Return the texts that are not blank, each with its first place."""
    if isinstance(texts, str):
        raise TypeError("texts must be several, got one str; the pool is what is chosen from")
    first: dict[str, int] = {}
    for i, (text,) in enumerate(rows(texts)):
        if text.strip():
            first.setdefault(str(text), i)
    return first


def _single(committee: Sequence[Extractor], by: str) -> Extractor:
    if len(committee) != 1:
        raise UsageError(f"{by!r} takes one model, not {len(committee)}; 'disagreement' takes many")
    return committee[0]


def _doubt(
    model: Extractor, texts: Sequence[str], labels: Sequence[Label], by: str
) -> Iterator[float]:
    settings = in_force(ENTITIES, model.settings, None)
    limits = {label.name: ENTITIES.limit(label, settings) for label in labels}
    low = [label.with_threshold(min(FLOOR, limits[label.name])) for label in labels]
    for found in _found(model, texts, low):
        if by == "entropy":
            yield sum(_bits(span.score) for span in found)
        else:
            yield max((_nearness(span.score, limits[span.label]) for span in found), default=0.0)


def _nearness(score: float, limit: float) -> float:
    """Return 1 for a score on its threshold, 0 for one of 0 or 1."""
    room = 1 - limit if score >= limit else limit
    return 1 - abs(score - limit) / room if room else 1.0


def _bits(share: float) -> float:
    """Return the entropy of a yes or no of that probability."""
    if not 0 < share < 1:
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)


def _disagreement(
    committee: Sequence[Extractor], texts: Sequence[str], labels: Sequence[Label]
) -> Iterator[float]:
    orders = [labels] if len(committee) > 1 else list(label_orders(labels))
    if len(committee) == 1 and len(labels) == 1:
        raise UsageError(
            "one model asked for one label always agrees with itself; give model= a list of "
            "models, or choose another strategy"
        )
    members = [_found(model, texts, order) for model in committee for order in orders]
    for findings in zip(*members, strict=True):
        sets = [{(s.start, s.end, s.label) for s in spans} for spans in findings]
        f1 = [_f1(one, other) for one, other in combinations(sets, 2)]
        yield 1 - sum(f1) / len(f1)


def _f1(one: set[tuple[int, int, str]], other: set[tuple[int, int, str]]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0


def _found(model: Extractor, texts: Sequence[str], labels: Sequence[Label]) -> Iterator[list[Span]]:
    for chunk in chunks(texts):
        yield from run(ENTITIES, model, chunk, [labels] * len(chunk))


def _vectors(
    model: Extractor, texts: Sequence[str], labels: Sequence[Label]
) -> "np.ndarray[Any, Any]":
    """Return vectors of length 1, or 0 for a text without words."""
    if not isinstance(model, TextVectors):
        raise TypeError(f"'diversity' needs a model with vectors, which {model!r:.80} is not")
    queries = [q for text in texts for q in ENTITIES.query(text, labels, model.settings)]
    if not queries:
        return np.zeros((0, 1))
    rows = np.concatenate([model.text_vectors(chunk) for chunk in chunks(queries)])
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: np.ndarray[Any, Any] = rows / np.maximum(lengths, np.finfo(rows.dtype).tiny)
    return found


def _farthest(vectors: "np.ndarray[Any, Any]", n: int) -> list[tuple[int, float]]:
    """Choose greedily what is farthest from all chosen before; costs rows times ``n``."""
    if not len(vectors):
        return []
    chosen = [(int((vectors @ vectors.mean(0)).argmax()), 0.0)]
    distance = np.full(len(vectors), np.inf)
    while len(chosen) < min(n, len(vectors)):
        latest = chosen[-1][0]
        distance = np.minimum(distance, 1 - vectors @ vectors[latest])
        distance[latest] = -np.inf
        place = int(distance.argmax())
        chosen.append((place, max(0.0, float(distance[place]))))
    return chosen
