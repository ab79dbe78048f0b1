"""A scripted Extractor: says what the test wrote down, with the offsets found in the text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from glinermt.config import TaskSettings
from glinermt.types import Overlap, Query, Span, SpanScore, Threshold


@dataclass
class StubExtractor:
    """Answers queries with ``script(query)``: (text, label, score) or Span; keeps the queries.

    ``calls`` keeps the options of each call of ``extract``.
    """

    script: Callable[[Query], Sequence[Span | tuple[str, str, float]]]
    settings: TaskSettings = field(default_factory=TaskSettings)
    queries: list[Query] = field(default_factory=list)
    calls: list[dict[str, object]] = field(default_factory=list)

    def extract(
        self,
        queries: Sequence[Query],
        *,
        threshold: Threshold = 0.5,
        overlap: Overlap = "flat",
        multi_label: bool = False,
        span_score: SpanScore = "mean",
    ) -> list[list[Span]]:
        """Return what the script says; only the threshold has an effect on it."""
        options = {"overlap": overlap, "multi_label": multi_label, "span_score": span_score}
        self.calls.append({"threshold": threshold, **options})
        self.queries.extend(queries)
        return [self._spans(query, threshold) for query in queries]

    def _spans(self, query: Query, threshold: Threshold) -> list[Span]:
        found = []
        for item in self.script(query):
            if not isinstance(item, Span):
                text, label, score = item
                start = query.text.index(text)
                item = Span(start, start + len(text), text, label, score)
            limit = threshold if isinstance(threshold, float | int) else threshold[item.label]
            if item.score >= limit:
                found.append(item)
        return sorted(found, key=lambda span: (span.start, span.end))
