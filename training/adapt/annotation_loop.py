"""The annotation loop: suggest texts, let people correct them in a tool, learn, measure, again.

    LOOP/loop.json                    what is annotated, and the texts of every round
    LOOP/texts.jsonl                  the pool
    LOOP/round-1/to_correct.json      texts with what the model finds, for the tool
    LOOP/round-1/corrected.jsonl      what people made of it, as Examples
    LOOP/round-1/model/, report.json  what was learned of all rounds so far
    LOOP/round-2/...

The gain is measured on texts drawn at random, which nothing is learned from: those that a strategy
suggests are harder than the others and would say too little.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glinermt.errors import DataError, UsageError, unknown_choice
from glinermt.eval.metrics.entities import span_counts, span_f1, span_measure
from glinermt.eval.scores import interval, replicates
from glinermt.formats.correction import TOOLS, read_corrected, write_for_correction
from glinermt.formats.document import Document
from glinermt.formats.label_studio import label_studio_config
from glinermt.jsonl import read_jsonl, write_jsonl, write_text
from glinermt.model import GlinerMT
from glinermt.tasks.active_learning import STRATEGIES, By, suggest
from glinermt.tasks.entities import ENTITIES, extract_entities
from glinermt.tasks.labels import read_labels
from glinermt.tasks.task import example
from glinermt.training.adapt.fine_tuning import Tuning, fine_tune
from glinermt.training.adapt.self_training import SelfTraining, annotate
from glinermt.training.adapt.watching import Callback
from glinermt.training.dev_scores import label_scores, predict
from glinermt.types import Example, Extractor

STATE, POOL, TO_CORRECT, CORRECTED = "loop.json", "texts.jsonl", "to_correct", "corrected.jsonl"
GENERAL = ("person", "organization", "location", "date")
"""Labels whose findings are rehearsed where there are no examples to replay."""
REHEARSED = 200
"""Texts of the pool that these are looked for in."""


@dataclass(frozen=True, slots=True)
class Loop:
    """What an annotation loop is about, and which texts its rounds have."""

    labels: tuple[str, ...]
    tool: str
    by: By
    n: int
    """Texts suggested each round."""
    model: str | None
    """Folder or hub id that every round's learning begins with; None = the shipped model."""
    held: tuple[int, ...]
    """Places in the pool of the texts that the gain is measured on."""
    rounds: tuple[tuple[int, ...], ...] = ()
    """Places of the texts of each round; the first has the held ones, too."""


@dataclass(frozen=True, slots=True)
class RoundReport:
    """What a round taught the model."""

    round: int
    learned: int
    """Texts learned from, of all rounds."""
    held: int
    """Texts that the gain is measured on."""
    missing: int
    """Texts of the round that are not in the export, or were skipped there."""
    before: float
    """Strict F1 of the start on the held texts."""
    after: float
    gain: tuple[float, float]
    """95% interval of the difference, by resampling the held texts."""
    labels: dict[str, tuple[float, float]]
    """F1 before and after, per label."""


def begin_loop(
    folder: Path,
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    tool: str = "label-studio",
    by: By = "margin",
    n: int = 50,
    held: int = 30,
    model: str | None = None,
    seed: int = 42,
) -> Path:
    """Begin a loop in a folder; return the file of the first round, to be corrected in the tool.

    Args:
        folder: for all that the loop keeps.
        texts: the pool that is annotated from.
        labels: names of the entity types.
        tool: ``label-studio``, ``prodigy`` or ``doccano``.
        by: how texts are chosen, see ``suggest``.
        n: texts suggested each round.
        held: texts besides, drawn at random in the first round, that the gain is measured on.
        model: folder or hub id; None = the shipped model.
        seed: of the draw.

    Raises:
        DataError: the folder holds a loop, or the pool is too small.
        ValueError: an unknown tool or strategy, or no labels.
    """
    for what, value, choices in (("tool", tool, TOOLS), ("strategy", by, STRATEGIES)):
        if value not in choices:
            raise UsageError(unknown_choice(what, value, choices))
    if (folder / STATE).exists() and open_loop(folder).rounds:
        raise DataError(f"{folder}: a loop was begun in it; go on with it, or name another folder")
    names = tuple(label.name for label in read_labels(list(labels)))
    pool = [text for text in dict.fromkeys(texts) if text.strip()]
    if held < 1 or len(pool) < held + n:
        raise DataError(
            f"the pool has {len(pool)} different texts, too few for {held} to measure on (at least "
            f"1) and {n} to learn from"
        )
    drawn = tuple(sorted(random.Random(seed).sample(range(len(pool)), held)))
    write_jsonl(folder / POOL, ({"text": text} for text in pool))
    _save(folder, Loop(names, tool, by, n, model, drawn))
    return next_round(folder)


def open_loop(folder: Path) -> Loop:
    """Read the state of a loop.

    Raises:
        DataError: the folder holds none, or it is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        raise DataError(f"{folder}: there is no loop in it; begin one with --texts and --labels")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rounds = tuple(tuple(map(int, places)) for places in data["rounds"])
        held = tuple(map(int, data["held"]))
        return Loop(**{**data, "labels": tuple(data["labels"]), "held": held, "rounds": rounds})
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}:1: not the state of a loop: {error!r}") from error


def next_round(folder: Path) -> Path:
    """Suggest texts for another round; return the file to be corrected.

    Raises:
        DataError: the last round was not learned from, or no text is left.
    """
    loop, pool = open_loop(folder), _pool(folder)
    number = len(loop.rounds) + 1
    last = folder / f"round-{number - 1}"
    if loop.rounds and not (last / "report.json").exists():
        raise DataError(f"{last}: it was not learned from; give its export with --corrected")
    model = GlinerMT.from_pretrained(last / "model" if loop.rounds else loop.model)
    used = {*loop.held, *(place for places in loop.rounds for place in places)}
    left = [place for place in range(len(pool)) if place not in used]
    if not left:
        raise DataError(f"{folder}: every text of the pool is annotated")
    texts = [pool[place] for place in left]
    chosen = [left[s.index] for s in suggest(texts, loop.labels, by=loop.by, n=loop.n, model=model)]
    places = [*chosen, *(() if loop.rounds else loop.held)]
    # The held texts stand among the others, so that they are corrected with the same care.
    random.Random(number).shuffle(places)
    found = extract_entities([pool[place] for place in places], loop.labels, model=model)
    documents = [
        Document(pool[place], tuple(spans)) for place, spans in zip(places, found, strict=True)
    ]
    round_folder = folder / f"round-{number}"
    ending = ".json" if loop.tool == "label-studio" else ".jsonl"
    path = round_folder / f"{TO_CORRECT}{ending}"
    write_for_correction(documents, path, loop.tool, model=f"round {number}")
    if loop.tool == "label-studio":
        write_text(round_folder / "labelling_config.xml", label_studio_config(loop.labels))
    _save(folder, replace(loop, rounds=(*loop.rounds, tuple(sorted(places)))))
    return path


def is_done(folder: Path) -> bool:
    """Whether every text of the pool was given out."""
    loop = open_loop(folder)
    given = {*loop.held, *(place for places in loop.rounds for place in places)}
    return len(given) == len(_pool(folder))


def learn_round(
    folder: Path,
    corrected: Path,
    *,
    replay: Sequence[Example] = (),
    steps: int = 200,
    tuning: Tuning | None = None,
    callbacks: Sequence[Callback] = (),
) -> RoundReport:
    """Learn what people corrected, from the start model and all rounds; measure the gain.

    The export may hold earlier rounds, too; what it says of their texts then holds. A round may be
    learned from again, with another export.

    Args:
        folder: of the loop.
        corrected: what the tool exported.
        replay: general examples against forgetting; without any, what the start model is sure of
            for ``GENERAL`` labels in other texts of the pool.
        steps: optimiser steps.
        tuning: rates and the rest.
        callbacks: told of the steps, as those of ``fine_tune``.

    Raises:
        DataError: a text is not one of the loop, a label is not asked for, or not one of the
            texts of the last round, to learn from or to measure on was annotated.
    """
    loop, pool = open_loop(folder), _pool(folder)
    if not loop.rounds:
        raise DataError(f"{folder}: no texts were given out yet; begin again with --texts")
    known = {pool[place]: place for places in loop.rounds for place in places}
    start = GlinerMT.from_pretrained(loop.model)
    said = _corrections(folder, loop, known)
    now = {}
    for document in read_corrected(corrected, loop.tool):
        now[_place(document, known, corrected)] = _checked(document, loop.labels, corrected)
    said.update(now)
    latest = [place for place in loop.rounds[-1] if place in now]
    if not latest:
        last = folder / f"round-{len(loop.rounds)}"
        raise DataError(
            f"{corrected}: it has no text of {last}, the last that was given out, or none that was "
            "annotated; was it learned from already?"
        )
    labels = read_labels(list(loop.labels))
    examples = {
        place: example(ENTITIES, one.text, labels, one.spans, start.settings)
        for place, one in sorted(said.items())
    }
    train = [row for place, row in examples.items() if place not in loop.held]
    held = [row for place, row in examples.items() if place in loop.held]
    for what, rows in (("learn from", train), ("measure on", held)):
        if not rows:
            raise DataError(f"{corrected}: not one of the texts to {what} was annotated")
    before = predict(start, held)
    rehearsed = replay or _rehearsal(start, pool, loop, skip=said)
    fine_tune(start, train, steps=steps, replay=rehearsed, tuning=tuning, callbacks=callbacks)
    after = predict(start, held)
    gold = [row.spans for row in held]
    report = RoundReport(
        round=len(loop.rounds),
        learned=len(train),
        held=len(held),
        missing=len(loop.rounds[-1]) - len(latest),
        before=span_f1(gold, before),
        after=span_f1(gold, after),
        gain=_gain(held, before, after),
        labels=label_scores(gold, before, after),
    )
    round_folder = folder / f"round-{len(loop.rounds)}"
    write_jsonl(round_folder / CORRECTED, (examples[place].to_dict() for place in latest))
    start.save_pretrained(round_folder / "model")
    write_text(round_folder / "report.json", json.dumps(asdict(report), indent=1) + "\n")
    return report


def _save(folder: Path, loop: Loop) -> None:
    write_text(folder / STATE, json.dumps(asdict(loop), ensure_ascii=False, indent=1) + "\n")


def _pool(folder: Path) -> list[str]:
    return [row["text"] for _, row in read_jsonl(folder / POOL)]


def _corrections(folder: Path, loop: Loop, known: dict[str, int]) -> dict[int, Document]:
    """Return what earlier rounds said of their texts."""
    said = {}
    for number in range(1, len(loop.rounds)):
        for _, row in read_jsonl(folder / f"round-{number}" / CORRECTED):
            one = Example.from_dict(row)
            said[known[one.query.text]] = Document(one.query.text, one.spans)
    return said


def _place(document: Document, known: dict[str, int], path: Path) -> int:
    if document.text not in known:
        raise DataError(
            f"{path}: the text {document.text!r:.60} was never given out by this loop; export the "
            "project of this loop alone, with its texts as they were"
        )
    return known[document.text]


def _checked(document: Document, labels: Iterable[str], path: Path) -> Document:
    for span in document.spans:
        if span.label not in labels:
            raise DataError(
                f"{path}: label {span.label!r} of {span.text!r:.40} is not among {list(labels)}"
            )
    return document


def _rehearsal(
    model: Extractor, pool: Sequence[str], loop: Loop, *, skip: dict[int, Document]
) -> list[Example]:
    """Return what the model is sure of for labels that are not learned (Robins 1995)."""
    general = [label for label in GENERAL if label not in loop.labels]
    places = [i for i in range(len(pool)) if i not in skip and i not in loop.held]
    drawn = random.Random(0).sample(places, min(REHEARSED, len(places)))
    if not drawn:
        return []
    try:
        return annotate(model, [pool[i] for i in drawn], general, settings=SelfTraining())
    except UsageError:  # it is sure of nothing there
        return []


def _gain(held: Sequence[Example], before: Any, after: Any) -> tuple[float, float]:
    scores = [
        replicates(
            [
                span_counts(row.query.text, row.spans, spans)
                for row, spans in zip(held, found, strict=True)
            ],
            span_measure,
        )["f1"]
        for found in (before, after)
    ]
    return interval(scores[1] - scores[0])
