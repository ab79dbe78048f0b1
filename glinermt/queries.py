"""Checks what users pass: clear errors before any work is done."""

from collections.abc import Mapping, Sequence

from glinermt.config import check_share
from glinermt.types import Query, Threshold


def check_query(query: object) -> Query:
    """Give the query back if text, labels and prompt can be read.

    Raises:
        TypeError: something is no Query, no string, or labels are one string instead of several.
        ValueError: a label is empty.
    """
    if not isinstance(query, Query):
        raise TypeError(f"expected a Query, got {type(query).__name__}: {query!r:.80}")
    for name in ("text", "prompt"):
        value = getattr(query, name)
        if not isinstance(value, str):
            hint = "; decode it first" if isinstance(value, bytes) else ""
            raise TypeError(f"{name} must be str, got {type(value).__name__}{hint}")
    if isinstance(query.labels, str):
        raise TypeError(f"labels must be several strings, got one: {query.labels!r}; use a tuple")
    if not isinstance(query.labels, Sequence):
        kind = type(query.labels).__name__
        raise TypeError(f"labels must be a tuple or list of strings, got {kind}")
    for i, label in enumerate(query.labels):
        if not isinstance(label, str):
            raise TypeError(f"label {i} must be str, got {type(label).__name__}: {label!r}")
        if not label.strip():
            raise ValueError(f"label {i} is empty; labels are read by the model, so name it")
    return query


def check_threshold(threshold: Threshold) -> Threshold:
    """Give the threshold in floats if every number in it is in [0, 1].

    Raises:
        TypeError: something is no number.
        ValueError: a number outside.
    """
    if not isinstance(threshold, Mapping):
        return check_share("threshold", threshold)
    return {k: check_share(f"label {k!r}: threshold", value) for k, value in threshold.items()}


def label_thresholds(threshold: Threshold, labels: tuple[str, ...]) -> list[float]:
    """Give one threshold a label.

    Raises:
        ValueError: a label has none.
    """
    if not isinstance(threshold, Mapping):
        return [float(threshold)] * len(labels)
    missing = [label for label in labels if label not in threshold]
    if missing:
        raise ValueError(f"no threshold for label {missing[0]!r}; give each label one")
    return [float(threshold[label]) for label in labels]
