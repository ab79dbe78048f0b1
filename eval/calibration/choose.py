"""Choosing thresholds, and the lead of summaries, on dev data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any

from glinermt.config import TaskSettings, tempered
from glinermt.errors import UsageError
from glinermt.eval.benchmarks.ner20 import ner20
from glinermt.eval.benchmarks.squad2 import Squad2
from glinermt.eval.calibration.dev import SentenceCase, triple
from glinermt.eval.calibration.thresholds import (
    Judged,
    best_answer_threshold,
    best_span_threshold,
    best_temperature,
    calibration_error,
)
from glinermt.eval.data.cases import SummaryCase
from glinermt.eval.metrics.entities import strict_f1
from glinermt.eval.metrics.texts import ScoredAnswer, exact_match, rouge
from glinermt.eval.protocol import Benchmark, Options
from glinermt.eval.scores import evaluate
from glinermt.tasks import TASKS
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.relations import extract_relations
from glinermt.tasks.run import ask, kinds_of
from glinermt.tasks.summaries import summarize
from glinermt.types import Example, Extractor, Overlap, Query, Relation, Span, SpanScore, Threshold

FLOOR = 0.05
"""Entities and relations below this score are not looked at."""
MIN_GOLD = 50
"""Gold spans a label needs for a threshold of its own."""


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
        threshold = tempered(own_threshold, temperature)
        labels = {
            label: tempered(limit, temperature) for label, limit in own_labels.items() if per_label
        }
        after = [(tempered(score, temperature), right) for score, right in judged]
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


Choice = tuple[float, Mapping[str, float], list[Judged]]
"""The best threshold, those of single labels, and what they were chosen from."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a task's threshold is chosen, and what it is worth."""

    judge: Callable[[Extractor, Sequence[Any]], Choice]
    """Asks under a low threshold."""
    f1: Callable[[Extractor, Sequence[Any]], float]
    """Asks under the model's own settings."""


def _judge_entities(model: Extractor, cases: Sequence[Any]) -> Choice:
    by_label: dict[str, list[Judged]] = {}
    golds: dict[str, int] = {}
    predictions = ner20(Options(threshold=FLOOR)).predict(model, cases)
    for case, prediction in zip(cases, predictions, strict=True):
        gold = {(span.start, span.end, span.label) for span in case.spans}
        for _, _, label in gold:
            golds[label] = golds.get(label, 0) + 1
        for raw in prediction["spans"]:
            right = (raw["start"], raw["end"], raw["label"]) in gold
            by_label.setdefault(raw["label"], []).append((raw["score"], right))
    judged = [pair for pairs in by_label.values() for pair in pairs]
    threshold, _ = best_span_threshold(judged, sum(golds.values()))
    labels = {
        label: best_span_threshold(by_label.get(label, []), count)[0]
        for label, count in sorted(golds.items())
        if count >= MIN_GOLD and any(right for _, right in by_label.get(label, []))
    }
    return threshold, labels, judged


def _judge_answers(model: Extractor, cases: Sequence[Any]) -> Choice:
    pairs = list(zip(cases, Squad2().predict(model, cases), strict=True))
    answers = [ScoredAnswer(p["text"], p["no_answer_score"], c.answers) for c, p in pairs]
    judged = [
        (p["score"], bool(c.answers) and exact_match(p["text"], c.answers) == 1)
        for c, p in pairs
        if p["text"]
    ]
    return best_answer_threshold(answers)[0], {}, judged


def _judge_relations(model: Extractor, cases: Sequence[Any]) -> Choice:
    """Judge relations of whole sentences; of Examples, which ask as training does, see below."""
    examples = [case for case in cases if isinstance(case, Example)]
    if examples:
        return _judge_examples("relations", model, examples)
    found = _find_relations(model, cases, FLOOR)
    judged = [
        (relation.score, triple(relation) in case.gold)
        for case, row in zip(cases, found, strict=True)
        for relation in row
    ]
    return best_span_threshold(judged, sum(len(case.gold) for case in cases))[0], {}, judged


def _f1(benchmark: Benchmark[Any], model: Extractor, cases: Sequence[Any]) -> float:
    """Return the mean F1 over the sets."""
    predictions = benchmark.predict(model, cases)
    settings = benchmark.settings(model.settings)
    results = evaluate(benchmark, cases, {"": predictions}, settings, rounds=1)
    return results[-1].metrics["f1"].value


def _judge_examples(task: str, model: Extractor, cases: Sequence[Example]) -> Choice:
    """Judge what is found for the Examples' own queries."""
    judged = [
        (score, key in _gold(example))
        for example, found in zip(cases, _found(task, model, cases, FLOOR), strict=True)
        for key, score in found.items()
    ]
    return best_span_threshold(judged, sum(len(_gold(e)) for e in cases))[0], {}, judged


def _examples_f1(task: str, model: Extractor, cases: Sequence[Example]) -> float:
    return strict_f1(map(_gold, cases), _found(task, model, cases, None))


def _relations_f1(model: Extractor, cases: Sequence[Any]) -> float:
    examples = [case for case in cases if isinstance(case, Example)]
    if examples:
        return _examples_f1("relations", model, examples)
    found = [map(triple, row) for row in _find_relations(model, cases)]
    return strict_f1((case.gold for case in cases), found)


def _find_relations(
    model: Extractor, cases: Sequence[SentenceCase], threshold: float | None = None
) -> list[list[Relation]]:
    """Find relations; under the threshold saved with the model where none is given."""
    return extract_relations(
        [case.text for case in cases],
        [case.relations for case in cases],
        entities=[case.entities for case in cases],
        threshold=threshold,
        model=model,
    )


Key = tuple[object, ...]


def _found(
    task: str, model: Extractor, cases: Sequence[Example], threshold: float | None
) -> list[dict[Key, float]]:
    """Return the place and name of each thing found, with its score.

    Raises:
        ValueError: the Examples judge pairs, and the model cannot.
    """
    if any(example.query.relations for example in cases) and "relations" not in kinds_of(model):
        raise UsageError("these examples judge pairs, which needs a model with a relation head")
    found = ask(TASKS[task], model, [example.query for example in cases], threshold=threshold)
    return [
        {_key(span): span.score for span in each.spans}
        | {_key(relation): relation.score for relation in each.relations}
        for each in found
    ]


def _gold(example: Example) -> set[Key]:
    return {*map(_key, example.spans), *map(_key, example.relations)}


def _key(item: Span | Relation) -> Key:
    if isinstance(item, Relation):
        return triple(item)
    return item.start, item.end, item.label


WAYS = {
    "entities": Way(_judge_entities, partial(_f1, ner20(Options(threshold=None)))),
    "answer": Way(_judge_answers, partial(_f1, Squad2())),
    "relations": Way(_judge_relations, _relations_f1),
    **{
        name: Way(partial(_judge_examples, name), partial(_examples_f1, name))
        for name in ("open_entities", "matches")
    },
}


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
