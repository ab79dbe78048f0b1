"""What a run gave: yields, alignment, drops, negatives, labels, tokens, time and cost."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Column, Table

from glinermt.synth.label_merges import label_name
from glinermt.synth.recipes import RECIPES

LISTED_LABELS = 100
CURVE_STEP = 1000
"""Examples between two points of the curve of distinct types."""
NOT_PLACED = ("not found", "ambiguous")
_VARYING = re.compile(
    r"""(?<!HTTP\ )(?<!error\ )(?<!Errno\ )  # not a status
    (?<![\w-])                              # nor the end of a word, but
    (?: \d[\d.,:]*[a-z]{0,2}               # a number, a time, an address, with a short unit
      | (?=[\w:-]*\d)[\w:-]{12,}          # or what is long and has digits: an id
    ) (?![\w-])""",
    re.VERBOSE,
)
"""What differs from one message of a server to the next, though the cause is the same."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost, in whatever money."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0


def make_report(
    manifest: Mapping[str, Any], lines: Iterable[Mapping[str, Any]], prices: Prices
) -> dict[str, Any]:
    """Return the report of what is done so far, with an estimate for the whole plan.

    Args:
        manifest: the run's.
        lines: all its examples.
        prices: for the cost.
    """
    shards = list(manifest["shards"].values())
    recipes = _recipes(shards, manifest["settings"]["tasks"])
    labels: Counter[str] = Counter()
    curve: dict[int, int] = {}
    for number, line in enumerate(lines, start=1):
        _count_line(line, recipes[line["recipe"]], labels)
        if number % CURVE_STEP == 0:
            curve[number] = len(labels)
    for count in recipes.values():
        count["yield"] = _share(count["examples"], count["rows"])
        count["negatives_share"] = _share(count["without_span"], count["examples"])
    statuses = _sum(shard["statuses"] for shard in shards)
    placed = sum(n for status, n in statuses.items() if status not in (*NOT_PLACED, "repeated"))
    return {
        "fingerprint": manifest["fingerprint"],
        "settings": _without_folders(manifest["settings"]),
        "plan": manifest["plan"],
        "rows_done": sum(shard["rows"] for shard in shards),
        "examples": sum(shard["examples"] for shard in shards),
        "recipes": recipes,
        "failed": _sum(_causes(shard["failed"]) for shard in shards),
        "alignment": statuses,
        "alignment_rate": _share(placed, placed + sum(statuses.get(s, 0) for s in NOT_PLACED)),
        "drops": _sum(shard["drops"] for shard in shards),
        "distinct_labels": len(labels),
        "labels": dict(labels.most_common(LISTED_LABELS)),
        "types_by_examples": curve,
        "merged_labels": manifest.get("merges", {}),
        "usage": usage(shards, manifest["plan"]["rows"], prices),
    }


def usage(
    shards: Iterable[Mapping[str, Any]], planned_rows: int, prices: Prices
) -> dict[str, float]:
    """Return tokens, time and cost so far, and what they come to for all planned rows."""
    names = ("rows", "tokens_in", "tokens_out", "seconds", "attempts")
    total: Counter[str] = Counter()
    for shard in shards:
        total.update({name: shard[name] for name in names})
    cost = (total["tokens_in"] * prices.tokens_in + total["tokens_out"] * prices.tokens_out) / 1e6
    factor = planned_rows / max(1, total["rows"])
    return {
        **{name: round(total[name], 3) for name in names},
        "tokens_out_per_second": _share(total["tokens_out"], total["seconds"]),
        "cost": round(cost, 4),
        "seconds_whole_plan": round(total["seconds"] * factor, 1),
        "cost_whole_plan": round(cost * factor, 4),
    }


def show_report(console: Console, report: Mapping[str, Any]) -> None:
    """Print what matters of a report."""
    names = ("rows", "failed", "empty", "examples", "yield", "spans", "no span")
    recipe = Column("recipe", min_width=max(map(len, report["recipes"])))
    table = Table(recipe, *names, box=SIMPLE, pad_edge=False)
    for name, count in report["recipes"].items():
        table.add_row(
            name,
            *(str(count[key]) for key in ("rows", "failed", "empty", "examples")),
            f"{count['yield']:.2f}",
            str(count["spans"]),
            f"{count['negatives_share']:.0%}",
        )
    console.print(table)
    use = report["usage"]
    console.print(f"rows {report['rows_done']} of {report['plan']['rows']} planned")
    console.print(
        f"alignment {report['alignment_rate']:.1%} placed: {_listed(report['alignment'])}"
    )
    console.print(f"dropped: {_listed(report['drops'])}")
    if report["merged_labels"]:
        console.print(f"labels written in one way: {len(report['merged_labels'])} merged")
    if review := report.get("review"):
        found = review["all"]
        console.print(
            f"review: {found['precision']:.1%} of {found['spans']} spans right "
            f"({found['low']:.1%} to {found['high']:.1%})"
        )
    if report["failed"]:
        console.print(f"failed rows: {_listed(report['failed'])} (--retry-failed asks again)")
    if cut := {name: n for name, c in report["recipes"].items() if (n := c["cut"])}:
        most = report["settings"]["sampling"]["max_tokens"]
        console.print(
            f"{_listed(cut)} replies had not ended after {most} tokens: give --retry-failed "
            f"--max-tokens {2 * most}; those that repeat themselves in work/raw need another model"
        )
    console.print(
        f"tokens {use['tokens_in']:.0f} in, {use['tokens_out']:.0f} out, "
        f"{use['tokens_out_per_second']:.1f} out/s, {use['seconds']:.0f} s; whole plan about "
        f"{use['seconds_whole_plan']:.0f} s, cost {use['cost_whole_plan']:.2f}"
    )


def _recipes(
    shards: Iterable[Mapping[str, Any]], names: Iterable[str]
) -> dict[str, dict[str, Any]]:
    keys = ("rows", "failed", "empty", "examples")
    recipes: dict[str, dict[str, Any]] = {
        name: dict.fromkeys((*keys, "cut", "spans", "without_span", "labels_without_span"), 0)
        for name in names
    }
    for shard in shards:
        for name, count in shard["recipes"].items():
            for key in keys:
                recipes[name][key] += count[key]
            recipes[name]["cut"] += count.get("cut", 0)  # older manifests have none
    return recipes


def _count_line(line: Mapping[str, Any], count: dict[str, Any], labels: Counter[str]) -> None:
    found = {span["label"] for span in line["spans"]}
    count["spans"] += len(line["spans"])
    count["without_span"] += not found
    count["labels_without_span"] += sum(label not in found for label in line["labels"])
    if RECIPES[line["recipe"]].typed:
        labels.update(label_name(line["task"], span["label"]) for span in line["spans"])


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total.most_common())


def _causes(failed: Mapping[str, int]) -> Counter[str]:
    """Return how many rows failed of each cause, whatever numbers and ids a server put into it."""
    found: Counter[str] = Counter()
    for cause, number in failed.items():
        found[_VARYING.sub("N", cause)] += number
    return found


def _without_folders(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with names in place of paths: a report is made to be published."""
    model = Path(settings["model"])
    return {
        **settings,
        **{name: [Path(path).name for path in settings[name]] for name in ("texts", "benchmarks")},
        "synonyms": Path(settings.get("synonyms", "")).name,
        "model": model.name if model.exists() else settings["model"],
    }


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items()) or "nothing"
