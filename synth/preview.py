"""A preview of the factory's run: a few rows of different tasks, shown whole."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rich.console import Console

from glinermt.synth.checks.filters import Ledger
from glinermt.synth.checks.passages import Benchmarks
from glinermt.synth.engines.ask import Ask
from glinermt.synth.generate import check_rows, make_examples
from glinermt.synth.plan import PlanCounts, Row, planned, prompt
from glinermt.synth.report import Prices, usage
from glinermt.synth.settings import Settings


def preview(console: Console, settings: Settings, ask: Ask, number: int, prices: Prices) -> None:
    """Ask for ``number`` rows of different tasks and show everything; nothing is written."""
    counts = PlanCounts()
    benchmarks = Benchmarks(map(Path, settings.benchmarks))
    plan = planned(settings, benchmarks, counts)
    rows = list(islice(_mixed(plan), number))
    check_rows(counts, settings)
    by_id = {row.id: row for row in rows}
    records = []
    for record in ask(rows):
        records.append(record)
        ledger = Ledger()
        row = by_id[record.id]
        console.rule(f"{row.template} {row.id}")
        _print(console, "prompt", prompt(row))
        _print(console, "reply", record.reply or "(none)")
        if record.error:
            _print(console, "failed", record.error)
        for line in make_examples(row, record, benchmarks, ledger):
            spans = [f"{row.text[s['start'] : s['end']]} = {s['label']}" for s in line["spans"]]
            asked = line["prompt"] or ", ".join(line["labels"])
            _print(console, "kept", f"{asked}\n  " + ("\n  ".join(spans) or "(not in the text)"))
        for cause, what in ledger.dropped:
            _print(console, "dropped", f"{cause}: {what}")
    for _ in plan:
        pass  # runs to the end, which counts the plan
    names = ("tokens_in", "tokens_out", "seconds", "attempts")
    spent = {name: sum(getattr(record, name) for record in records) for name in names}
    use = usage([{**spent, "rows": len(records)}], counts.rows, prices)
    console.rule("whole plan")
    console.print(
        f"{counts.rows} rows from {counts.passages} passages of {counts.texts} texts; about "
        f"{use['seconds_whole_plan']:.0f} s at {use['tokens_out_per_second']:.1f} tokens/s, "
        f"cost {use['cost_whole_plan']:.2f}"
    )


def _mixed(plan: Iterator[tuple[str, list[Row]]]) -> Iterator[Row]:
    """Yield one row of each passage, the tasks by turns."""
    for i, (_, rows) in enumerate(plan):
        yield rows[i % len(rows)]


def _print(console: Console, what: str, text: str) -> None:
    console.print(f"{what}:", style="bold")
    console.print(text, markup=False, highlight=False, soft_wrap=True)
