"""Quotes of a reply -> spans of the text, placed, checked, without doubles or overlaps."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from glinermt.synth.checks.align import Place, Source, align, occurrences
from glinermt.synth.checks.filters import Ledger, clean_label, label_fault, mention_fault
from glinermt.types import Span

REPEATED = "repeated"
"""Status of a further occurrence of a mention, which the LLM need not have listed."""
SHORTEST_REPEATED = 3

Fault = Callable[[Source, int, int], str | None]


def place(
    source: Source,
    item: Mapping[str, Any],
    ledger: Ledger,
    *,
    fault: Fault,
    taken: Iterable[tuple[int, int]] = (),
    in_order: bool = True,
) -> tuple[int, int] | None:
    """Place ``item["text"]`` after ``item["before"]``; note the status, and why it is dropped."""
    quote = item["text"]
    found = align(source, quote, item["before"], taken=set(taken), in_order=in_order)
    if not isinstance(found, Place):
        ledger.statuses[found] += 1
        ledger.drop(f"alignment: {found}", quote)
        return None
    ledger.statuses[found.status] += 1
    wrong = fault(source, found.start, found.end)
    if wrong:
        ledger.drop(wrong, quote)
        return None
    return found.start, found.end


def entity_spans(
    source: Source,
    items: Iterable[Mapping[str, Any]],
    ledger: Ledger,
    *,
    label_of: Callable[[Mapping[str, Any], str], tuple[str, str | None]],
) -> list[Span]:
    """Return the entities in the order of the text, disjoint; every occurrence of each mention.

    Args:
        source: the text.
        items: what the LLM listed.
        ledger: takes note.
        label_of: (item, mention) -> the label, and what is wrong with it.
    """
    spans: list[Span] = []
    for item in items:
        placed = place(
            source, item, ledger, fault=mention_fault, taken=[(s.start, s.end) for s in spans]
        )
        if not placed:
            continue
        span = _span(source, *placed, "")
        label, wrong = label_of(item, span.text)
        if wrong:
            ledger.drop(wrong, f"{span.text} = {label}")
            continue
        _add(spans, Span(span.start, span.end, span.text, label), ledger)
    agreed = _without_contradictions(spans, ledger)
    return sorted(_with_repeats(source, agreed, ledger), key=lambda span: span.start)


def matched_spans(
    source: Source, items: Iterable[Mapping[str, Any]], ledger: Ledger, *, label: str, fault: Fault
) -> list[Span]:
    """Return the pieces that one instruction asks for, in the order of the text, disjoint."""
    spans: list[Span] = []
    for item in items:
        placed = place(source, item, ledger, fault=fault, taken=[(s.start, s.end) for s in spans])
        if placed:
            _add(spans, _span(source, *placed, label), ledger)
    return sorted(spans, key=lambda span: span.start)


def plain_label(item: Mapping[str, Any], mention: str) -> tuple[str, str | None]:
    """Return the item's label, cleaned, and its fault."""
    label = clean_label(item["label"])
    return label, label_fault(label, mention)


def _span(source: Source, start: int, end: int, label: str) -> Span:
    return Span(start, end, source.text[start:end], label)


def _add(spans: list[Span], span: Span, ledger: Ledger) -> None:
    """Take the span unless it is there, or lies over one that is: the first that came is kept."""
    if span in spans:
        ledger.drop("mention: repeated", span.text)
    elif any(span.overlaps(other) for other in spans):
        ledger.drop("mention: overlaps another", span.text)
    else:
        spans.append(span)


def _without_contradictions(spans: list[Span], ledger: Ledger) -> list[Span]:
    """Keep the label that a mention has most often; a tie tells nothing, and keeps none."""
    labels: dict[str, Counter[str]] = {}
    for span in spans:
        labels.setdefault(span.text, Counter())[span.label] += 1
    kept = []
    for span in spans:
        given = labels[span.text]
        if all(given[span.label] > n for label, n in given.items() if label != span.label):
            kept.append(span)
        else:
            ledger.drop("label: contradicts another", f"{span.text} = {span.label}")
    return kept


def _with_repeats(source: Source, spans: list[Span], ledger: Ledger) -> list[Span]:
    """Add the mentions' other occurrences."""
    everything = list(spans)
    for mention, label in {span.text: span.label for span in spans}.items():
        if len(mention) < SHORTEST_REPEATED or mention.islower():
            continue
        for start, end in occurrences(source, mention):
            span = _span(source, start, end, label)
            if not any(span.overlaps(other) for other in everything):
                everything.append(span)
                ledger.statuses[REPEATED] += 1
    return everything
