"""How much the order of the labels changes what a model finds.

    python -m glinermt.eval.label_order [--model ID] [--orders 24]

asks each text of the CrossNER sample its labels in several orders, drawn once and for all, and
prints what became of each mention that at least one order found.
"""

import argparse
import statistics
from dataclasses import dataclass
from itertools import permutations
from random import Random

from glinermt.default_model import load_extractor
from glinermt.eval.benchmarks import SAMPLES
from glinermt.eval.data.cases import NerCase
from glinermt.eval.data.readers import read_ner
from glinermt.eval.metrics.entities import span_f1
from glinermt.tasks import extract_entities
from glinermt.types import Extractor, Span

PROBE = "Tim Cook showed the iPhone 15 at Apple Park in Cupertino."
PROBE_LABELS = ("person", "product", "building", "city")
Key = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Spread:
    """What several orders of the same labels made of some texts."""

    mentions: int
    """Mentions that at least one order found."""
    always: int
    """Those that all found."""
    ranges: tuple[float, ...]
    """Of those that all found: highest score less the lowest."""
    f1: tuple[float, ...]
    """Strict micro F1 of each order; empty without gold."""

    def __str__(self) -> str:
        wide = statistics.mean(self.ranges) if self.ranges else 0.0
        most = max(self.ranges, default=0.0)
        shown = (
            f"{self.mentions} mentions, {self.always / max(self.mentions, 1):.0%} found in every "
            f"order; scores of these differ by {wide:.3f} on average, {most:.3f} at most"
        )
        if self.f1:
            mean = statistics.mean(self.f1)
            shown += (
                f"; F1 {100 * min(self.f1):.1f} to {100 * max(self.f1):.1f}, mean {100 * mean:.1f}"
            )
        return shown


def orders_of(labels: tuple[str, ...], number: int) -> list[list[str]]:
    """Return so many orders of the labels: all that there are, or drawn ones."""
    if len(labels) <= 4:
        return [list(order) for order in permutations(labels)][:number]
    draw = Random(0)
    return [draw.sample(labels, len(labels)) for _ in range(number)]


def spread(model: Extractor, cases: list[NerCase], number: int) -> Spread:
    """Ask each case its labels in several orders."""
    asked = [orders_of(case.labels, number) for case in cases]
    number = min(len(orders) for orders in asked)
    texts = [case.text for case in cases]
    found = [
        extract_entities(texts, [orders[i] for orders in asked], model=model) for i in range(number)
    ]
    scores: dict[tuple[str, Key], list[float]] = {}
    for spans in found:
        for case, own in zip(cases, spans, strict=True):
            for span in own:
                scores.setdefault((case.id, _key(span)), []).append(span.score)
    always = [own for own in scores.values() if len(own) == number]
    ranges = tuple(max(own) - min(own) for own in always)
    gold = [case.spans for case in cases]
    f1 = tuple(span_f1(gold, spans) for spans in found)
    return Spread(len(scores), len(always), ranges, f1 if any(gold) else ())


def invariant_f1(model: Extractor, cases: list[NerCase]) -> float:
    """Return the strict micro F1 with ``order="invariant"``, which no order changes."""
    labels = [list(case.labels) for case in cases]
    found = extract_entities([c.text for c in cases], labels, order="invariant", model=model)
    return span_f1([case.spans for case in cases], found)


def _key(span: Span) -> Key:
    return span.start, span.end, span.label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder or hub id; the shipped model without")
    parser.add_argument("--orders", type=int, default=24)
    given = parser.parse_args()
    model = load_extractor(given.model)
    cases = [
        case
        for path in sorted((SAMPLES / "crossner").glob("*.jsonl"))
        for case in read_ner(path, path.name.split(".")[0])
    ]
    print(f"{len(cases)} texts of the CrossNER sample, {given.orders} orders:")
    print(" ", spread(model, cases, given.orders))
    print(f"  order='invariant': F1 {100 * invariant_f1(model, cases):.1f}")
    print(f"{PROBE!r}, {', '.join(PROBE_LABELS)}, all 24 orders:")
    print(" ", spread(model, [NerCase("probe", "probe", PROBE, PROBE_LABELS, ())], 24))


if __name__ == "__main__":
    main()
