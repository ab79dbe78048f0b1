"""The commands ``glinermt generate`` and ``glinermt verify``."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from glinermt.console import Milestones, names_in
from glinermt.errors import DataError, UsageError

if TYPE_CHECKING:
    from glinermt.synth.engines.ask import Ask, Record, Work
    from glinermt.synth.generate import Options
    from glinermt.synth.plan import Row
    from glinermt.synth.report import Prices
    from glinermt.synth.settings import Settings

Many = list[str] | None
STOPPED = "stopped; run the same command again to go on"


def register(app: typer.Typer) -> None:
    """Add the commands to the app; what they need is imported when they run."""
    app.command("generate")(generate_command)
    app.command("verify")(verify_command)


Llm = Annotated[str, typer.Option(help="vllm, openai, transformers or scripted.")]
LlmOption = Annotated[Many, typer.Option(help="Option of the backend, KEY=VALUE (repeatable).")]
LLAMA = "meta-llama/Meta-Llama-3-8B-Instruct"


def generate_command(
    texts: Annotated[
        list[str], typer.Argument(help="Files or folders: .jsonl, .txt, .parquet, .html, .pdf, ...")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the data; run again to go on.")],
    llm: Llm = "vllm",
    model: Annotated[
        str, typer.Option(help="Hub id, folder, or the server's name of the model.")
    ] = LLAMA,
    llm_option: LlmOption = None,
    tasks: Annotated[
        str, typer.Option(help="Recipes, separated by commas; without it the paper's six.")
    ] = "",
    tasks_per_text: Annotated[
        int, typer.Option(min=0, help="Recipes drawn per passage; 0 = all.")
    ] = 0,
    limit: Annotated[int, typer.Option(min=0, help="Texts at most; 0 = all.")] = 0,
    language: Annotated[
        str, typer.Option(help="Language of the prompts and texts: en or de.")
    ] = "en",
    only_language: Annotated[
        bool, typer.Option("--only-language", help="Leave out texts in other languages.")
    ] = False,
    field: Annotated[str, typer.Option(help="Where JSON lines keep the text.")] = "text",
    benchmark: Annotated[
        Many, typer.Option(help="File whose 13-word runs must not be in the data (repeatable).")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Of the first attempt.")] = 0.7,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of a reply.")] = 1024,
    set_: Annotated[
        Many, typer.Option("--set", help="Any other setting, KEY=VALUE (repeatable).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws tasks, styles and words.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Rows given to the LLM at once.")] = 100,
    preview: Annotated[int, typer.Option(min=0, help="Show so many rows and write nothing.")] = 0,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again for rows that failed.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Set a run with other settings aside; begin anew.")
    ] = False,
    price_in: Annotated[float, typer.Option(help="Of a million tokens read.")] = 0.0,
    price_out: Annotated[float, typer.Option(help="Of a million tokens written.")] = 0.0,
    licence: Annotated[str, typer.Option(help="Of the data, for its card.")] = "other",
    review: Annotated[
        int, typer.Option(min=0, help="Write a page to judge so many spans by eye.")
    ] = 0,
    export: Annotated[
        str, typer.Option(help="conversation: entity examples also as chats that tune LLMs.")
    ] = "",
    push_to_hub: Annotated[
        str, typer.Option(help="Upload as this private dataset, OWNER/NAME.")
    ] = "",
    engine: Annotated[str, typer.Option(help="local, or on a cluster ray or ray-vllm.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Copies of the LLM under ray.")] = 1,
    gpus_per_worker: Annotated[float, typer.Option(help="GPUs of each copy under ray.")] = 0.0,
) -> None:
    """Let an LLM write training examples from texts."""
    from glinermt.errors import BackendError
    from glinermt.overrides import parse
    from glinermt.synth.engines import asking
    from glinermt.synth.engines.ask import Work
    from glinermt.synth.generate import Options
    from glinermt.synth.preview import preview as show_preview
    from glinermt.synth.report import Prices

    if export not in ("", "conversation"):
        raise UsageError(f"export {export!r} is not known: choose 'conversation'")
    settings = _settings(
        {
            "texts": texts,
            "llm": llm,
            "model": model,
            "tasks_per_text": tasks_per_text,
            "limit": limit,
            "language": language,
            "only_language": only_language,
            "text_field": field,
            "benchmarks": benchmark or [],
            "sampling": {"temperature": temperature, "max_tokens": max_tokens},
            "seed": seed,
            **({"tasks": names_in([tasks], "--tasks")} if tasks else {}),
        },
        set_ or (),
    )
    work = Work(settings, parse(llm_option or (), "--llm-option"), batch, workers, gpus_per_worker)
    prices = Prices(price_in, price_out)
    console = Console()
    if preview:
        show_preview(console, settings, asking(engine, work)[0], preview, prices)
        return
    ask, options = _asking_if_left(engine, work, out, Options(force, retry_failed))
    try:
        _generate(settings, out, ask, options)
    except (KeyboardInterrupt, BackendError) as stopped:
        _report_begun(console, settings, out, prices, licence)
        if isinstance(stopped, KeyboardInterrupt):
            typer.echo(STOPPED, err=True)
        raise
    if not _report(console, settings, out, prices, licence):
        raise DataError(f"{out}: no row gave an example; report.json says what failed")
    if review:
        _review(console, settings, out, review)
    if export:
        console.print(f"wrote {_export(settings, out)}", markup=False)
    if push_to_hub:
        from glinermt.synth.card import push_to_hub as push

        console.print(push(out, push_to_hub), markup=False)


def verify_command(
    folder: Annotated[Path, typer.Argument(help="Folder that generate wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for what is left; run again to go on.")],
    llm: Llm = "vllm",
    model: Annotated[
        str, typer.Option(help="Of the judge: hub id, folder, or the server's name.")
    ] = LLAMA,
    llm_option: LlmOption = None,
    samples: Annotated[int, typer.Option(min=1, help="Judgements of each example.")] = 1,
    least_share: Annotated[
        float, typer.Option(help="Least share of them that calls a span right.")
    ] = 0.5,
    temperature: Annotated[float, typer.Option(help="Of the judge.")] = 0.0,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Of a judgement; those in work/judgements.jsonl stay.")
    ] = 1024,
    batch: Annotated[int, typer.Option(min=1, help="Requests given to the LLM at once.")] = 100,
) -> None:
    """Let an LLM judge every generated span, and leave out what it doubts."""
    from rich.progress import Progress

    from glinermt.overrides import parse
    from glinermt.synth.backends import connect
    from glinermt.synth.verify import Checking, verify

    checking = Checking(samples, least_share, temperature, max_tokens, batch, model)
    judge = cache(partial(connect, llm, model, parse(llm_option or (), "--llm-option")))
    try:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("replies", total=None)
            report = verify(folder, out, judge, checking, progress=lambda n: bar.advance(task, n))
    except KeyboardInterrupt:
        typer.echo(STOPPED, err=True)
        raise
    console = Console()
    if (right := report["right_share"]) is not None:
        agree = f"; samples agree on {report['agreement']:.1%}" if samples > 1 else ""
        console.print(f"{right:.1%} of the judged spans called right{agree}")
    for name, number in report["counts"].items():
        console.print(f"{name}: {number}", markup=False)
    console.print(f"wrote {out}", markup=False)
    if right is None and report["counts"].get("spans"):
        raise DataError(f"{out}: no span was judged, so its examples are as they were")


def _settings(given: dict[str, Any], overrides: Sequence[str]) -> "Settings":
    """Return the settings of the options, and of ``--set`` over them."""
    from glinermt.config import from_mapping
    from glinermt.overrides import merged, parse
    from glinermt.synth.settings import Settings

    return from_mapping(Settings, merged(given, parse(overrides)), where="settings")


def _asking_if_left(
    engine: str, work: "Work", out: Path, options: "Options"
) -> "tuple[Ask, Options]":
    """Return how rows are asked, which needs no LLM where none is left, and the options for it."""
    from glinermt.synth.engines import asking
    from glinermt.synth.generate import is_finished

    if is_finished(work.settings, out, options):
        return _ask_nobody, options
    ask, window = asking(engine, work)
    return ask, replace(options, window=window)


def _ask_nobody(_: "Iterable[Row]") -> "Iterator[Record]":
    """Ask for no row, as none is left."""
    return iter(())


def _generate(settings: "Settings", out: Path, ask: "Ask", options: "Options") -> None:
    """Generate with a progress bar."""
    from rich.progress import Progress

    from glinermt.synth.generate import generate

    console = Console(stderr=True)
    lines = Milestones(console, "rows")
    with Progress(console=console, transient=True, disable=lines.wanted) as bar:
        task = bar.add_task("rows", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            lines.show(done / total, f"{done} of {total}")

        generate(settings, out, ask, options=options, progress=show)


def _report(
    console: Console, settings: "Settings", out: Path, prices: "Prices", licence: str
) -> int:
    """Write report, card and picture, show what matters of them, and return how many examples."""
    from glinermt.synth.card import write_report
    from glinermt.synth.report import show_report

    report = write_report(out, settings, prices=prices, licence=licence)
    show_report(console, report)
    console.print(f"wrote {out}", markup=False)
    return int(report["examples"])


def _report_begun(
    console: Console, settings: "Settings", out: Path, prices: "Prices", licence: str
) -> None:
    """Report what a run has that did not come to its end, if it has anything."""
    from glinermt.synth.generate import run_fingerprint
    from glinermt.synth.store import Store

    manifest = Store(out, settings.format).read_manifest() or {"shards": {}}
    if manifest["shards"] and manifest["fingerprint"] == run_fingerprint(settings):
        _report(console, settings, out, prices, licence)


def _review(console: Console, settings: "Settings", out: Path, number: int) -> None:
    """Write the page on which spans are judged by eye."""
    from glinermt.synth.review import write_review
    from glinermt.synth.store import Store

    rows = Store(out, settings.format).read_examples()
    page = write_review(rows, number, out, seed=settings.seed)
    console.print(
        f"wrote {page}: open it, judge, and put the review.json it saves into {out}; the same "
        "command then reports what is right",
        markup=False,
    )


def _export(settings: "Settings", out: Path) -> Path:
    from glinermt.synth.conversation import write_conversations
    from glinermt.synth.store import Store

    file = out / "work" / "conversation.jsonl"
    store = Store(out, settings.format)
    write_conversations(store.read_examples, file, seed=settings.seed)
    return file
