"""Pools of labels that negatives are drawn from."""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate

from glinermt.tasks.entities import ENTITIES
from glinermt.training.config import Source
from glinermt.training.data.rows import EntityRow, Row
from glinermt.types import Example

LARGE_POOL = 300
TRIES = 10


class LabelPool:
    """Labels with how often they were seen; draws without replacement."""

    def __init__(self, counts: Counter[str]) -> None:
        self.labels = sorted(counts)
        self._weights = [counts[label] for label in self.labels]
        self._cumulative = list(accumulate(self._weights))

    def draw(
        self,
        number: int,
        *,
        exclude: Collection[str],
        frequency_share: float,
        rng: random.Random,
    ) -> list[str]:
        """Return up to ``number`` distinct labels not in ``exclude``.

        Each is drawn by frequency with the chance ``frequency_share``, else evenly.
        """
        if len(self.labels) > LARGE_POOL:
            return self._draw_few(number, exclude, frequency_share, rng)
        left = [(s, w) for s, w in zip(self.labels, self._weights, strict=True) if s not in exclude]
        drawn: list[str] = []
        while left and len(drawn) < number:
            by_frequency = rng.random() < frequency_share
            weights = [weight for _, weight in left] if by_frequency else None
            index = rng.choices(range(len(left)), weights)[0]
            drawn.append(left.pop(index)[0])
        return drawn

    def _draw_few(
        self, number: int, exclude: Collection[str], frequency_share: float, rng: random.Random
    ) -> list[str]:
        """Draw from a pool far larger than ``number``: again where a label was had before."""
        drawn: dict[str, None] = {}
        for _ in range(TRIES * number):
            if len(drawn) == number:
                break
            by_frequency = rng.random() < frequency_share
            weights = self._cumulative if by_frequency else None
            label = rng.choices(self.labels, cum_weights=weights)[0]
            if label not in exclude:
                drawn[label] = None
        return list(drawn)


def count_labels(rows: Iterable[Row]) -> Counter[str]:
    """Count in how many rows each entity label stands."""
    counts: Counter[str] = Counter()
    for row in rows:
        if isinstance(row, EntityRow):
            counts.update({span.label for span in row.spans})
    return counts


def count_example_labels(examples: Iterable[Example]) -> Counter[str]:
    """Count the same for Examples that ask for entities."""
    counts: Counter[str] = Counter()
    for example in examples:
        if example.task == ENTITIES.name:
            counts.update({span.label for span in example.spans})
    return counts


def foreign_labels(
    source: Source, seen: Sequence[tuple[Source, Counter[str]]], common: Collection[str]
) -> list[str]:
    """Return the labels of other domains that are safe negatives for ``source``.

    Left out are ``common`` types, which may stand unannotated anywhere, and labels that share a
    word with one of the source's own.
    """
    own = {word for other, counts in seen if other == source for s in counts for word in s.split()}
    candidates = {
        label for other, counts in seen if other.domain != source.domain for label in counts
    }
    return sorted(s for s in candidates if s not in common and not own & set(s.split()))
