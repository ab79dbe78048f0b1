"""Of very many labels, those that a text may speak of: by words and sentence vectors."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from glinermt.config import check_count
from glinermt.errors import UsageError
from glinermt.tasks.inputs import chunks
from glinermt.tasks.labels import Label
from glinermt.types import Extractor

_WORD = re.compile(r"\w{3,}")
"""Shorter words, such as "of", say nothing about a text."""
SHARED = 0.3
"""What a label gains in the order for its words that the text has, all of them: as much as a cosine
that tells a label that fits from one that does not."""


@runtime_checkable
class SentenceReader(Protocol):
    """A model whose encoder compares sentences."""

    def sentence_vectors(self, texts: Sequence[str]) -> list[Float[np.ndarray, "window width"]]: ...


def shortlisted(
    rows: Iterable[tuple[str, Sequence[Label]]], number: int, model: Extractor
) -> Iterator[tuple[str, Sequence[Label]]]:
    """Leave each text its ``number`` likeliest labels, in the order they were given.

    Labels with a pattern stay, beside that number: what it matches is found by the form.

    Each label is read once and each text once, whatever the number of labels. It is not exact: a
    label that is left out finds nothing.

    Raises:
        TypeError: the number is no whole number.
        ValueError: it is below 1, or the model has no vectors of sentences.
    """
    check_count("shortlist", number)
    if not isinstance(model, SentenceReader):
        raise UsageError(
            "shortlist needs a model whose encoder compares sentences, such as the shipped one; "
            f"{type(model).__name__} has no sentence_vectors"
        )
    return _shortlisted(rows, number, model)


def _shortlisted(
    rows: Iterable[tuple[str, Sequence[Label]]], number: int, model: SentenceReader
) -> Iterator[tuple[str, Sequence[Label]]]:
    known: dict[str, tuple[np.ndarray, list[str]]] = {}
    for chunk in chunks(rows):
        many = [
            (text, own) for text, labels in chunk if len(own := _without_pattern(labels)) > number
        ]
        new = dict.fromkeys(
            label.asked for _, labels in many for label in labels if label.asked not in known
        )
        vectors = model.sentence_vectors([*new, *(text for text, _ in many)])
        known.update(
            (name, (vector[0], _words(name))) for name, vector in zip(new, vectors, strict=False)
        )
        of_texts = iter(vectors[len(new) :])
        for text, labels in chunk:
            own = _without_pattern(labels)
            if len(own) <= number:
                yield text, labels
                continue
            of_labels, names = zip(*(known[label.asked] for label in own), strict=True)
            likeness = (next(of_texts) @ np.stack(of_labels).T).max(0)
            likeness += SHARED * _shared(text, names)
            best = np.argsort(-likeness, kind="stable")[:number]
            out = {label.asked for label in own} - {own[i].asked for i in best.tolist()}
            yield text, [label for label in labels if label.asked not in out]


def _without_pattern(labels: Sequence[Label]) -> list[Label]:
    return [label for label in labels if label.options.get("pattern") is None]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _shared(text: str, names: Sequence[list[str]]) -> Float[np.ndarray, " label"]:
    """Return the share of each label's words that the text has, too."""
    there = set(_words(text))
    return np.array([sum(word in there for word in words) / max(1, len(words)) for words in names])
