"""Classification: which of some labels a text as a whole has.

A model with a class head gives each label a logit. A long text is read in windows, whose logits are
averaged, weighted by their words; a long list of labels in passes, whose logits are of one scale.
Published multitask models mark the name of a class inside a prompt that lists all of them; their
settings have such a prompt, with ``{classes}``.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glinermt.config import TaskSettings, check_flag
from glinermt.default_model import load_extractor
from glinermt.errors import UsageError
from glinermt.long_texts import stretches
from glinermt.tasks.inputs import by_shape, restore, rows
from glinermt.tasks.labels import Label, LabelSpec, read_labels, spec_argument
from glinermt.tasks.run import kinds_of, stream
from glinermt.tasks.task import Task
from glinermt.types import Classification, Example, Extractor, Found, Query, Span, Threshold

WORDS_AT_ONCE = 250
"""Words of a text that stand behind one prompt that lists classes."""
CLASSES_AT_ONCE = 24
"""Classes that one prompt lists."""
_LEAST = 1e-4
"""Probability of a class that is not marked."""


@by_shape
def classify(
    text: str | Iterable[str],
    labels: LabelSpec | Iterable[LabelSpec],
    *,
    multi_label: bool = False,
    threshold: Threshold | None = None,
    model: Extractor | str | Path | None = None,
) -> Classification:
    """Say which of the labels a text has: the likeliest one, or with ``multi_label`` all that fit.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        labels: names, ``{name: description}``, or ``{name: {"description", "threshold"}}``; for
            all texts, or one such for each.
        multi_label: whether a text may have several labels or none. Scores are then those of each
            label by itself (sigmoid), else they add up to 1 (softmax).
        threshold: least score of a label that is given, a number or one for each label; None = the
            model's, else 0.5 with ``multi_label``, and without it the best label is given.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or labels are no strings.
        ValueError: no label or an empty one, numbers that do not match, or a model that cannot
            classify.
    """
    extractor = load_extractor(model)
    given = rows(text, spec_argument("labels", labels, threshold))
    asked = ((t, Classes(tuple(read_labels(spec)), multi_label)) for t, spec in given)
    return restore(text, stream(_task(extractor), extractor, asked, threshold=threshold))


@dataclass(frozen=True, slots=True)
class Classes:
    """The labels that a text as a whole may have."""

    labels: tuple[Label, ...]
    multi_label: bool = False

    def __post_init__(self) -> None:
        check_flag("multi_label", self.multi_label)


def _task(model: Extractor) -> Task[Classes, Classification]:
    """Return the way in which the model classifies."""
    if "classes" in kinds_of(model):
        return CLASSIFY
    if "{classes}" in model.settings.prompts.get(CLASSIFY.name, ""):
        return MARKED_CLASSES
    raise UsageError(
        "this model cannot classify: it has no class head, and its settings no prompt for it with "
        "{classes}; pass a model that was trained to"
    )


def _query(text: str, asked: Classes, settings: TaskSettings) -> list[Query]:
    names = tuple(label.asked for label in asked.labels)
    return [Query(text, (), CLASSIFY.word_prompt(settings), classes=names)]


def _no_spans(_: Classes, __: TaskSettings) -> Sequence[Label]:
    return ()


def _whole(query: Query, _: Classes, __: TaskSettings) -> list[tuple[int, Query]]:
    return [(0, query)]


def _mark(query: Query, asked: Classes, gold: Iterable[str], _: TaskSettings) -> Example:
    names = _asked_names(asked, gold)
    return Example(query, (), task=CLASSIFY.name, classes=names, multi_label=asked.multi_label)


def _asked_names(asked: Classes, gold: Iterable[str]) -> tuple[str, ...]:
    names = {label.name: label.asked for label in asked.labels}
    chosen = tuple(gold)
    for name in chosen:
        if name not in names:
            raise UsageError(f"class {name!r} is not among {', '.join(names)}")
    return tuple(names[name] for name in chosen)


def _read(_: str, asked: Classes, found: Sequence[Found], settings: TaskSettings) -> Classification:
    return _chosen(asked, found[0].classes, settings, settings.temperatures.get("classify", 1.0))


def _chosen(
    asked: Classes, logits: Mapping[str, float], settings: TaskSettings, temperature: float = 1.0
) -> Classification:
    """Turn logits into scores, and choose; a text without words has no label."""
    if not logits:
        return Classification(None, (), dict.fromkeys((label.name for label in asked.labels), 0.0))
    values = [logits[label.asked] / temperature for label in asked.labels]
    shares = [_sigmoid(v) for v in values] if asked.multi_label else _softmax(values)
    scores = dict(zip((label.name for label in asked.labels), shares, strict=True))
    task = replace(CLASSIFY, threshold=0.5 if asked.multi_label else 0.0)
    fit = [
        label.name for label in asked.labels if scores[label.name] >= task.limit(label, settings)
    ]
    ranked = sorted(fit, key=lambda name: -scores[name])
    best = max(scores, key=lambda name: scores[name])
    if not asked.multi_label:
        ranked = [name for name in ranked[:1] if name == best]
    return Classification(ranked[0] if ranked else None, tuple(ranked), scores)


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def _softmax(values: Sequence[float]) -> list[float]:
    most = max(values, default=0.0)
    parts = [math.exp(value - most) for value in values]
    total = sum(parts)
    return [part / total for part in parts]


def _passes(
    text: str, asked: Classes, settings: TaskSettings
) -> Iterator[tuple[Query, int, dict[str, tuple[int, int]]]]:
    """Yield each stretch with each group of classes: query, words, and places of the classes."""
    most_words = settings.words_at_once.get(CLASSIFY.name, WORDS_AT_ONCE)
    before, _, behind = settings.prompts[CLASSIFY.name].partition("{classes}")
    for start, end in stretches(text, most_words):
        for first in range(0, len(asked.labels), CLASSES_AT_ONCE):
            prompt = before
            places: dict[str, tuple[int, int]] = {}
            for label in asked.labels[first : first + CLASSES_AT_ONCE]:
                prompt += ", " if places else ""
                places[label.asked] = len(prompt), len(prompt) + len(label.asked)
                prompt += label.asked
            whole = f"{prompt}{behind} \n {text[start:end]}"
            query = Query(whole, (MARKED_CLASSES.word_label(settings),))
            yield query, len(text[start:end].split()), places


def _marked_labels(_: Classes, settings: TaskSettings) -> Sequence[Label]:
    return [Label(MARKED_CLASSES.label, MARKED_CLASSES.word_label(settings), {"threshold": 0.01})]


def _marked_query(text: str, asked: Classes, settings: TaskSettings) -> list[Query]:
    return [query for query, _, _ in _passes(text, asked, settings)]


def _mark_in_prompt(
    query: Query, asked: Classes, gold: Iterable[str], settings: TaskSettings
) -> Example:
    _, _, places = next(_passes("", asked, settings))
    names = _asked_names(asked, gold)
    spans = tuple(Span(*places[name], name, query.labels[0]) for name in names)
    return Example(query, spans, task=CLASSIFY.name)


def _marked_read(
    text: str, asked: Classes, found: Sequence[Found], settings: TaskSettings
) -> Classification:
    """Average each class's best mark over the stretches, weighted by their words."""
    total = dict.fromkeys((label.asked for label in asked.labels), 0.0)
    words = dict.fromkeys(total, 0)
    for (_, number, places), part in zip(_passes(text, asked, settings), found, strict=True):
        for name, (start, end) in places.items():
            marked = [span.score for span in part.spans if _is_mark(span, start, end)]
            total[name] += number * max(marked, default=0.0)
            words[name] += number
    if not any(words.values()):
        return _chosen(asked, {}, settings)
    shares = {name: min(max(total[name] / words[name], _LEAST), 1 - _LEAST) for name in total}
    logits = {name: math.log(share / (1 - share)) for name, share in shares.items()}
    return _chosen(asked, logits, settings)


def _is_mark(span: Span, start: int, end: int) -> bool:
    """Whether the span and the name at ``start`` to ``end`` share more than half of each."""
    shared = min(span.end, end) - max(span.start, start)
    return 2 * shared > max(end - start, span.end - span.start)


CLASSIFY: Task[Classes, Classification] = Task(
    name="classify", query=_query, labels=_no_spans, read=_read, mark=_mark, cut=_whole
)
MARKED_CLASSES: Task[Classes, Classification] = replace(
    CLASSIFY,
    query=_marked_query,
    labels=_marked_labels,
    read=_marked_read,
    mark=_mark_in_prompt,
    label="match",
    overlap="nested",
)
"""The same for published multitask models, which mark the name of a class inside the prompt."""
