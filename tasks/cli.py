"""The task commands. A command is a function of its own options; those of all stand once, below."""

import inspect
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from glinermt import console as show
from glinermt.console import names_in, relations_in
from glinermt.errors import DataError, UsageError

Show = Callable[[Console, str, Any], None]
"""Shows a person the result of a text."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a command does with the texts it is given."""

    task: str
    """The function of ``glinermt.tasks`` that is called."""
    options: Mapping[str, Any]
    """Its arguments, but for the texts and what all commands have; those that are None count as
    not given."""
    show: Show
    title: str
    """Heads the page."""


Source = Annotated[
    str, typer.Argument(metavar="TEXT|FILE|-", help="A text, a file, or - for standard input.")
]
Threshold = Annotated[float | None, typer.Option("--threshold", help="Least score, 0 to 1.")]
Rule = Annotated[
    str | None,
    typer.Option("--span-score", help="Score of a span from its words': mean or min."),
]
Model = Annotated[
    str | None, typer.Option("--model", help="Folder or hub id; the shipped model without.")
]
Json = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each text.")]
Html = Annotated[Path | None, typer.Option("--html", help="Write one page that shows the result.")]
Jsonl = Annotated[
    Path | None, typer.Option("--jsonl", help="Read many texts, one JSON a line, from a file or -.")
]
Field = Annotated[str, typer.Option("--field", help="Where --jsonl keeps the text.")]

_LABELS = "separated by commas; may be repeated."
Labels = Annotated[list[str], typer.Option("--labels", help=f"Entity types, {_LABELS}")]
SomeLabels = Annotated[list[str] | None, typer.Option("--labels", help=f"Entity types, {_LABELS}")]
MultiLabel = Annotated[bool, typer.Option("--multi-label", help="Allow several labels.")]
Instruction = Annotated[str, typer.Option("--instruction", "-i", help="What to find.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app; the names of older versions still work."""
    commands: Sequence[tuple[Callable[..., Job], str, tuple[str, ...], bool]] = (
        (entities, "entities", ("extract",), True),
        (open_entities, "open-entities", ("open",), True),
        (relations, "relations", (), True),
        (answer, "answer", (), True),
        (summarize, "summarize", (), True),
        (matches, "matches", ("match",), True),
        (classify, "classify", (), False),
        (keyphrases, "keyphrases", (), True),
        (records, "records", (), False),
        (redact, "redact", (), False),
        (read, "read", (), False),
    )
    for function, name, old_names, has_spans in commands:
        command = _with_shared_options(function, has_spans=has_spans)
        app.command(name)(command)
        for old in old_names:
            app.command(old, hidden=True)(command)
    app.command("demo")(demo)


def entities(
    labels: Labels,
    nested: Annotated[bool, typer.Option("--nested", help="Allow spans inside spans.")] = False,
    multi_label: MultiLabel = False,
    order: Annotated[
        str, typer.Option("--order", help="Of labels: given, or invariant (four orders, slower).")
    ] = "given",
) -> Job:
    """Find entities of the given types."""
    options = {
        "labels": names_in(labels),
        "overlap": "nested" if nested else "flat",
        "multi_label": multi_label,
        "order": order,
    }
    return Job("extract_entities", options, _spans("entities"), ", ".join(labels))


def open_entities(instruction: Instruction, labels: SomeLabels = None) -> Job:
    """Find the entities that an instruction describes."""
    options = {"instruction": instruction, "labels": names_in(labels) if labels else None}
    return Job("extract_open_entities", options, _spans("open entities"), instruction)


def matches(instruction: Instruction) -> Job:
    """Find all pieces of the text that an instruction asks for."""
    return Job("extract_matches", {"instruction": instruction}, _spans("matches"), instruction)


def relations(
    names: Annotated[
        list[str],
        typer.Option(
            "--relations",
            help="Names, separated by commas; with types as 'founded by: organization | band > "
            "person'. May be repeated.",
        ),
    ],
    labels: SomeLabels = None,
    entity_threshold: Annotated[
        float | None, typer.Option(help="Least score of the entities.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="pairs, labels; without, pairs where the model can.")
    ] = None,
    joint: Annotated[
        bool, typer.Option("--joint", help="Let a relation raise the types it names (pairs).")
    ] = False,
) -> Job:
    """Find which entities stand in which relations."""
    options = {
        "relations": relations_in(names),
        "entities": names_in(labels) if labels else None,
        "entity_threshold": entity_threshold,
        "method": method,
        "joint": joint,
    }
    return Job("extract_relations", options, _result(show.show_relations), ", ".join(names))


def answer(
    question: Annotated[str, typer.Option("--question", "-q", help="What to ask the text.")],
    top_k: Annotated[int, typer.Option("--top-k", help="How many answers at most.")] = 1,
) -> Job:
    """Answer a question from the text, or say that it does not answer."""
    options: dict[str, Any] = {"question": question}
    if top_k == 1:
        return Job("answer", options, lambda c, _, one: show.show_answers(c, [one]), question)
    return Job("answers", options | {"top_k": top_k}, _result(show.show_answers), question)


def summarize(
    sentences: Annotated[int | None, typer.Option(help="How many; 3 without a budget.")] = None,
    words: Annotated[int | None, typer.Option(help="How many words at most.")] = None,
    ratio: Annotated[float | None, typer.Option(help="Part of the text's words at most.")] = None,
    spans: Annotated[bool, typer.Option("--spans", help="Pieces instead of sentences.")] = False,
) -> Job:
    """Sum a text up in its own words."""
    unit = "span" if spans else "sentence"
    options = {"sentences": sentences, "words": words, "ratio": ratio, "unit": unit}
    return Job("summarize", options, _result(show.show_summary), "summary")


def classify(
    labels: Annotated[list[str], typer.Option("--labels", help=f"Classes, {_LABELS}")],
    multi_label: MultiLabel = False,
) -> Job:
    """Say which of the labels a text as a whole has."""
    options = {"labels": names_in(labels), "multi_label": multi_label}
    return Job("classify", options, _result(show.show_classification), ", ".join(labels))


def keyphrases(
    top_k: Annotated[int, typer.Option("--top-k", help="How many phrases at most.")] = 10,
) -> Job:
    """Find the phrases that say what a text is about, the best first."""
    return Job("extract_keyphrases", {"top_k": top_k}, _spans("key phrases"), "key phrases")


def redact(
    labels: SomeLabels = None,
    placeholder: Annotated[
        str, typer.Option(help="With {label} and {number}, or the word pseudonym.")
    ] = "[{label}]",
) -> Job:
    """Replace what is private by placeholders."""
    options = {"labels": names_in(labels) if labels else None, "placeholder": placeholder}
    return Job("redact", options, _result(show.show_redaction), "redaction")


def records(
    schema: Annotated[Path, typer.Option("--schema", help="A JSON schema of an object, a file.")],
    many: Annotated[bool, typer.Option("--many", help="Find several records.")] = False,
    anchor: Annotated[
        str | None, typer.Option(help="The field that each of several records has one of.")
    ] = None,
    on_invalid: Annotated[
        str, typer.Option(help="What becomes of a record that is not valid: drop, raise, keep.")
    ] = "drop",
) -> Job:
    """Fill a schema from a text, each value with the words that say it."""
    options = {
        "schema": show.read_json(schema, "--schema"),
        "many": many,
        "anchor": anchor,
        "on_invalid": on_invalid,
    }
    return Job("extract_records", options, _result(show.show_records), schema.stem)


def read(
    schema: Annotated[
        Path | None,
        typer.Option(
            "--schema",
            help="A JSON file with any of entities, relations, classes (by the name of their "
            "question) and records (JSON schemas by name).",
        ),
    ] = None,
    labels: SomeLabels = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--relations", help="As in the command relations. May be repeated."),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--classes", help="As 'mood: good, bad'. May be repeated."),
    ] = None,
) -> Job:
    """Find entities, relations, classes and records in one pass of the model."""
    asked: dict[str, Any] = {} if schema is None else show.read_json(schema, "--schema")
    for key, given in (
        ("entities", names_in(labels) if labels else None),
        ("relations", relations_in(names) if names else None),
        ("classes", _questions(classes) if classes else None),
    ):
        if given and key in asked:
            raise UsageError(f"{key} stand in {schema}, too; give them once")
        if given:
            asked[key] = given
    if not asked:
        raise UsageError("nothing is asked; give --schema, --labels, --relations or --classes")
    return Job("read", {"schema": asked}, show.show_reading, ", ".join(asked))


def demo(model: Model = None) -> None:
    """Extract from a sample document: entities, an answer and a summary."""
    from glinermt.default_model import load_extractor
    from glinermt.tasks import answer as find_answer
    from glinermt.tasks import extract_entities
    from glinermt.tasks import summarize as sum_up

    text = (files("glinermt.tasks") / "sample.txt").read_text(encoding="utf-8").strip()
    labels = ["scientist", "university", "city", "country", "award", "chemical element"]
    question = "Which elements did the couple discover?"
    console = Console()
    loaded = load_extractor(model)
    found: Any = extract_entities(text, labels, model=loaded)
    show.show_spans(console, text, found, title="entities")
    console.print(f"\n[bold]{question}[/bold]")
    show.show_answers(console, [find_answer(question, text, model=loaded)])
    console.print()
    show.show_summary(console, sum_up(text, sentences=2, model=loaded))


def _questions(given: Iterable[str]) -> dict[str, list[str]]:
    """Read ``name: class, class``, one a value."""
    found: dict[str, list[str]] = {}
    for item in given:
        name, colon, classes = item.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"--classes: expected 'name: class, class', got {item!r}")
        found[name.strip()] = names_in([classes], f"--classes {name.strip()!r}")
    return found


def _spans(title: str) -> Show:
    return lambda console, text, spans: show.show_spans(console, text, spans, title=title)


def _result(shown: Callable[[Console, Any], None]) -> Show:
    """Show a result without its text."""
    return lambda console, _, result: shown(console, result)


def _with_shared_options(function: Callable[..., Job], *, has_spans: bool) -> Callable[..., None]:
    """Return the command: the function's own options, and those that all task commands have."""
    own = inspect.signature(function).parameters
    shared = dict(inspect.signature(_perform).parameters)
    del shared["job"]
    if not has_spans:
        del shared["span_score"]

    def command(**given: Any) -> None:
        options = {name: given.pop(name) for name in shared}
        _perform(function(**given), **options)

    parameters = [*own.values(), *shared.values()]
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    )
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    return command


def _perform(
    job: Job,
    *,
    text: Source = "",
    threshold: Threshold = None,
    span_score: Rule = None,
    model: Model = None,
    json: Json = False,
    html: Html = None,
    jsonl: Jsonl = None,
    field: Field = "text",
) -> None:
    """Read the texts, run the job on them, and show the results."""
    from glinermt import tasks
    from glinermt.default_model import load_extractor

    if html is not None:
        _check_place(html)
    texts, total = _texts(text, jsonl, field)
    all_options = {**job.options, "threshold": threshold, "span_score": span_score}
    options = {name: value for name, value in all_options.items() if value is not None}
    find = partial(getattr(tasks, job.task), **options, model=load_extractor(model))
    asked, told = itertools.tee(texts)
    results: Iterable[Any]
    if jsonl is None:
        results = (find(text=one) for one in asked)
    else:
        progress = Console(stderr=True)
        results = track(
            find(text=asked),
            total=total,
            console=progress,
            transient=True,
            disable=not progress.is_terminal,
        )
    console = Console()
    pages = []
    for one, result in zip(told, results, strict=True):
        if json:
            sys.stdout.buffer.write(show.to_json(result) + b"\n")
            sys.stdout.flush()
        elif html is None:
            job.show(console, one, result)
        if html is not None:
            pages.append((one, result))
    if html is not None:
        from glinermt.tasks.page import page

        html.write_text(page(pages, job.title), encoding="utf-8", errors="replace")
        typer.echo(f"wrote {html}", err=True)


def _check_place(page: Path) -> None:
    """Check before the work that the page can be written after it."""
    if page.is_dir():
        raise DataError(f"{page}: a folder; name a file in it")
    if not page.parent.is_dir():
        raise DataError(f"{page}: there is no folder {page.parent}; create it first")
    if not os.access(page if page.exists() else page.parent, os.W_OK):
        raise DataError(f"{page}: cannot be written; choose another place")


def _texts(text: str, jsonl: Path | None, field: str) -> tuple[Iterable[str], int]:
    """Return the texts and their number; a file of them is checked whole before the work begins."""
    if bool(text) == (jsonl is not None):
        raise UsageError("give one text, file or -, or else --jsonl FILE")
    if jsonl is None:
        return [show.read_text(text)], 1
    if jsonl == Path("-") or not jsonl.is_file():  # a pipe is read only once
        texts = list(show.read_jsonl(jsonl, field))
        return texts, len(texts)
    total = sum(1 for _ in show.read_jsonl(jsonl, field))
    return show.read_jsonl(jsonl, field), total
