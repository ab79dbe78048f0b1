"""Which rows to ask for: passage x task x style, drawn by seed, each with a stable id.

The plan is written once, a passage a line, and read as a stream; resuming needs no source file.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from glinermt.jsonl import read_jsonl, write_jsonl
from glinermt.synth.checks.passages import Benchmarks, NearDuplicates
from glinermt.synth.recipes import RECIPES
from glinermt.synth.settings import Settings
from glinermt.synth.texts import language_of, passages, read_texts, text_files

SYSTEM = {
    "en": "You annotate texts for training data. You reply with one JSON object and nothing else. "
    "Every quote is copied from the text letter by letter, short of nothing and with nothing "
    'added; "before" holds the few words that stand right before the quote in the text, empty '
    "at its beginning.",
    "de": "Du zeichnest Texte für Trainingsdaten aus. Du antwortest mit einem JSON-Objekt und "
    "nichts sonst. Jedes Zitat ist Buchstabe für Buchstabe aus dem Text kopiert, ohne dass etwas "
    'fehlt oder dazukommt; "before" enthält die wenigen Wörter unmittelbar vor dem Zitat, leer '
    "am Anfang des Textes.",
}
"""What the LLM is told first, by language. Field names of the reply are the same in all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to ask the LLM."""

    id: str
    recipe: str
    template: str
    """``recipe.style.language``."""
    count: int
    """Items that the prompt asks for at most."""
    text: str


@dataclass
class PlanCounts:
    """What became of the source texts."""

    texts: int = 0
    passages: int = 0
    rows: int = 0
    drops: Counter[str] = field(default_factory=Counter)


def planned(
    settings: Settings, benchmarks: Benchmarks, counts: PlanCounts
) -> Iterator[tuple[str, list[Row]]]:
    """Yield the passages with their rows; ``counts`` is brought up to date on the way."""
    sizes = {
        name: RECIPES[name].passage_tokens or settings.passage_tokens for name in settings.tasks
    }
    seen = {size: NearDuplicates(settings.similarity) for size in set(sizes.values())}
    limit = settings.limit or None
    files = text_files(settings.texts)
    for text in islice(read_texts(files, settings.text_field), limit):
        counts.texts += 1
        if not text:
            counts.drops["text: empty"] += 1
        for size, known in seen.items():
            names = [name for name in settings.tasks if sizes[name] == size]
            pieces = passages(text, size, settings.least_tokens, settings.language)
            for passage in islice(pieces, settings.passages_per_text or None):
                if fault := _fault(passage, known, benchmarks, settings):
                    counts.drops[fault] += 1
                    continue
                rows = _rows(passage, names, settings)
                counts.passages += 1
                counts.rows += len(rows)
                yield passage, rows


def _fault(
    passage: str, known: NearDuplicates, benchmarks: Benchmarks, settings: Settings
) -> str | None:
    if settings.only_language and language_of(passage) != settings.language:
        return "passage: another language"
    if known.seen_before(passage):
        return "passage: near duplicate"
    return "passage: in a benchmark" if benchmarks.hold(passage) else None


def _rows(passage: str, names: list[str], settings: Settings) -> list[Row]:
    draw = random.Random(f"{settings.seed} {passage}")
    if settings.tasks_per_text:
        number = min(settings.tasks_per_text, len(names))
        names = sorted(draw.sample(names, number), key=names.index)
    rows = []
    for name in names:
        recipe = RECIPES[name]
        style = draw.choice(sorted(recipe.prompts[settings.language]))
        count = draw.choice(recipe.counts)
        row = Row("", name, f"{name}.{style}.{settings.language}", count, passage)
        identity = [system(row), prompt(row), settings.model, str(settings.sampling.draw)]
        id_ = hashlib.sha256(json.dumps([row.template, *identity]).encode()).hexdigest()[:16]
        rows.append(replace(row, id=id_))
    return rows


def write_plan(passages_: Iterable[tuple[str, list[Row]]], file: Path) -> None:
    """Write a passage a line, beside ``file`` first."""
    lines = (
        {"text": passage, "rows": [[row.id, row.template, row.count] for row in rows]}
        for passage, rows in passages_
    )
    write_jsonl(file, lines)


def read_plan(file: Path) -> Iterator[Row]:
    """Yield the rows that ``write_plan`` wrote."""
    for _, passage in read_jsonl(file):
        for id_, name, count in passage["rows"]:
            yield Row(id_, name.split(".")[0], name, count, passage["text"])


def prompt(row: Row) -> str:
    """Return the row's prompt."""
    name, style, language = row.template.split(".")
    return RECIPES[name].filled(language, style, text=row.text, count=row.count)


def system(row: Row) -> str:
    """Return what the LLM is told before the row's prompt, in its language."""
    return SYSTEM[row.template.rpartition(".")[2]]
