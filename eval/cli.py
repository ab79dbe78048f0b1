"""The evaluation commands: bench, bench compare, calibrate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from glinermt.console import is_given
from glinermt.errors import DataError, UsageError, needs
from glinermt.eval.benchmarks import BENCHMARKS, SAMPLES, entry, make_benchmark, sampled
from glinermt.outputs import check_no_model, locked

if TYPE_CHECKING:
    from glinermt.eval.protocol import Options, Split
    from glinermt.eval.report import Report
    from glinermt.eval.scores import Result

GLINER = "gliner:"
SAVED = "saved"
HUB = "hub"
ALL = "all"
Model = Annotated[
    str | None,
    typer.Option(
        "--model", help=f"Folder or hub id; {GLINER}ID for the package gliner; else the shipped."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    commands = typer.Typer(help="Measure a model on public benchmarks, or compare two runs.")
    for name in (ALL, *BENCHMARKS):  # each is a command, so that ``bench compare`` can be one, too
        commands.command(name)(bench)
    commands.command("compare")(compare)
    app.add_typer(commands, name="bench")
    app.command("calibrate")(calibrate)


def bench(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder for reports; resumes what is there.")],
    model: Model = None,
    data: Annotated[
        Path | None, typer.Option("--data", help=f"Folder with the data, or {HUB!r}.")
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="The small samples instead.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Cases a set, evenly spaced.")
    ] = None,
    threshold: Annotated[
        str, typer.Option("--threshold", help=f"Of entities: a number, or {SAVED!r}.")
    ] = "0.5",
    miscellaneous: Annotated[
        bool, typer.Option("--miscellaneous", help="Ask CrossNER's label of that name, too.")
    ] = False,
    head: Annotated[
        str | None, typer.Option("--head", help="Refuse a model with another: token or span.")
    ] = None,
    batch_tokens: Annotated[
        int | None, typer.Option("--batch-tokens", min=1, help="Tokens read at a time, padded.")
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Of CNN/DailyMail: test or validation.")
    ] = "test",
    method: Annotated[
        str | None, typer.Option("--method", help="Of relations: pairs or labels.")
    ] = None,
    precision: Annotated[
        str,
        typer.Option("--precision", help="exact, bf16, int8 or auto, as from_pretrained takes it."),
    ] = "exact",
    device: Annotated[str | None, typer.Option("--device", help="Such as cpu or cuda.")] = None,
    leak_check: Annotated[
        Path | None, typer.Option("--leak-check", help="Training JSONL to compare with.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap.")] = 0,
) -> None:
    """Measure a model on public benchmarks; every number with an interval and its protocol."""
    from glinermt.eval.benchmarks.crossner import CROSSNER_SETS
    from glinermt.eval.chart import draw_chart
    from glinermt.eval.measure import bench as run_bench
    from glinermt.eval.measure import limit_cases, model_hash
    from glinermt.eval.protocol import Options
    from glinermt.eval.report import write_reports

    needs("matplotlib", extra="eval")
    if (data is None) != sample:
        raise UsageError("give either --data FOLDER or --sample")
    _check_options(context)
    few = sample or str(data) == HUB  # neither has the MIT sets
    if leak_check is not None and not leak_check.is_file():
        raise DataError(f"{leak_check}: no such file; pass the training JSONL to --leak-check")
    options = Options(
        _threshold(threshold),
        miscellaneous,
        CROSSNER_SETS if few else (),
        cast("Split", split),
        cast("Any", method),
    )
    loaded: list[tuple[Any, list[Any]]] = []
    for each in _names(str(context.info_name), sample):
        benchmark = make_benchmark(each, options)
        loaded.append((benchmark, limit_cases(benchmark.load(_folder(data, each, options)), limit)))
    console = Console()
    extractor = _extractor(model, precision, device)
    _set_up(extractor, head, batch_tokens)
    identity = model_hash(extractor)
    reports = []
    with locked(out), Progress(console=console) as progress:
        for benchmark, cases in loaded:
            bar = progress.add_task(benchmark.name, total=len(cases))
            report = run_bench(
                benchmark,
                extractor,
                cases,
                out,
                model_name=model or "shipped",
                model_id=identity,
                seed=seed,
                progress=lambda count, bar=bar: progress.advance(bar, count),  # type: ignore[misc]
            )
            reports.append(report)
    for report in reports:
        _print(console, report)
    write_reports(reports, out)
    draw_chart(reports, out / "chart")
    if leak_check is not None:
        for benchmark, cases in loaded:
            _print_leaks(console, benchmark.name, leak_check, cases)
    console.print(f"wrote {out / 'report.md'}, report.json, chart.png, chart.svg", markup=False)


def compare(
    first: Annotated[Path, typer.Argument(help="Output folder of one bench.")],
    second: Annotated[Path, typer.Argument(help="Output folder of the other.")],
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap.")] = 0,
) -> None:
    """Put two reports side by side: the difference, and its interval over paired examples."""
    from glinermt.eval.compare import compare as run_compare
    from glinermt.eval.report import show

    table = Table("benchmark", "set", "metric", "first", "second", "difference (95%)", "")
    for row in run_compare(first, second, seed=seed):
        clear = row.difference.low > 0 or row.difference.high < 0
        table.add_row(
            row.benchmark,
            row.group,
            row.metric,
            f"{100 * row.first:.1f}",
            f"{100 * row.second:.1f}",
            show(row.difference),
            "clear" if clear else "",
        )
    Console().print(table)


def calibrate(
    dev: Annotated[list[Path], typer.Option("--dev", help="Dev file or folder; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model with its settings.")],
    model: Model = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Cases a file, evenly spaced.")
    ] = None,
    per_label: Annotated[
        bool, typer.Option(help="Also thresholds of single labels, where dev data has many.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is in the output folder.")
    ] = False,
) -> None:
    """Choose thresholds, and the lead of summaries, on dev data only; save them with the model."""
    from dataclasses import asdict, replace
    from json import dumps

    from glinermt.eval.calibration.choose import FEW_CASES, choose_lead, with_choice
    from glinermt.eval.calibration.choose import calibrate as run_calibrate
    from glinermt.eval.calibration.dev import find_dev_files, read_dev
    from glinermt.eval.calibration.ways import WAYS
    from glinermt.eval.chart import draw_reliability
    from glinermt.jsonl import write_text

    needs("matplotlib", extra="eval")
    check_no_model(out, overwrite=overwrite)
    console = Console()
    files, refused = find_dev_files(dev)
    for path in refused:
        console.print(f"left out {path}: benchmarks score it, or it is for no task", markup=False)
    extractor = _extractor(model)
    save = getattr(extractor, "save_pretrained", None)
    if save is None:
        raise UsageError(
            f"{model}: only models of glinermt on torch can keep their thresholds; of an export "
            "calibrate the model that it was made from, and export that again"
        )
    dev_cases = read_dev(files, limit=limit)
    for task in dev_cases.keys() - {*WAYS, "summarize"}:
        console.print(f"left out {len(dev_cases[task])} examples of {task}: it has no threshold")
    chosen = run_calibrate(extractor, dev_cases, per_label=per_label)
    settings = extractor.settings
    headers = ("task", "cases", "threshold", "labels", "F1", "ECE", "temperature", "saved")
    table = Table(*headers, box=SIMPLE_HEAD, padding=0)
    for row in chosen:
        if row.helps:
            settings = with_choice(
                settings, row.task, row.threshold, row.label_thresholds, row.temperature
            )
        table.add_row(
            row.task,
            str(row.num_cases),
            f"{row.threshold:.3f}",
            str(len(row.label_thresholds)),
            f"{100 * row.f1_before:.1f} -> {100 * row.f1_after:.1f}",
            f"{row.error_before:.3f} -> {row.error_after:.3f}",
            f"{row.temperature:.2f}",
            "yes" if row.helps else "no",
        )
    rows = [{**asdict(replace(row, judged=())), "saved": row.helps} for row in chosen]
    data: dict[str, Any] = {"dev": [path.name for path in files], "limit": limit, "tasks": rows}
    if "summarize" in dev_cases:
        lead = choose_lead(extractor, dev_cases["summarize"])
        settings = replace(settings, lead=lead.lead)
        data["lead"] = {"chosen": lead.lead, **asdict(lead)}
        console.print(f"lead of summaries: {lead.lead}, chosen on {lead.num_cases} documents")
    with locked(out):
        extractor.settings = settings
        save(out)
    write_text(out / "calibration.json", dumps(data, indent=1) + "\n")
    if chosen:
        draw_reliability(chosen, out / "reliability")
        console.print(table)
    if not all(row.helps for row in chosen):
        console.print("what gives no better F1 than the settings before is not saved")
    if few := [row.task for row in chosen if row.helps and row.num_cases < FEW_CASES]:
        console.print(
            f"{', '.join(few)}: thresholds of fewer than {FEW_CASES} cases are largely chance; "
            "give more dev data, or leave such files out"
        )
    console.print(f"wrote {out}; F1 and ECE are on the dev data itself", markup=False)


def _check_options(context: typer.Context) -> None:
    """Refuse an option that changes nothing of the benchmark; ``all`` has one for each."""
    name = str(context.info_name)
    if name == ALL:
        return
    for option in ("threshold", "miscellaneous", "split", "method"):
        if option not in entry(name).options and is_given(context, option):
            raise UsageError(f"--{option} changes nothing of {name}; leave it out")


def _threshold(given: str) -> float | None:
    try:
        number = None if given == SAVED else float(given)
    except ValueError:
        raise UsageError(f"--threshold {given!r} is neither a number nor {SAVED!r}") from None
    if number is not None and not 0 <= number <= 1:
        raise UsageError(f"--threshold {given} lies outside [0, 1]")
    return number


def _names(name: str, sample: bool) -> list[str]:
    """Return the benchmarks to run; ``all`` leaves out those whose data the user chooses."""
    if sample and name not in (ALL, *sampled()):
        raise UsageError(f"there is no sample for {name!r}; see eval/samples/SOURCES.md")
    if name != ALL:
        return [name]
    return sampled() if sample else [each for each in BENCHMARKS if not entry(each).own_data]


def _folder(data: Path | None, name: str, options: "Options") -> Path:
    if data is None:
        return SAMPLES / name
    if str(data) != HUB:
        return data
    from huggingface_hub.constants import HF_HOME

    from glinermt.eval.data.hub import fetch

    sets = entry(name).hub
    if sets is None:
        raise UsageError(f"{name} is not read from the hub; pass --data FOLDER")
    return fetch(sets(options), Path(HF_HOME) / "glinermt-bench" / name)


def _extractor(model: str | None, precision: str = "exact", device: str | None = None) -> Any:
    if model is not None and model.startswith(GLINER):
        if precision != "exact" or device is not None:
            raise UsageError("--precision and --device are for models of glinermt only")
        from glinermt.eval.gliner_adapter import GlinerExtractor

        return GlinerExtractor.load(model.removeprefix(GLINER))
    if precision == "exact" and device is None:
        from glinermt.default_model import load_extractor

        return load_extractor(model)
    from glinermt.model import GlinerMT

    return GlinerMT.from_pretrained(model, precision=cast("Any", precision), device=device)


def _set_up(extractor: Any, head: str | None, batch_tokens: int | None) -> None:
    """Check the head and set the batch size, of models that are ours."""
    if head is None and batch_tokens is None:
        return
    config = getattr(extractor, "config", None)
    if config is None:
        raise UsageError("--head and --batch-tokens are for models of glinermt only")
    if head not in (None, config.head):
        raise UsageError(f"--head {head}: the model has a {config.head} head; pass another --model")
    if batch_tokens is not None:
        extractor.batch_tokens = batch_tokens


def _print(console: Console, report: "Report") -> None:
    """Print a table for each system; deviations stay in the report, for want of room."""
    from glinermt.eval.report import tables

    for columns, rows in tables(report.results):
        shown = [name for name in columns if not name.endswith("_sd")]
        lead = report.headline if report.headline in columns else columns[0]
        headers = [name.replace("_", "\n") for name in ("set", "n", *shown)]
        headers.insert(shown.index(lead) + 3, "95%\ninterval")
        for system in dict.fromkeys(row.system for row in rows):
            title = f"{report.benchmark}: {system}"
            table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
            for header in headers:
                table.add_column(header, no_wrap=True)
            for row in rows:
                if row.system == system:
                    table.add_row(row.group, str(row.num_cases), *_cells(row, shown, lead))
            console.print(table)


def _cells(row: "Result", names: list[str], lead: str) -> list[str]:
    cells = []
    for name in names:
        metric = row.metrics[name]
        cells.append(f"{100 * metric.value:.1f}")
        if name == lead:
            cells.append(f"{100 * metric.low:.1f}–{100 * metric.high:.1f}")
    return cells


def _print_leaks(console: Console, name: str, train: Path, cases: list[Any]) -> None:
    from glinermt.contamination import GRAM
    from glinermt.eval.measure import find_leaks

    leaks = find_leaks(train, cases)
    console.print(
        f"{name}: of {leaks.num_texts} texts {train.name} holds {len(leaks.exact)} as they are, "
        f"and {len(leaks.shared_grams)} share {GRAM} words in a row with it",
        markup=False,
    )
    for id_ in leaks.shared_grams[:10]:
        console.print(f"  {id_}", markup=False)
