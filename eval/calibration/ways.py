"""How each task's threshold is chosen on dev cases, and what it is worth there."""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from glinermt.errors import UsageError
from glinermt.eval.benchmarks.ner20 import ner20
from glinermt.eval.benchmarks.squad2 import Squad2
from glinermt.eval.calibration.dev import SentenceCase, triple
from glinermt.eval.calibration.thresholds import (
    Judged,
    best_answer_threshold,
    best_span_threshold,
)
from glinermt.eval.metrics.entities import strict_f1
from glinermt.eval.metrics.texts import ScoredAnswer, exact_match
from glinermt.eval.protocol import Benchmark, Options
from glinermt.eval.scores import evaluate
from glinermt.tasks import TASKS
from glinermt.tasks.classification import classify
from glinermt.tasks.keyphrases import extract_keyphrases
from glinermt.tasks.relations import extract_relations
from glinermt.tasks.run import ask, kinds_of
from glinermt.types import Example, Extractor, Relation, Span

FLOOR = 0.05
"""Entities and relations below this score are not looked at."""
MIN_GOLD = 50
"""Gold spans a label needs for a threshold of its own."""

Choice = tuple[float, Mapping[str, float], list[Judged]]
"""The best threshold, those of single labels, and what they were chosen from."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a task's threshold is chosen, and what it is worth."""

    judge: Callable[[Extractor, Sequence[Any]], Choice]
    """Asks under a low threshold."""
    f1: Callable[[Extractor, Sequence[Any]], float]
    """Asks under the model's own settings."""
    scores_add_up: bool = False
    """Whether scores depend on each other, so that a temperature moves them together and the
    threshold is chosen under it."""


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


Key = Hashable
Find = Callable[[Extractor, Sequence[Any], float | None], Sequence[Mapping[Any, float]]]
"""(model, cases, threshold or None for the model's own) -> what is found in each, with scores."""
Gold = Callable[[Any], Collection[Key]]
"""A case -> what should be found in it."""


def _judge(
    find: Find, gold: Gold, model: Extractor, cases: Sequence[Any], *, floor: float = FLOOR
) -> Choice:
    golds = [gold(case) for case in cases]
    judged = [
        (score, key in own)
        for own, found in zip(golds, find(model, cases, floor), strict=True)
        for key, score in found.items()
    ]
    return best_span_threshold(judged, sum(map(len, golds)))[0], {}, judged


def _found_f1(find: Find, gold: Gold, model: Extractor, cases: Sequence[Any]) -> float:
    return strict_f1(map(gold, cases), find(model, cases, None))


def _f1(benchmark: Benchmark[Any], model: Extractor, cases: Sequence[Any]) -> float:
    """Return the mean F1 over the sets."""
    predictions = benchmark.predict(model, cases)
    settings = benchmark.settings(model.settings)
    results = evaluate(benchmark, cases, {"": predictions}, settings, rounds=1)
    return results[-1].metrics["f1"].value


def _relations(
    model: Extractor, cases: Sequence[Any], threshold: float | None
) -> list[dict[Key, float]]:
    """Find relations of whole sentences; of Examples, which ask as training does, their own."""
    if any(isinstance(case, Example) for case in cases):
        return _found("relations", model, cases, threshold)
    found = extract_relations(
        [case.text for case in cases],
        [case.relations for case in cases],
        entities=[case.entities for case in cases],
        threshold=threshold,
        model=model,
    )
    return [{triple(relation): relation.score for relation in each} for each in found]


def _related(case: SentenceCase | Example) -> Collection[Key]:
    return _gold(case) if isinstance(case, Example) else case.gold


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


def _values(
    model: Extractor, cases: Sequence[Example], threshold: float | None
) -> list[dict[Key, float]]:
    """Return each field's values with their scores, without those inside a better one."""
    found = ask(TASKS["records"], model, [case.query for case in cases], threshold=threshold)
    values: list[dict[Key, float]] = []
    for case, each in zip(cases, found, strict=True):
        golds = Counter(span.label for span in case.spans)
        kept: list[Span] = []
        for span in sorted(each.spans, key=lambda span: (-span.score, span.start)):
            own = [other for other in kept if other.label == span.label]
            full = len(own) == 1 and golds[span.label] <= 1
            if not full and not any(span.overlaps(other) for other in own):
                kept.append(span)
        values.append({_key(span): span.score for span in kept})
    return values


def _keyphrases(
    model: Extractor, cases: Sequence[Example], threshold: float | None
) -> list[dict[str, float]]:
    texts = [case.query.text for case in cases]
    return [_phrases(s) for s in extract_keyphrases(texts, threshold=threshold, model=model)]


def _phrases(spans: Iterable[Span]) -> dict[str, float]:
    """Return phrases with their scores; where they stand does not matter."""
    return {" ".join(span.text.casefold().split()): span.score for span in spans}


def _classes(
    model: Extractor, cases: Sequence[Example], threshold: float | None
) -> list[dict[str, float]]:
    """Return the likeliest class where one holds, else all that reach the threshold."""
    results: dict[int, dict[str, float]] = {}
    for multi_label in {case.multi_label for case in cases}:
        own = [i for i, case in enumerate(cases) if case.multi_label == multi_label]
        found = classify(
            [cases[i].query.text for i in own],
            [list(cases[i].query.classes) for i in own],
            multi_label=multi_label,
            threshold=threshold,
            model=model,
        )
        chosen = ({label: each.scores[label] for label in each.labels} for each in found)
        results |= dict(zip(own, chosen, strict=True))
    return [results[i] for i in range(len(cases))]


def _key(item: Span | Relation) -> Key:
    if isinstance(item, Relation):
        return triple(item)
    return item.start, item.end, item.label


def _phrases_of(case: Example) -> Collection[Key]:
    return _phrases(case.spans)


def _classes_of(case: Example) -> Collection[Key]:
    return set(case.classes)


def _way(find: Find, gold: Gold, *, floor: float = FLOOR, scores_add_up: bool = False) -> Way:
    judge = partial(_judge, find, gold, floor=floor)
    return Way(judge, partial(_found_f1, find, gold), scores_add_up)


WAYS = {
    "entities": Way(_judge_entities, partial(_f1, ner20(Options(threshold=None)))),
    # Evidence is taken off the log odds that the temperature has divided.
    "answer": Way(_judge_answers, partial(_f1, Squad2()), scores_add_up=True),
    "relations": _way(_relations, _related),
    **{name: _way(partial(_found, name), _gold) for name in ("open_entities", "matches")},
    "classify": _way(_classes, _classes_of, floor=0.0, scores_add_up=True),
    "records": _way(_values, _gold),
    "keyphrases": _way(_keyphrases, _phrases_of),
}
