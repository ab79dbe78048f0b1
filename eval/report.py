"""The report of a run as JSON and Markdown."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.scores import Metric, Result
from glinermt.jsonl import write_text

JSON_NAME, MARKDOWN_NAME = "report.json", "report.md"


@dataclass(frozen=True, slots=True)
class Report:
    """One benchmark's outcome. ``card`` is the protocol card, ``extras`` what has no interval."""

    benchmark: str
    headline: str
    card: Mapping[str, Any]
    results: Sequence[Result]
    extras: Mapping[str, Any]
    plain: frozenset[str] = frozenset()
    """Names of extras that are no shares."""


def write_reports(reports: Sequence[Report], folder: Path) -> None:
    """Write ``report.json`` and ``report.md``; benchmarks not run now keep what was there."""
    path = folder / JSON_NAME
    kept = {report.benchmark: report for report in read_reports(folder)} if path.exists() else {}
    merged = list((kept | {report.benchmark: report for report in reports}).values())
    data = {"reports": [{**dataclasses.asdict(r), "plain": sorted(r.plain)} for r in merged]}
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    text = "\n".join(markdown(report) for report in merged)
    write_text(folder / MARKDOWN_NAME, text)


def read_reports(folder: Path) -> list[Report]:
    """Read what ``write_reports`` wrote.

    Raises:
        DataError: there is no report, or it is damaged.
    """
    path = folder / JSON_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return [_report(raw) for raw in data["reports"]]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is no report of glinermt bench: {error!r}") from error


def markdown(report: Report) -> str:
    """Write the results as tables, one for each set of columns, and the protocol card."""
    lines = [f"# {report.benchmark}", ""]
    for columns, rows in tables(report.results):
        lines += [_row(["set", "system", "n", *columns]), _row(["---"] * (len(columns) + 3))]
        for result in rows:
            cells = [show(result.metrics[name]) for name in columns]
            lines.append(_row([result.group, result.system, str(result.num_cases), *cells]))
        lines.append("")
    lines += ["Percentages with 95% bootstrap intervals over examples.", "", "## Beside them", ""]
    for name, value in report.extras.items():
        lines += _extra(name, value, plain=name in report.plain)
    lines += ["", "## Protocol card", ""]
    lines += [f"- {sentence}" for sentence in report.card["protocol"]]
    for name, value in report.card.items():
        if name != "protocol":
            lines.append(f"- {name}: `{json.dumps(value, ensure_ascii=False)}`")
    return "\n".join(lines) + "\n"


def tables(results: Iterable[Result]) -> list[tuple[tuple[str, ...], list[Result]]]:
    """Put rows with the same metrics into one table."""
    found: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        found.setdefault(tuple(result.metrics), []).append(result)
    return list(found.items())


def show(metric: Metric) -> str:
    """Write a share as per cent with its interval."""
    return f"{100 * metric.value:.1f} ({100 * metric.low:.1f} to {100 * metric.high:.1f})"


def _extra(name: str, value: Any, *, plain: bool) -> list[str]:
    """Return the lines of a number, or of numbers by group, perhaps with a table for each."""
    if not isinstance(value, Mapping):
        return [f"- {name}: {_cell(value, plain)}"]
    lines = []
    for group, rows in value.items():
        if isinstance(rows, list):
            columns = list(rows[0]) if rows else []
            lines += ["", f"### {name}: {group}", "", _row(columns), _row(["---"] * len(columns))]
            lines += [_row([_cell(row[column], plain) for column in columns]) for row in rows]
        elif isinstance(rows, dict):
            lines += ["", f"### {name}: {group}", ""]
            lines += [f"- {key}: {_cell(part, plain)}" for key, part in rows.items()]
        else:
            lines.append(f"- {name}, {group}: {_cell(rows, plain)}")
    return lines


def _cell(value: object, plain: bool) -> str:
    """Return a share in per cent, another number as it is."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if plain else f"{100 * value:.1f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _report(raw: Mapping[str, Any]) -> Report:
    results = [
        Result(
            row["group"],
            row["system"],
            row["num_cases"],
            {name: Metric(**metric) for name, metric in row["metrics"].items()},
        )
        for row in raw["results"]
    ]
    plain = frozenset(raw["plain"])
    return Report(raw["benchmark"], raw["headline"], raw["card"], results, raw["extras"], plain)
