"""Refuses queries that a model cannot read, each with what to do about it."""

from collections.abc import Mapping, Sequence

from glinermt.errors import UsageError
from glinermt.types import Kind, Query, Span, Threshold


def check_query(query: object, kinds: frozenset[Kind]) -> Query:
    """Return the query if text, labels and prompt can be read by a model that finds ``kinds``.

    Raises:
        TypeError: something is not a Query or a string, or labels are one string, not several.
        ValueError: a label is empty, the model does not find what is asked for, or a given entity
            is not where it says.
    """
    if not isinstance(query, Query):
        raise TypeError(f"expected a Query, got {type(query).__name__}: {query!r:.80}")
    for name in ("text", "prompt"):
        value = getattr(query, name)
        if not isinstance(value, str):
            hint = "; decode it first" if isinstance(value, bytes) else ""
            raise TypeError(f"{name} must be str, got {type(value).__name__}{hint}")
    for what, names in (
        ("label", query.labels),
        ("relation", query.relations),
        ("class", query.classes),
    ):
        _check_names(what, names)
    for kind, asked in (
        ("relations", query.relations),
        ("classes", query.classes),
        ("records", query.structures),
    ):
        if asked and kind not in kinds:
            raise UsageError(
                f"the model finds {', '.join(sorted(kinds))}, not {kind}; use one that was trained "
                "for them"
            )
    for span in query.entities or ():
        if not isinstance(span, Span):
            raise TypeError(f"entities must be Spans, got {type(span).__name__}: {span!r:.80}")
        if span.start >= span.end or query.text[span.start : span.end] != span.text:
            raise UsageError(
                f"entity {span.text!r:.80} is not at {span.start}:{span.end}, where the text has "
                f"{query.text[span.start : span.end]!r:.80}; pass the text it was found in"
            )
    return query


def _check_names(what: str, names: object) -> None:
    several = "classes" if what == "class" else f"{what}s"
    if isinstance(names, str):
        raise TypeError(f"{several} must be several strings, got one: {names!r}; use a tuple")
    if not isinstance(names, Sequence):
        kind = type(names).__name__
        raise TypeError(f"{several} must be a tuple or list of strings, got {kind}")
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"{what} {i} must be str, got {type(name).__name__}: {name!r}")
        if not name.strip():
            raise UsageError(f"{what} {i} is empty; it is read by the model, so name it")


def label_thresholds(threshold: Threshold, labels: tuple[str, ...]) -> list[float]:
    """Return one threshold a label.

    Raises:
        ValueError: a label has no threshold.
    """
    if not isinstance(threshold, Mapping):
        return [float(threshold)] * len(labels)
    missing = [label for label in labels if label not in threshold]
    if missing:
        raise UsageError(f"no threshold for label {missing[0]!r}; give each label one")
    return [float(threshold[label]) for label in labels]
