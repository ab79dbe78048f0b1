"""Samples Examples for the class head: the classes of a text among others of its data set."""

import random
from collections import Counter
from collections.abc import Sequence

from glinermt.training.config import Sampling
from glinermt.training.data.label_pool import LabelPool
from glinermt.training.data.pair_sampling import beside_types
from glinermt.training.data.rows import ClassRow
from glinermt.types import Example, Query


class ClassSampler:
    """Asks for the classes of a row and for some of the data set's others, in any order."""

    def __init__(
        self, rows: Sequence[ClassRow], sampling: Sampling, foreign: Sequence[str] = ()
    ) -> None:
        self._pool = LabelPool(Counter(name for row in rows for name in row.classes))
        self._sampling = sampling
        self._foreign = foreign
        self._several = any(len(row.classes) > 1 for row in rows)

    def __call__(self, row: ClassRow, rng: random.Random) -> Example:
        most = self._sampling.max_class_labels
        gold = rng.sample(row.classes, min(len(row.classes), most - 1))
        absent = self._pool.draw(
            rng.randint(1 if gold else 2, most - len(gold)),
            exclude=row.classes,
            frequency_share=self._sampling.frequency_share,
            rng=rng,
        )
        names = [*gold, *absent]
        rng.shuffle(names)
        example = Example(
            Query(row.text, classes=tuple(names)),
            (),
            "classify",
            classes=tuple(gold),
            multi_label=self._several,
        )
        return beside_types(example, self._foreign, self._sampling, rng)
