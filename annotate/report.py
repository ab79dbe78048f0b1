"""What a job found and cost: counts that add up, and the report for people and programs."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glinermt.annotate.shard import BINS, write_whole

_SHOWN = 20
"""Labels and causes that the report for people names."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over shards; ``a + b`` is of both."""

    rows: int = 0
    errors: int = 0
    words: int = 0
    """Of the texts that were read."""
    seconds: float = 0.0
    """Of work, whichever process did it."""
    labels: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    scores: tuple[int, ...] = (0,) * BINS
    """Things found with a score below 0.1, below 0.2 and so on."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.rows + other.rows,
            self.errors + other.errors,
            self.words + other.words,
            self.seconds + other.seconds,
            Counter(self.labels) + Counter(other.labels),
            Counter(self.failures) + Counter(other.failures),
            tuple(a + b for a, b in zip(self.scores, other.scores, strict=True)),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Counts":
        """Read the counts that stand beside a shard."""
        return cls(**{**data, "scores": tuple(data["scores"])})


@dataclass(frozen=True, slots=True)
class Report:
    """A job and its counts."""

    job: Mapping[str, Any]
    counts: Counts
    left_out: tuple[str, ...] = ()
    """Files in the folders given that were not read, since their names say no known kind."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as ``report.json`` has it."""
        counts = self.counts
        return {
            "job": self.job,
            "rows": counts.rows,
            "errors": counts.errors,
            "words": counts.words,
            "seconds_of_work": round(counts.seconds, 1),
            "rows_per_second_and_process": _rate(counts.rows, counts.seconds),
            "process_hours_per_million_rows": _rate(
                counts.seconds * 1e6 / 3600, float(counts.rows)
            ),
            "labels": dict(Counter(counts.labels).most_common()),
            "scores": list(counts.scores),
            "failures": dict(Counter(counts.failures).most_common()),
            "left_out": list(self.left_out),
        }


def write_report(report: Report, out: str) -> None:
    """Write ``report.json`` and ``report.md``."""
    data = json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
    write_whole(f"{out}/report.json", data.encode())
    write_whole(f"{out}/report.md", _markdown(report).encode())


def _rate(amount: float, time: float) -> float:
    return round(amount / time, 2) if time else 0.0


def _markdown(report: Report) -> str:
    data, job = report.to_dict(), report.job
    lines = [
        f"# {job['task']}: {data['rows']:,} rows",
        "",
        "| | |",
        "|---|---:|",
        f"| rows | {data['rows']:,} |",
        f"| failed | {data['errors']:,} |",
        f"| words | {data['words']:,} |",
        f"| rows a second and process | {data['rows_per_second_and_process']:,} |",
        f"| process hours for a million such rows | {data['process_hours_per_million_rows']:,} |",
        "",
        "The hours times the price of an hour of one process's share of a machine are the cost.",
    ]
    if left := data["left_out"]:
        some = ", ".join(f"`{_cell(name)}`" for name in left[:_SHOWN])
        more = ", ..." if len(left) > _SHOWN else ""
        lines += [
            "",
            f"{len(left):,} files were not read, as their names say no kind: {some}{more}",
        ]
    for title, table in (("label", data["labels"]), ("cause of failure", data["failures"])):
        if table:
            lines += ["", f"| {title} | number |", "|---|---:|"]
            lines += [f"| {_cell(name)} | {n:,} |" for name, n in list(table.items())[:_SHOWN]]
            if len(table) > _SHOWN:
                lines.append(f"| {len(table) - _SHOWN} more, in report.json | |")
    if sum(data["scores"]):
        most = max(data["scores"])
        lines += ["", "| score | number | |", "|---|---:|---|"]
        lines += [
            f"| {i / BINS:.1f} to {(i + 1) / BINS:.1f} | {n:,} | {'█' * round(30 * n / most)} |"
            for i, n in enumerate(data["scores"])
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
