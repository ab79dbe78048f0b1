"""Extraction by instruction ("all products of Apple"): open NER, open information extraction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glinermt.config import TaskSettings
from glinermt.default_model import load_extractor
from glinermt.tasks.inputs import by_shape, check_string, restore, rows, string_argument
from glinermt.tasks.labels import Label, LabelSpec, read_labels, renamed, spec_argument
from glinermt.tasks.run import one_threshold, stream
from glinermt.tasks.task import Task
from glinermt.types import Extractor, Found, Query, Span, SpanScore, Threshold

LABEL = "match"
_MATCH = (Label(LABEL, LABEL, {}),)


@dataclass(frozen=True, slots=True)
class Instruction:
    """What to find, in words, and what to call it."""

    text: str
    labels: tuple[Label, ...] = _MATCH


@by_shape
def extract_open_entities(
    text: str | Iterable[str],
    instruction: str | Iterable[str],
    labels: LabelSpec | Iterable[LabelSpec] = (LABEL,),
    *,
    threshold: Threshold | None = None,
    span_score: SpanScore | None = None,
    model: Extractor | str | Path | None = None,
) -> list[Span]:
    """Find the entities that an instruction describes.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        instruction: what to find, in words; for all texts, or one for each.
        labels: what to call the findings, for more than one kind of them.
        threshold: least score, a number or one for each label; None = the model's, else 0.5.
        span_score: how a span's score comes from its words': ``mean`` or ``min``; None = as the
            model says.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts, instructions or labels are no strings.
        ValueError: an empty instruction or label, or numbers that do not match.
    """
    given = rows(
        text,
        string_argument("instruction", instruction),
        spec_argument("labels", labels, threshold),
    )
    asked = ((t, _instruction(words, tuple(read_labels(spec)))) for t, words, spec in given)
    task = replace(OPEN_ENTITIES, span_score=span_score)
    return restore(text, stream(task, load_extractor(model), asked, threshold=threshold))


@by_shape
def extract_matches(
    text: str | Iterable[str],
    instruction: str | Iterable[str],
    *,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    model: Extractor | str | Path | None = None,
) -> list[Span]:
    """Find all pieces of the text that an instruction asks for, labelled ``match``.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        instruction: what to find, in words; for all texts, or one for each.
        threshold: least score; None = the model's, else 0.5.
        span_score: how a span's score comes from its words': ``mean`` or ``min``; None = as the
            model says.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or instructions are no strings.
        ValueError: an empty instruction, or numbers that do not match.
    """
    given = rows(text, string_argument("instruction", instruction))
    asked = ((t, _instruction(words)) for t, words in given)
    task = replace(MATCHES, span_score=span_score)
    return restore(
        text, stream(task, load_extractor(model), asked, threshold=one_threshold(threshold))
    )


def _instruction(words: str, labels: tuple[Label, ...] = _MATCH) -> Instruction:
    return Instruction(check_string("instruction", words), labels)


def _by_instruction(name: str) -> Task[Instruction, list[Span]]:
    """Return one of the two tasks that an instruction is all of."""

    def labels(asked: Instruction, settings: TaskSettings) -> Sequence[Label]:
        if [label.asked for label in asked.labels] != [LABEL]:
            return asked.labels  # the caller's own are left alone
        return [replace(asked.labels[0], asked=task.word_label(settings))]

    def query(text: str, asked: Instruction, settings: TaskSettings) -> list[Query]:
        names = tuple(label.asked for label in labels(asked, settings))
        return [Query(text, names, task.word_prompt(settings, instruction=asked.text))]

    def read(
        _: str, asked: Instruction, found: Sequence[Found], settings: TaskSettings
    ) -> list[Span]:
        return renamed(found[0].spans, labels(asked, settings))

    task = Task(
        name=name, query=query, labels=labels, read=read, prompt="{instruction}", label=LABEL
    )
    return task


OPEN_ENTITIES = _by_instruction("open_entities")
MATCHES = _by_instruction("matches")
