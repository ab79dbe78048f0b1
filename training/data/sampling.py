"""One gold row and a seeded generator -> one Example: what is asked about the row this time."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from glinermt.long_texts import joined
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.instructions import OPEN_ENTITIES, Instruction
from glinermt.tasks.labels import read_labels
from glinermt.tasks.questions import ANSWER, Question
from glinermt.tasks.summaries import SUMMARIZE, Budget
from glinermt.tasks.task import example
from glinermt.training.config import Sampling, Source
from glinermt.training.data.label_pool import LabelPool, count_example_labels, count_labels
from glinermt.training.data.questions import Paragraphs, edit, without_answers
from glinermt.training.data.relations import PairSampler, RelationSampler, beside_types
from glinermt.training.data.rows import (
    ClassRow,
    EntityRow,
    QuestionRow,
    RelationRow,
    Row,
    SummaryRow,
    cut,
    shift,
)
from glinermt.types import Example, Query, Span

Sampler = Callable[[Any, random.Random], Example]

OPEN_INSTRUCTIONS = (
    "Find all mentions of {label} in the text.",
    "Extract every {label}.",
    "List each {label} named in the following text:",
    "Which words refer to {label}?",
)
"""Wordings of the open NER instruction made from a label."""


class EntitySampler:
    """Asks for some of a row's labels, and for absent ones."""

    def __init__(
        self, rows: Sequence[EntityRow], foreign: Sequence[str], sampling: Sampling
    ) -> None:
        self._rows = rows
        self._pool = LabelPool(count_labels(rows))
        self._foreign = foreign
        self._sampling = sampling

    def __call__(self, row: EntityRow, rng: random.Random) -> Example:
        sampling = self._sampling
        if rng.random() < sampling.joined_share:
            others = rng.choices(self._rows, k=rng.randint(1, sampling.most_joined))
            parts = rng.sample([row, *others], len(others) + 1)
            row = EntityRow(*joined((part.text, part.spans) for part in parts))
        text, spans = _cut(row.text, row.spans, sampling.max_words, rng)
        present = sorted({span.label for span in spans})
        if present and rng.random() < sampling.open_ner_share:
            return _open_example(text, spans, rng.choice(present), rng)
        asked = _some(present, sampling, rng)
        least = 0 if asked else 1
        absent = self._pool.draw(
            rng.randint(least, max(least, sampling.max_negatives)),
            exclude=present,
            frequency_share=sampling.frequency_share,
            rng=rng,
        )
        if self._foreign and (not asked + absent or rng.random() < sampling.foreign_share):
            absent += rng.sample(self._foreign, min(rng.randint(1, 2), len(self._foreign)))
        names = _wordings(asked + absent, sampling, rng)
        kept = [replace(span, label=names[span.label]) for span in spans if span.label in asked]
        labels = read_labels(list(names.values()))
        return shuffled(example(ENTITIES, text, labels, kept), rng)


class QuestionSampler:
    """Asks a row's question of its paragraph, or one that the paragraph does not answer."""

    def __init__(self, rows: Sequence[QuestionRow], sampling: Sampling) -> None:
        self._paragraphs = Paragraphs(rows)
        self._sampling = sampling

    def __call__(self, row: QuestionRow, rng: random.Random) -> Example:
        sampling = self._sampling
        question, text, answers = row.question, row.text, row.answers
        if rng.random() < sampling.unanswerable_share:
            question, text, answers = self._unanswerable(row, rng)
        text, answers = _cut(text, answers, sampling.max_words, rng)
        return example(ANSWER, text, Question(question), answers)

    def _unanswerable(
        self, row: QuestionRow, rng: random.Random
    ) -> tuple[str, str, tuple[Span, ...]]:
        """Change the question or the paragraph; the row as it is where neither can be done."""
        sampling = self._sampling
        if row.answers and rng.random() < sampling.edited_share:
            # The piece that held the answer is what looks right.
            text, answers = _cut(row.text, row.answers, sampling.max_words, rng)
            edited = edit(row.question, row.text, [span.text for span in answers], rng)
            if edited is not None:
                return edited, text, ()
        if row.answers and rng.random() < sampling.removed_share:
            shorter = without_answers(row.text, [span.text for span in row.answers])
            if shorter is not None:
                return row.question, shorter, ()
        similar = rng.random() < sampling.similar_share
        wrong = self._paragraphs.wrong(row, similar=similar, rng=rng)
        return (row.question, row.text, row.answers) if wrong is None else (row.question, wrong, ())


class SummarySampler:
    """Asks for the sentences that sum a row up."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling

    def __call__(self, row: SummaryRow, rng: random.Random) -> Example:
        text, spans = _cut(row.text, row.spans, self._sampling.max_summary_words, rng)
        return example(SUMMARIZE, text, Budget(), spans)


class ExampleSampler:
    """Asks for some of the labels an Example comes with.

    One that asks for relations or classes (besides) stays as it is: its places and what is judged
    of them are those of its whole text.
    """

    def __init__(self, rows: Sequence[Example], sampling: Sampling) -> None:
        self._sampling = sampling
        self._pool: LabelPool | None = None
        if sampling.borrowed_negatives:
            self._pool = LabelPool(count_example_labels(rows))

    def __call__(self, row: Example, rng: random.Random) -> Example:
        if row.query.relations or row.query.classes or not row.query.labels:
            return row
        sampling = self._sampling
        start, end = cut(row.query.text, row.spans, max_words=sampling.max_words, rng=rng)
        text, spans = row.query.text[start:end], shift(row.spans, start, end)
        present = sorted({span.label for span in spans})
        asked = _some(present, sampling, rng)
        absent = sorted(set(row.query.labels) - {span.label for span in row.spans})
        least = 0 if asked else 1
        number = rng.randint(least, max(least, sampling.max_negatives))
        labels = asked + rng.sample(absent, min(number, len(absent)))
        labels += self._borrowed(row, rng)
        labels += self._general(asked, labels, rng)
        kept = most_specific([span for span in spans if span.label in labels], sampling)
        query = replace(row.query, text=text, labels=tuple(labels or row.query.labels[:1]))
        silent = [(max(a, start) - start, min(b, end) - start) for a, b in row.silent]
        inside = tuple((a, b) for a, b in silent if a < b)
        return shuffled(replace(row, query=query, spans=kept, silent=inside), rng)

    def _general(
        self, asked: Sequence[str], labels: Sequence[str], rng: random.Random
    ) -> list[str]:
        """General types not asked yet of which a kind is present."""
        if rng.random() >= self._sampling.general_share:
            return []
        table = self._sampling.general_labels
        return [s for s in table if s not in labels and not set(table[s]).isdisjoint(asked)]

    def _borrowed(self, row: Example, rng: random.Random) -> list[str]:
        """Labels of other examples; only where entities are asked, not a fixed label's task."""
        if self._pool is None or row.task != ENTITIES.name:
            return []
        return self._pool.draw(
            rng.randint(0, self._sampling.borrowed_negatives),
            exclude=row.query.labels,
            frequency_share=self._sampling.frequency_share,
            rng=rng,
        )


def make_sampler(
    source: Source, rows: Sequence[Any], foreign: Sequence[str], sampling: Sampling
) -> Sampler:
    """Return the sampler for the rows of ``source``."""
    first: Row = rows[0]
    sampler: Sampler
    match first:
        case EntityRow():
            sampler = EntitySampler(rows, foreign, sampling)
        case RelationRow() if source.task == "pairs":
            only_listed = source.judged == "listed"
            sampler = PairSampler(rows, sampling, foreign, only_listed=only_listed)
        case RelationRow():
            sampler = RelationSampler(rows, sampling)
        case ClassRow():
            sampler = ClassSampler(rows, sampling, foreign)
        case QuestionRow():
            sampler = QuestionSampler(rows, sampling)
        case SummaryRow():
            sampler = SummarySampler(sampling)
        case Example():
            sampler = ExampleSampler(rows, sampling)
    return _named(sampler, source.prompt) if source.prompt else sampler


def most_specific(spans: Sequence[Span], sampling: Sampling) -> tuple[Span, ...]:
    """Leave out a general type's span where a kind of it is labelled at the same place."""
    table = sampling.general_labels
    there = {(span.start, span.end, span.label) for span in spans}
    return tuple(
        span
        for span in spans
        if not any((span.start, span.end, kind) in there for kind in table.get(span.label, ()))
    )


def shuffled(example: Example, rng: random.Random) -> Example:
    """Return the same example with its labels in another order."""
    labels = list(example.query.labels)
    rng.shuffle(labels)
    return replace(example, query=replace(example.query, labels=tuple(labels)))


def _named(sampler: Sampler, name: str) -> Sampler:
    """Put a data set's name before what ``sampler`` asks."""

    def sample(row: Any, rng: random.Random) -> Example:
        made = sampler(row, rng)
        prompt = f"{name} {made.query.prompt}".strip()
        return replace(made, query=replace(made.query, prompt=prompt))

    return sample


def _cut(
    text: str, spans: Sequence[Span], max_words: int, rng: random.Random
) -> tuple[str, tuple[Span, ...]]:
    start, end = cut(text, spans, max_words=max_words, rng=rng)
    return text[start:end], shift(spans, start, end)


def _some(present: Sequence[str], sampling: Sampling, rng: random.Random) -> list[str]:
    """Return the labels to ask for: all, a few too many cut off, or a random part of them."""
    asked = rng.sample(list(present), min(len(present), sampling.max_positives))
    if len(asked) > 1 and rng.random() < sampling.drop_share:
        asked = asked[: rng.randint(1, len(asked) - 1)]
    return asked


def _wordings(labels: Collection[str], sampling: Sampling, rng: random.Random) -> dict[str, str]:
    """Return each label the name it is asked by, all different."""
    names = {label: label for label in labels}
    if rng.random() < sampling.paraphrase_share:
        for label in labels:
            options = [s for s in sampling.paraphrases.get(label, ()) if s not in names.values()]
            if options:
                names[label] = rng.choice(options)
    return names


def _open_example(text: str, spans: Sequence[Span], label: str, rng: random.Random) -> Example:
    instruction = rng.choice(OPEN_INSTRUCTIONS).format(label=label)
    matches = [span for span in spans if span.label == label]
    return example(OPEN_ENTITIES, text, Instruction(instruction), matches)


class ClassSampler:
    """Asks for the classes of a row and for some of the data set's others, in any order."""

    def __init__(
        self, rows: Sequence[ClassRow], sampling: Sampling, foreign: Sequence[str] = ()
    ) -> None:
        self._pool = LabelPool(Counter(name for row in rows for name in row.classes))
        self._sampling = sampling
        self._foreign = foreign
        self._several = any(len(row.classes) > 1 for row in rows)

    def __call__(self, row: ClassRow, rng: random.Random) -> Example:
        most = self._sampling.max_class_labels
        gold = rng.sample(row.classes, min(len(row.classes), most - 1))
        absent = self._pool.draw(
            rng.randint(1 if gold else 2, most - len(gold)),
            exclude=row.classes,
            frequency_share=self._sampling.frequency_share,
            rng=rng,
        )
        names = [*gold, *absent]
        rng.shuffle(names)
        example = Example(
            Query(row.text, classes=tuple(names)),
            (),
            "classify",
            classes=tuple(gold),
            multi_label=self._several,
        )
        return beside_types(example, self._foreign, self._sampling, rng)
