"""Choosing thresholds, and the lead of summaries, on dev data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from glinermt.config import TaskSettings, tempered
from glinermt.eval.calibration.thresholds import (
    Judged,
    best_temperature,
    calibration_error,
)
from glinermt.eval.calibration.ways import WAYS
from glinermt.eval.data.cases import SummaryCase
from glinermt.eval.metrics.texts import rouge
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.run import kinds_of
from glinermt.tasks.summaries import summarize
from glinermt.types import (
    Ask,
    Extractor,
    Found,
    Kind,
    Overlap,
    Query,
    Span,
    SpanScore,
    Threshold,
)

FEW_CASES = 50
"""Cases of a task below which its threshold is chosen with a warning."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was chosen for one task, and its effect on the dev data it was chosen on."""

    task: str
    threshold: float
    label_thresholds: Mapping[str, float]
    temperature: float
    num_cases: int
    f1_before: float
    f1_after: float
    error_before: float
    error_after: float
    judged: Sequence[Judged]

    @property
    def helps(self) -> bool:
        """Whether the choice is better when the model is really asked under it.

        The choice is made on answers found at a low threshold; under a higher one a model may
        find others, so that it can be worse.
        """
        return self.f1_after > self.f1_before


def calibrate(
    model: Extractor, dev: Mapping[str, Sequence[Any]], *, per_label: bool = True
) -> list[Calibration]:
    """Choose thresholds per task, on cases that ``read_dev`` read; the model is left as it is.

    ``per_label``: also for labels with at least ``MIN_GOLD`` gold spans. Summaries have
    none: see ``choose_lead``.
    """
    chosen = []
    for task, way in WAYS.items():
        cases = dev.get(task, ())
        if not cases:
            continue
        bare = _WithSettings(model, replace(model.settings, temperatures={}))
        own_threshold, own_labels, judged = way.judge(bare, cases)
        temperature = best_temperature(judged)
        if way.scores_add_up:
            warm = replace(model.settings, temperatures={task: temperature})
            threshold, labels, after = way.judge(_WithSettings(model, warm), cases)
        else:
            threshold = tempered(own_threshold, temperature)
            labels = {label: tempered(limit, temperature) for label, limit in own_labels.items()}
            after = [(tempered(score, temperature), right) for score, right in judged]
        labels = labels if per_label else {}
        changed = with_choice(model.settings, task, threshold, labels, temperature)
        chosen.append(
            Calibration(
                task,
                threshold,
                labels,
                temperature,
                num_cases=len(cases),
                f1_before=way.f1(model, cases),
                f1_after=way.f1(_WithSettings(model, changed), cases),
                error_before=calibration_error(judged),
                error_after=calibration_error(after),
                judged=judged,
            )
        )
    return chosen


def with_choice(
    settings: TaskSettings,
    task: str,
    threshold: float,
    labels: Mapping[str, float],
    temperature: float,
) -> TaskSettings:
    """Return the settings with one task's choice put in; of entities, in place of all it had."""
    return replace(
        settings,
        thresholds={**settings.thresholds, task: threshold},
        label_thresholds=dict(labels) if task == ENTITIES.name else settings.label_thresholds,
        temperatures={**settings.temperatures, task: temperature},
    )


@dataclass(frozen=True)
class _WithSettings:
    """A model under other settings."""

    model: Extractor
    settings: TaskSettings

    @property
    def kinds(self) -> frozenset[Kind]:
        return kinds_of(self.model)

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:
        return self.model.read(queries, ask)  # type: ignore[attr-defined, no-any-return]

    def extract(
        self,
        queries: Sequence[Query],
        *,
        threshold: Threshold = 0.5,
        overlap: Overlap = "flat",
        multi_label: bool = False,
        span_score: SpanScore = "mean",
    ) -> list[list[Span]]:
        return self.model.extract(
            queries,
            threshold=threshold,
            overlap=overlap,
            multi_label=multi_label,
            span_score=span_score,
        )


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
