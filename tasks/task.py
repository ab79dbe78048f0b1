"""A task as a value: how it words what it asks, how it is decoded, and how its result is read.

Whatever asks a model for a task (the public functions, training, evaluation, the data factory)
goes through the ``Task``, so that trained and asked wordings are the same ones.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from glinermt.config import TaskSettings
from glinermt.errors import UsageError
from glinermt.tasks.labels import Label
from glinermt.types import Example, Found, Overlap, Query, Span, SpanScore

Asked = TypeVar("Asked")
Result = TypeVar("Result")

_FIELD = re.compile(r"\\\{(\w+)\\\}")
DEFAULT = TaskSettings()
"""The wordings and thresholds of a model that has none of its own."""


def uncut(query: Query, _: Any, __: TaskSettings) -> list[tuple[int, Query]]:
    """Leave a long text to the model's windows, which overlap; see ``Task.cut``."""
    return [(0, query)]


def no_labels(_: Any, __: TaskSettings) -> Sequence[Label]:
    """Return that a task asks for none of a kind."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Generic[Asked, Result]):
    """One task. ``Asked`` is what is asked about a text, ``Result`` what is found in it."""

    name: str
    """Its name everywhere: in settings, Examples, commands, recipes and the documentation."""
    query: Callable[[str, Asked, TaskSettings], list[Query]]
    """(text, asked, settings) -> the queries; the only place that words a prompt or a label."""
    labels: Callable[[Asked, TaskSettings], Sequence[Label]]
    """The span labels of the queries, with the names and thresholds the user knows them by."""
    read: Callable[[str, Asked, Sequence[Found], TaskSettings], Result]
    """(text, asked, what each query found, settings) -> the result. The settings are those in
    force: see ``limit``."""
    relations: Callable[[Asked, TaskSettings], Sequence[Label]] = no_labels
    """The relation labels of the queries, likewise."""
    mark: Callable[[Query, Asked, Iterable[Any], TaskSettings], Example] | None = None
    """(query, asked, gold, settings) -> the training example; None = gold spans are marked under
    the labels that ask for them."""
    cut: Callable[[Query, Asked, TaskSettings], list[tuple[int, Query]]] | None = None
    """Parts of a long query, each with the place where its text begins; None = the stretches that
    the settings' ``words_at_once`` says."""
    prompt: str = ""
    """The wording of the prompt, with fields such as {question}; settings may have another."""
    label: str = ""
    """The wording of the label of tasks that have a fixed one, likewise."""
    threshold: float = 0.5
    """Least score, where neither the caller nor the model says another."""
    floor: float | None = None
    """Candidates from this score up are looked at, to be ranked; None = from the threshold up."""
    span_score: SpanScore | None = None
    """How a span is scored; None = as the model says."""
    spans_of: str | None = None
    """The task whose temperature holds for the spans, where they are not this task's results."""
    overlap: Overlap = "flat"
    multi_label: bool = False
    label_thresholds: bool = False
    """Whether the model's thresholds of single entity labels hold here."""

    def limit(self, label: Label, settings: TaskSettings) -> float:
        """Return the least score of a label under the settings in force.

        That is the label's own threshold, else the settings' for its name, else theirs for the
        task, else the task's.
        """
        if label.threshold is not None:
            return label.threshold
        default = settings.thresholds.get(self.name, self.threshold)
        return settings.label_thresholds.get(label.name, default)

    def word_prompt(self, settings: TaskSettings, **fields: str) -> str:
        """Return the prompt in the model's wording, else the task's own."""
        return wording(settings.prompts.get(self.name, self.prompt), **fields)

    def word_label(self, settings: TaskSettings, **fields: str) -> str:
        """Return the fixed label in the model's wording, else the task's own."""
        return wording(settings.labels.get(self.name, self.label), **fields)


def wording(template: str, **fields: str) -> str:
    """Fill a wording with ``fields``.

    The fields are replaced as they stand: nothing in a checkpoint's wording is evaluated, and
    braces in a field's value are text.
    """
    return re.sub(r"\{(\w+)\}", lambda found: fields.get(found[1], found[0]), template)


def example(
    task: Task[Asked, Any],
    text: str,
    asked: Asked,
    gold: Iterable[Any],
    settings: TaskSettings = DEFAULT,
) -> Example:
    """Make the training example, with the very query that the task would ask.

    Args:
        task: the task it teaches.
        text: the text of all gold.
        asked: what is asked about the text, as the task's ``query`` takes it.
        gold: the spans that are to be found (a task with a single label takes any label on
            them), or the relations; without any, there is nothing to be found.
        settings: of the model to train, whose wordings are used.

    Raises:
        ValueError: the gold has a label that is not asked.
    """
    (query,) = task.query(text, asked, settings)
    if task.mark:
        return task.mark(query, asked, gold, settings)
    spans = _under_labels(list(gold), task.labels(asked, settings))
    return Example(query, spans, task=task.name)


def _under_labels(gold: Sequence[Span], labels: Sequence[Label]) -> tuple[Span, ...]:
    """Return the spans under the labels as the model reads them; a single label takes all."""
    if len(labels) == 1:
        return tuple(replace(span, label=labels[0].asked) for span in gold)
    asked = {label.name: label.asked for label in labels}
    for span in gold:
        if span.label not in asked:
            raise UsageError(f"span label {span.label!r} is not among {', '.join(asked)}")
    return tuple(replace(span, label=asked[span.label]) for span in gold)


def reworded(
    example: Example, task: Task[Any, Any] | None, settings: TaskSettings = DEFAULT
) -> Example:
    """Return an Example with prompt and labels as ``settings`` word those of its task.

    Only what is worded as the package does it is changed: an instruction or a label that somebody
    chose stays, and so does all of an example without a task (None).
    """
    if task is None:
        return example
    query = example.query
    prompt = _in_words(query.prompt, task.prompt, settings.prompts.get(task.name))
    names = {
        label: _in_words(label, task.label, settings.labels.get(task.name) if task.label else None)
        for label in query.labels
    }
    labels = tuple(names[label] for label in query.labels)
    spans = tuple(replace(span, label=names[span.label]) for span in example.spans)
    return replace(example, query=replace(query, labels=labels, prompt=prompt), spans=spans)


def _in_words(text: str, own: str, other: str | None) -> str:
    """Return ``text`` in another wording, if it is in our own."""
    if other is None or other == own:
        return text
    pattern = _FIELD.sub(r"(?P<\1>.*)", re.escape(own))
    found = re.fullmatch(pattern, text, re.DOTALL)
    if not found or set(re.findall(r"\{(\w+)\}", other)) - set(found.groupdict()):
        return text
    return wording(other, **found.groupdict())
