"""How each task's threshold is chosen on dev cases, and what it is worth there."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from glinermt.types import Classification, Example, Extractor, Relation, Span

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


def _judge_records(model: Extractor, cases: Sequence[Example]) -> Choice:
    """Judge the values found for the fields; a field with one value takes the best only."""
    judged = [
        (score, key in _gold(example))
        for example, found in zip(cases, _values(model, cases, FLOOR), strict=True)
        for key, score in found.items()
    ]
    return best_span_threshold(judged, sum(len(_gold(e)) for e in cases))[0], {}, judged


def _records_f1(model: Extractor, cases: Sequence[Example]) -> float:
    return strict_f1(map(_gold, cases), _values(model, cases, None))


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


def _judge_keyphrases(model: Extractor, cases: Sequence[Example]) -> Choice:
    judged = [
        (score, phrase in _phrases(case.spans))
        for case, found in zip(cases, _keyphrases(model, cases, FLOOR), strict=True)
        for phrase, score in found.items()
    ]
    golds = sum(len(_phrases(case.spans)) for case in cases)
    return best_span_threshold(judged, golds)[0], {}, judged


def _keyphrases_f1(model: Extractor, cases: Sequence[Example]) -> float:
    golds = (_phrases(case.spans) for case in cases)
    return strict_f1(map(set, golds), _keyphrases(model, cases, None))


def _keyphrases(
    model: Extractor, cases: Sequence[Example], threshold: float | None
) -> list[dict[str, float]]:
    texts = [case.query.text for case in cases]
    return [_phrases(s) for s in extract_keyphrases(texts, threshold=threshold, model=model)]


def _phrases(spans: Iterable[Span]) -> dict[str, float]:
    """Return phrases with their scores; where they stand does not matter."""
    return {" ".join(span.text.casefold().split()): span.score for span in spans}


def _judge_classes(model: Extractor, cases: Sequence[Example]) -> Choice:
    """Judge the likeliest class where one holds, else every class."""
    judged: list[Judged] = []
    for case, found in zip(cases, _classified(model, cases, 0.0), strict=True):
        judged += [(found.scores[label], label in case.classes) for label in found.labels]
    return best_span_threshold(judged, sum(len(case.classes) for case in cases))[0], {}, judged


def _classes_f1(model: Extractor, cases: Sequence[Example]) -> float:
    found = (each.labels for each in _classified(model, cases, None))
    return strict_f1((set(case.classes) for case in cases), found)


def _classified(
    model: Extractor, cases: Sequence[Example], threshold: float | None
) -> list[Classification]:
    results: dict[int, Classification] = {}
    for multi_label in {case.multi_label for case in cases}:
        own = [i for i, case in enumerate(cases) if case.multi_label == multi_label]
        found = classify(
            [cases[i].query.text for i in own],
            [list(cases[i].query.classes) for i in own],
            multi_label=multi_label,
            threshold=threshold,
            model=model,
        )
        results |= dict(zip(own, found, strict=True))
    return [results[i] for i in range(len(cases))]


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
    "classify": Way(_judge_classes, _classes_f1, scores_add_up=True),
    "records": Way(_judge_records, _records_f1),
    "keyphrases": Way(_judge_keyphrases, _keyphrases_f1),
}
