"""Labels that have a pattern or a validator: what these find and refuse, joined with the model's.

A match of a pattern has score 1 and takes the place of every span that it overlaps; of matches that
overlap, the longest is kept, then the one whose label was given first. A validator refuses spans
of its label, whoever found them.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glinermt import patterns
from glinermt.tasks.labels import Label
from glinermt.types import Span

OPTIONS = ("description", "threshold", "pattern", "validator")
"""What may be said of a label that can have a pattern."""


def with_patterns(text: str, spans: Sequence[Span], labels: Sequence[Label]) -> list[Span]:
    """Return the spans of the model and of the labels' patterns, in the order of the text.

    Raises:
        TypeError: a pattern or validator is of another type.
        ValueError: a regular expression that cannot be read.
    """
    matches = [
        span
        for label in labels
        if label.options.get("pattern") is not None
        for span in patterns.find(text, label.name, label.options["pattern"])
    ]
    validators = {
        label.name: _validator(label)
        for label in labels
        if label.options.get("validator") is not None
    }
    matches = _longest(_valid(matches, validators))
    rest = [span for span in _valid(spans, validators) if not _touches(span, matches)]
    return sorted([*matches, *rest], key=lambda span: (span.start, span.end))


def _validator(label: Label) -> Callable[[str], Any]:
    validator = label.options["validator"]
    if not callable(validator):
        raise TypeError(f"label {label.name!r}: validator must be a function, got {validator!r}")
    checked: Callable[[str], Any] = validator
    return checked


def _valid(spans: Sequence[Span], validators: Mapping[str, Callable[[str], Any]]) -> list[Span]:
    return [
        span for span in spans if span.label not in validators or validators[span.label](span.text)
    ]


def _longest(matches: Sequence[Span]) -> list[Span]:
    """Keep, from the longest on, what overlaps nothing that is kept; sorted by place."""
    taken: list[Span] = []
    covered: set[int] = set()
    for span in sorted(matches, key=lambda span: span.start - span.end):
        if not any(place in covered for place in range(span.start, span.end)):
            taken.append(span)
            covered.update(range(span.start, span.end))
    return sorted(taken, key=lambda span: span.start)


def _touches(span: Span, matches: Sequence[Span]) -> bool:
    """Whether one of the sorted, disjoint matches overlaps the span."""
    first = bisect_right(matches, span.start, key=lambda match: match.end)
    return first < len(matches) and matches[first].start < span.end
