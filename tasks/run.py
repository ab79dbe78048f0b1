"""Asking a model for a task: thresholds, grouping, stretches and temperature, once for everyone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from glinermt.config import TaskSettings, check_share, tempered
from glinermt.long_texts import cut
from glinermt.tasks.inputs import chunks
from glinermt.tasks.labels import Label
from glinermt.tasks.task import Task
from glinermt.types import Ask, Extractor, Found, Kind, Query, Span, Threshold

A = TypeVar("A")
R = TypeVar("R")


def run(
    task: Task[A, R],
    model: Extractor,
    texts: Sequence[str],
    asked: Sequence[A],
    *,
    threshold: Threshold | None = None,
) -> list[R]:
    """Ask the task about each text, in as few calls of the model as the thresholds allow.

    Args:
        task: what to do.
        model: whom to ask.
        texts: what to read.
        asked: what is asked about each, as the task's ``query`` takes it.
        threshold: least score, one number or one for each label by its name; where it says
            nothing, the model's settings hold, and then the task's own.

    Raises:
        TypeError: a threshold is not a number.
        ValueError: a threshold outside [0, 1], or something wrong with what is asked.
    """
    settings = in_force(task, model.settings, threshold)
    pieces: list[tuple[int, Query]] = []
    asks: list[Ask] = []
    owners: list[list[tuple[int, int]]] = []
    for text, one in zip(texts, asked, strict=True):
        how = _how(task, task.labels(one, settings), task.relations(one, settings), settings)
        own = []
        for query in task.query(text, one, settings):
            parts = task.cut(query, one, settings) if task.cut else _cut(task, query, settings)
            own.append((len(pieces), len(pieces) + len(parts)))
            pieces += parts
            asks += [how] * len(parts)
        owners.append(own)
    found = _found(task, model, pieces, asks)
    return [
        task.read(text, one, [_joined(found[first:last]) for first, last in own], settings)
        for text, one, own in zip(texts, asked, owners, strict=True)
    ]


def stream(
    task: Task[A, R],
    model: Extractor,
    rows: Iterable[tuple[str, A]],
    *,
    threshold: Threshold | None = None,
) -> Iterator[R]:
    """Run the task on (text, asked) rows, reading ahead a bounded number of them."""
    for chunk in chunks(rows):
        texts, asked = zip(*chunk, strict=True)
        yield from run(task, model, texts, asked, threshold=threshold)


def ask(
    task: Task[Any, Any],
    model: Extractor,
    queries: Sequence[Query],
    *,
    threshold: Threshold | None = None,
) -> list[Found]:
    """Ask queries that are worded already, as ``run`` asks them; what they find is not read.

    The spans keep the labels of the queries, and ``threshold`` names these.
    """
    settings = in_force(task, model.settings, threshold)
    pieces: list[tuple[int, Query]] = []
    asks: list[Ask] = []
    places = []
    for query in queries:
        labels, relations = (
            [Label(name, name, {}) for name in names] for names in (query.labels, query.relations)
        )
        parts = _cut(task, query, settings)
        places.append((len(pieces), len(pieces) + len(parts)))
        pieces += parts
        asks += [_how(task, labels, relations, settings)] * len(parts)
    found = _found(task, model, pieces, asks)
    return [_joined(found[first:last]) for first, last in places]


def one_threshold(threshold: object) -> float | None:
    """Return the threshold of a task whose findings have one label, None without any.

    Raises:
        TypeError: it is no number, such as one for each of some labels.
        ValueError: it lies outside [0, 1].
    """
    return None if threshold is None else check_share("threshold", threshold)


def in_force(
    task: Task[Any, Any], settings: TaskSettings, threshold: Threshold | None
) -> TaskSettings:
    """Return the model's settings with the caller's threshold put in.

    Raises:
        TypeError: it is not a number or numbers.
        ValueError: it lies outside [0, 1].
    """
    of_labels = settings.label_thresholds if task.label_thresholds else {}
    if threshold is None:
        return replace(settings, label_thresholds=of_labels)
    if isinstance(threshold, Mapping):
        given = {
            name: check_share(f"label {name!r}: threshold", value)
            for name, value in threshold.items()
        }
        return replace(settings, label_thresholds={**of_labels, **given})
    one = {**settings.thresholds, task.name: check_share("threshold", threshold)}
    return replace(settings, thresholds=one, label_thresholds={})


def kinds_of(model: Extractor) -> frozenset[Kind]:
    """Return what a model finds: spans, and perhaps relations, classes and records."""
    kinds: frozenset[Kind] = getattr(model, "kinds", frozenset({"spans"}))
    return kinds


def _how(
    task: Task[Any, Any],
    labels: Sequence[Label],
    relations: Sequence[Label],
    settings: TaskSettings,
) -> Ask:
    """Say how to decode; of labels that read the same, the lowest threshold holds."""
    return Ask(
        _limits(task, labels, settings),
        task.overlap,
        task.multi_label,
        task.span_score or settings.span_score,
        _limits(task, relations, settings) if relations else 0.5,
    )


def _limits(
    task: Task[Any, Any], labels: Iterable[Label], settings: TaskSettings
) -> dict[str, float]:
    limits: dict[str, float] = {}
    for label in labels:
        limit = min(task.limit(label, settings), 1.0 if task.floor is None else task.floor)
        limits[label.asked] = min(limit, limits.get(label.asked, 1.0))
    return limits


def _cut(task: Task[Any, Any], query: Query, settings: TaskSettings) -> Sequence[tuple[int, Query]]:
    return cut(query, settings.words_at_once.get(task.name, 0))


def _found(
    task: Task[Any, Any],
    model: Extractor,
    pieces: Sequence[tuple[int, Query]],
    asks: Sequence[Ask],
) -> list[Found]:
    """Return what each piece has, with its places in the whole text and scores tempered.

    Thresholds and scores are those that the model's temperature for the task makes of its own.
    """
    temperatures = model.settings.temperatures
    heat = temperatures.get(task.spans_of or task.name, 1.0), temperatures.get(task.name, 1.0)
    found = [Found()] * len(pieces)
    for how, members in _groups(asks, heat):
        answers = _asked(model, [pieces[i][1] for i in members], how)
        for i, answer in zip(members, answers, strict=True):
            found[i] = _placed(answer, pieces[i][0], heat)
    return found


def _asked(model: Extractor, queries: list[Query], how: Ask) -> list[Found]:
    if any(query.relations or query.classes or query.structures for query in queries):
        return model.read(queries, how)  # type: ignore[attr-defined, no-any-return]  # see ``kinds_of``
    spans = model.extract(
        queries,
        threshold=how.threshold,
        overlap=how.overlap,
        multi_label=how.multi_label,
        span_score=how.span_score,
    )
    return [Found(tuple(each)) for each in spans]


Heat = tuple[float, float]
"""The temperatures of spans and of relations."""


def _groups(asks: Sequence[Ask], heat: Heat) -> Iterator[tuple[Ask, list[int]]]:
    """Return the model's own thresholds by label, and which pieces they hold for."""
    members: dict[int, list[int]] = {}
    for i, how in enumerate(asks):
        members.setdefault(id(how), []).append(i)
    groups: list[tuple[dict[str, float], dict[str, float], list[int]]] = []
    for places in members.values():
        how = asks[places[0]]
        of_spans, of_relations = (
            {label: tempered(limit, 1 / temperature) for label, limit in limits.items()}
            if isinstance(limits, Mapping)
            else {}
            for limits, temperature in zip(
                (how.threshold, how.relation_threshold), heat, strict=True
            )
        )
        for spans, relations, together in groups:
            if _agree(spans, of_spans) and _agree(relations, of_relations):
                spans.update(of_spans)
                relations.update(of_relations)
                together += places
                break
        else:
            groups.append((of_spans, of_relations, places))
    for spans, relations, together in groups:
        how = replace(asks[together[0]], threshold=spans)
        if relations:
            how = replace(how, relation_threshold=relations)
        yield how, sorted(together)


def _agree(limits: Mapping[str, float], others: Mapping[str, float]) -> bool:
    return all(limits.get(label, limit) == limit for label, limit in others.items())


def _placed(found: Found, start: int, heat: Heat) -> Found:
    """Move to the whole text, and temper the scores."""
    of_spans, of_relations = heat
    relations = tuple(
        replace(
            relation,
            head=_moved(relation.head, start, of_spans),
            tail=_moved(relation.tail, start, of_spans),
            score=tempered(relation.score, of_relations),
        )
        for relation in found.relations
    )
    spans = tuple(_moved(span, start, of_spans) for span in found.spans)
    return replace(found, spans=spans, relations=relations)


def _moved(span: Span, start: int, temperature: float) -> Span:
    return replace(
        span,
        start=span.start + start,
        end=span.end + start,
        score=tempered(span.score, temperature),
    )


def _joined(parts: Sequence[Found]) -> Found:
    """Put what the parts of a text have together; a class's logit is the mean over them."""
    if len(parts) == 1:
        return parts[0]
    logits: dict[str, list[float]] = {}
    for part in parts:
        for name, logit in part.classes.items():
            logits.setdefault(name, []).append(logit)
    return Found(
        tuple(span for part in parts for span in part.spans),
        tuple(relation for part in parts for relation in part.relations),
        {name: sum(values) / len(values) for name, values in logits.items()},
    )
