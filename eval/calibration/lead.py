"""Choosing how much an early place counts for a summary sentence, on dev data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from glinermt.config import TaskSettings
from glinermt.eval.data.cases import SummaryCase
from glinermt.eval.metrics.rouge import rouge
from glinermt.tasks.summaries import summarize
from glinermt.types import Extractor, Query, Span

LEADS = tuple(round(0.1 * i, 1) for i in range(11))
NUM_SENTENCES = 3


@dataclass(frozen=True, slots=True)
class LeadChoice:
    """Mean ROUGE-1 + ROUGE-2 of three sentences for every lead tried."""

    scores: dict[float, float]
    num_cases: int

    @property
    def lead(self) -> float:
        """The best; of equally good ones the least."""
        return max(self.scores, key=lambda lead: (self.scores[lead], -lead))


def choose_lead(model: Extractor, cases: Sequence[SummaryCase]) -> LeadChoice:
    """Try every lead on the documents; the model reads them once."""
    texts = [case.text for case in cases]
    remembering = _Remembering(model)
    scores = {}
    for lead in LEADS:
        remembering.settings = replace(model.settings, lead=lead)
        summaries = summarize(texts, sentences=NUM_SENTENCES, model=remembering)
        found = [rouge(c.summary, s.text) for c, s in zip(cases, summaries, strict=True)]
        scores[lead] = fmean(each["rouge1"] + each["rouge2"] for each in found)
    return LeadChoice(scores, len(cases))


class _Remembering:
    """A model that is asked each query once; the thresholds here never change."""

    def __init__(self, model: Extractor) -> None:
        self.settings: TaskSettings = model.settings
        self._model = model
        self._found: dict[Query, list[Span]] = {}

    def extract(self, queries: Sequence[Query], **how: Any) -> list[list[Span]]:
        new = [query for query in dict.fromkeys(queries) if query not in self._found]
        self._found.update(zip(new, self._model.extract(new, **how), strict=True))
        return [self._found[query] for query in queries]
