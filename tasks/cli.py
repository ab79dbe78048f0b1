"""The task commands: entities, open, relations, answer, summarize, match, and the demo."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from glinermt import console as show
from glinermt.types import Summary

Source = Annotated[
    str, typer.Argument(metavar="TEXT|FILE|-", help="A text, a file, or - for standard input.")
]
Model = Annotated[
    str | None, typer.Option("--model", help="Folder or hub id; the shipped model without.")
]
Threshold = Annotated[float | None, typer.Option("--threshold", help="Least score, 0 to 1.")]
Json = Annotated[bool, typer.Option("--json", help="Print a line of JSON for each text.")]
Html = Annotated[Path | None, typer.Option("--html", help="Write one page that shows the result.")]
Jsonl = Annotated[
    Path | None, typer.Option("--jsonl", help="Read many texts, one JSON a line, from a file or -.")
]
Field = Annotated[str, typer.Option("--field", help="Where --jsonl keeps the text.")]
Labels = Annotated[str, typer.Option("--labels", help="Entity types, separated by commas.")]

_RELATIONS_HELP = (
    "Names, separated by commas; with types as 'founded by: organization | band > person'."
)

Run = Callable[[Any, Any], Any]
"""(texts, model) -> results of the same shape."""
Show = Callable[[Console, str, Any], None]
"""Shows a person the result of a text."""


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("extract")(entities)
    app.command("entities")(entities)
    described = "Find the entities that an instruction describes."
    app.command("open", help=described)(instructed("open_entities", "open entities"))
    app.command("relations")(relations)
    app.command("answer")(answer)
    app.command("summarize")(summarize)
    described = "Find all pieces of the text that an instruction asks for."
    app.command("match", help=described)(instructed("matches", "matches"))
    app.command("demo")(demo)


def entities(
    labels: Labels,
    text: Source = "",
    threshold: Threshold = None,
    nested: Annotated[bool, typer.Option("--nested", help="Allow spans inside spans.")] = False,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="Allow a span several labels.")
    ] = False,
    model: Model = None,
    json: Json = False,
    html: Html = None,
    jsonl: Jsonl = None,
    field: Field = "text",
) -> None:
    """Find entities of the given types."""
    from glinermt.tasks import extract_entities

    def run(texts: Any, loaded: Any) -> Any:
        return extract_entities(
            texts,
            _names(labels, "--labels"),
            threshold=threshold,
            overlap="nested" if nested else "flat",
            multi_label=multi_label,
            model=loaded,
        )

    request = _Request(text, model, json, html, jsonl, field)
    _perform(run, _show_spans("entities"), request, title=labels)


def instructed(task: str, title: str) -> Callable[..., None]:
    """Give the command of a task that an instruction is all of."""

    def command(
        instruction: Annotated[str, typer.Option("--instruction", "-i", help="What to find.")],
        text: Source = "",
        threshold: Threshold = None,
        model: Model = None,
        json: Json = False,
        html: Html = None,
        jsonl: Jsonl = None,
        field: Field = "text",
    ) -> None:
        from glinermt import tasks

        def run(texts: Any, loaded: Any) -> Any:
            find: Any = getattr(tasks, f"extract_{task}")
            return find(texts, instruction, threshold=threshold, model=loaded)

        request = _Request(text, model, json, html, jsonl, field)
        _perform(run, _show_spans(title), request, title=instruction)

    return command


def relations(
    names: Annotated[str, typer.Option("--relations", help=_RELATIONS_HELP)],
    text: Source = "",
    labels: Annotated[
        str | None, typer.Option("--labels", help="Entity types to relate; any without.")
    ] = None,
    threshold: Threshold = None,
    entity_threshold: Annotated[
        float | None, typer.Option(help="Least score of the entities.")
    ] = None,
    model: Model = None,
    json: Json = False,
    html: Html = None,
    jsonl: Jsonl = None,
    field: Field = "text",
) -> None:
    """Find which entities stand in which relations."""
    from glinermt.tasks import extract_relations

    def run(texts: Any, loaded: Any) -> Any:
        return extract_relations(
            texts,
            _relations(names),
            entities=None if labels is None else _names(labels, "--labels"),
            entity_threshold=entity_threshold,
            threshold=threshold,
            model=loaded,
        )

    def shown(console: Console, _: str, result: Any) -> None:
        show.show_relations(console, result)

    request = _Request(text, model, json, html, jsonl, field)
    _perform(run, shown, request, title=names)


def answer(
    question: Annotated[str, typer.Option("--question", "-q", help="What to ask the text.")],
    text: Source = "",
    top_k: Annotated[int, typer.Option("--top-k", help="How many answers at most.")] = 1,
    threshold: Threshold = None,
    model: Model = None,
    json: Json = False,
    html: Html = None,
    jsonl: Jsonl = None,
    field: Field = "text",
) -> None:
    """Answer a question from the text, or say that it does not answer."""
    from glinermt.tasks import answer as find_answer
    from glinermt.tasks import answers

    def run(texts: Any, loaded: Any) -> Any:
        if top_k == 1:
            return find_answer(question, texts, threshold=threshold, model=loaded)
        return answers(question, texts, threshold=threshold, top_k=top_k, model=loaded)

    def shown(console: Console, _: str, result: Any) -> None:
        show.show_answers(console, result if isinstance(result, list) else [result])

    request = _Request(text, model, json, html, jsonl, field)
    _perform(run, shown, request, title=question)


def summarize(
    text: Source = "",
    sentences: Annotated[int | None, typer.Option(help="How many; 3 without a budget.")] = None,
    words: Annotated[int | None, typer.Option(help="How many words at most.")] = None,
    ratio: Annotated[float | None, typer.Option(help="Part of the text's words at most.")] = None,
    spans: Annotated[bool, typer.Option("--spans", help="Pieces instead of sentences.")] = False,
    threshold: Threshold = None,
    model: Model = None,
    json: Json = False,
    html: Html = None,
    jsonl: Jsonl = None,
    field: Field = "text",
) -> None:
    """Sum a text up in its own words."""
    from glinermt.tasks import summarize as sum_up

    def run(texts: Any, loaded: Any) -> Any:
        return sum_up(
            texts,
            sentences=sentences,
            words=words,
            ratio=ratio,
            unit="span" if spans else "sentence",
            threshold=threshold,
            model=loaded,
        )

    def shown(console: Console, _: str, result: Summary) -> None:
        show.show_summary(console, result)

    request = _Request(text, model, json, html, jsonl, field)
    _perform(run, shown, request, title="summary")


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


def _names(given: str, option: str) -> list[str]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names:
        raise ValueError(f"{option} is empty; name at least one, several separated by commas")
    return names


def _relations(given: str) -> dict[str, dict[str, list[str]]]:
    """Read ``name`` or ``name: head type | ... > tail type | ...``, separated by commas."""
    found: dict[str, dict[str, list[str]]] = {}
    for item in _names(given, "--relations"):
        name, typed, types = item.partition(":")
        sides = [[kind.strip() for kind in side.split("|")] for side in types.split(">")]
        if typed and (len(sides) != 2 or not all(itertools.chain(*sides))):
            raise ValueError(
                f"--relations: expected 'name: head type > tail type', several types separated by "
                f"|, got {item!r}"
            )
        if name.strip() in found:
            raise ValueError(f"--relations: {name.strip()!r} is given twice")
        found[name.strip()] = dict(zip(("head", "tail"), sides, strict=True)) if typed else {}
    return found


def _show_spans(title: str) -> Show:
    return lambda console, text, spans: show.show_spans(console, text, spans, title=title)


@dataclass(frozen=True, slots=True)
class _Request:
    """The options that all task commands have."""

    text: str
    """A text, a file, or ``-``; empty where ``jsonl`` is given."""
    model: str | None
    json: bool
    html: Path | None
    jsonl: Path | None
    field: str


def _perform(run: Run, shown: Show, request: _Request, *, title: str) -> None:
    """Read the texts, run the task on them, and show the results; ``title`` heads the page."""
    from glinermt.default_model import load_extractor

    html = request.html
    if html is not None:
        _check_place(html)
    texts, total = _texts(request)
    model = load_extractor(request.model)
    asked, told = itertools.tee(texts)
    results: Iterable[Any]
    if request.jsonl is None:
        results = (run(text, model) for text in asked)
    else:
        progress = Console(stderr=True)
        results = track(run(asked, model), total=total, console=progress, transient=True)
    console = Console()
    pages = []
    for text, result in zip(told, results, strict=True):
        if request.json:
            typer.echo(show.to_json(result))
        elif html is None:
            shown(console, text, result)
        if html is not None:
            pages.append((text, result))
    if html is not None:
        from glinermt.tasks.page import page

        html.write_text(page(pages, title), encoding="utf-8", errors="replace")
        typer.echo(f"wrote {html}", err=True)


def _check_place(page: Path) -> None:
    if page.is_dir():
        raise ValueError(f"{page}: a folder; name a file in it")
    if not page.parent.is_dir():
        raise ValueError(f"{page}: there is no folder {page.parent}; create it first")


def _texts(request: _Request) -> tuple[Iterable[str], int]:
    """Give the texts and their number; a file of them is checked whole before the work begins."""
    if bool(request.text) == (request.jsonl is not None):
        raise ValueError("give one text, file or -, or else --jsonl FILE")
    if request.jsonl is None:
        return [show.read_text(request.text)], 1
    if request.jsonl == Path("-") or not request.jsonl.is_file():  # a pipe is read only once
        texts = list(show.read_jsonl(request.jsonl, request.field))
        return texts, len(texts)
    total = sum(1 for _ in show.read_jsonl(request.jsonl, request.field))
    return show.read_jsonl(request.jsonl, request.field), total
