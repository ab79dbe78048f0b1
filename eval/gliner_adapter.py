"""Lets a model of the package ``gliner`` run through the same benchmarks."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from glinermt.config import TaskSettings
from glinermt.errors import BackendError
from glinermt.types import Overlap, Query, Span, SpanScore, Threshold

BATCH_SIZE = 8


class GlinerModel(Protocol):
    """What is used of ``gliner.GLiNER``."""

    def inference(
        self,
        texts: list[str],
        labels: list[str],
        *,
        flat_ner: bool,
        threshold: float,
        multi_label: bool,
        batch_size: int,
    ) -> list[list[dict[str, Any]]]: ...

    def state_dict(self) -> Mapping[str, Any]: ...


class GlinerExtractor:
    """An Extractor over ``gliner``: the prompt goes before the text, as that package does it.

    Nothing is done about that package's truncation of long texts: what it cannot see it misses.
    """

    def __init__(self, model: GlinerModel, settings: TaskSettings | None = None) -> None:
        self.model = model
        self.settings = settings or TaskSettings(span_score="min")

    @classmethod
    def load(cls, name: str) -> "GlinerExtractor":
        """Load a hub id or a folder with the package ``gliner``."""
        try:
            from gliner import GLiNER  # type: ignore[import-untyped]
        except ImportError as error:
            raise BackendError("this model needs the package gliner: pip install gliner") from error
        return cls(GLiNER.from_pretrained(name))

    def state_dict(self) -> Mapping[str, Any]:
        """Return the weights, for the model's hash."""
        return self.model.state_dict()

    def extract(
        self,
        queries: Sequence[Query],
        *,
        threshold: Threshold = 0.5,
        overlap: Overlap = "flat",
        multi_label: bool = False,
        span_score: SpanScore = "mean",  # noqa: ARG002  # gliner has its own score
    ) -> list[list[Span]]:
        """Ask query by label list, since ``inference`` takes one list for all its texts."""
        found: list[list[Span]] = [[] for _ in queries]
        by_labels: dict[tuple[str, ...], list[int]] = {}
        for index, query in enumerate(queries):
            if query.text.strip() and query.labels:
                by_labels.setdefault(query.labels, []).append(index)
        for labels, indices in by_labels.items():
            limits = {label: _limit(threshold, label) for label in labels}
            answers = self.model.inference(
                [_prefix(queries[index]) + queries[index].text for index in indices],
                list(labels),
                flat_ner=overlap == "flat",
                threshold=min(limits.values()),
                multi_label=multi_label,
                batch_size=BATCH_SIZE,
            )
            for index, entities in zip(indices, answers, strict=True):
                spans = [_span(queries[index], entity) for entity in entities]
                kept = [s for s in spans if s and s.score >= limits[s.label]]
                found[index] = sorted(kept, key=lambda span: (span.start, span.end))
        return found


def _prefix(query: Query) -> str:
    return f"{query.prompt}\n" if query.prompt else ""


def _span(query: Query, entity: Mapping[str, Any]) -> Span | None:
    """Move to the text's own offsets; None for what touches the prompt."""
    shift = len(_prefix(query))
    start, end = entity["start"] - shift, entity["end"] - shift
    if start < 0:
        return None
    return Span(start, end, query.text[start:end], entity["label"], float(entity["score"]))


def _limit(threshold: Threshold, label: str) -> float:
    return threshold[label] if isinstance(threshold, Mapping) else threshold
