"""What stands beside the data: report.json, the dataset card, the picture; and uploading it all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glinermt.errors import BackendError, DataError
from glinermt.jsonl import write_text
from glinermt.synth.recipes import RECIPES
from glinermt.synth.report import Prices, make_report
from glinermt.synth.review import read_review
from glinermt.synth.settings import Settings
from glinermt.synth.store import COLUMNS, Store

SHOWN = 30
UPLOADED = ("part-*.jsonl", "part-*.parquet", "README.md", "report.json", "labels.png")
"""Neither the replies nor the plan: they hold nothing that training needs."""


def dataset_card(report: Mapping[str, Any], *, licence: str, title: str) -> str:
    """Return the card as Markdown, with the metadata that the Hugging Face hub reads.

    Args:
        report: what ``make_report`` gave.
        licence: of the data; it depends on the source texts and the model.
        title: its heading.
    """
    settings = report["settings"]
    ends = settings["format"]
    categories = sorted({RECIPES[name].category for name in report["recipes"]})
    lines = [
        "---",
        f"license: {licence}",
        f"task_categories: [{', '.join(categories)}]",
        "tags: [synthetic, information-extraction, glinermt]",
        f"size_categories: [{_size(report['examples'])}]",
        f"dataset_info: {json.dumps({'features': _fields(COLUMNS)})}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        f'    path: "part-*.{ends}"',
        "---",
        "",
        f"# {title}",
        "",
        f"{report['examples']} examples that `{settings['model']}` wrote with `glinermt generate`, "
        f"from {report['plan']['passages']} passages of {report['plan']['texts']} texts "
        f"({report['rows_done']} of {report['plan']['rows']} planned rows, "
        f"seed {settings['seed']}).",
        "",
        "Each line has `text`, `labels` that are looked for, the `prompt` read before the text, "
        "and `spans` (`start`, `end` in characters, `label`). Labels without a span are "
        "negatives. Every span is a piece of the text, but nobody has checked that it is the "
        "right one: these are a model's annotations.",
        "",
        *_task_table(report),
        "",
        f"Quotes placed in their text: {report['alignment_rate']:.1%}.",
        "",
        *_table("how quotes were placed", report["alignment"]),
        *_table("why pieces were dropped", report["drops"]),
        *_table("why rows failed", report["failed"]),
        *_table("source passages left out", report["plan"]["drops"]),
        *_merges(report["merged_labels"]),
        *_table("examples: distinct types until then", report["types_by_examples"]),
        *_review(report.get("review")),
        *_table(f"labels ({report['distinct_labels']} distinct)", report["labels"]),
        f"Fingerprint: `{report['fingerprint']}`.",
    ]
    return "\n".join(lines) + "\n"


def draw_labels(report: Mapping[str, Any], file: Path) -> None:
    """Draw how often the most frequent labels stand in the data.

    Raises:
        BackendError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendError("drawing needs matplotlib: pip install 'glinermt[synth]'") from error
    shown = list(report["labels"].items())[:SHOWN][::-1]
    figure = Figure(figsize=(7, 1 + 0.25 * len(shown)), layout="constrained")
    axes = figure.subplots()
    axes.barh([_printable(label) for label, _ in shown], [number for _, number in shown])
    axes.set_xlabel("spans")
    axes.set_title(f"{len(shown)} of {report['distinct_labels']} labels")
    figure.savefig(file, dpi=120)


def write_report(
    out: Path, settings: Settings, *, prices: Prices, licence: str = "other"
) -> dict[str, Any]:
    """Write the report, the dataset card and, where matplotlib is installed, the picture.

    Raises:
        DataError: nothing was generated into the folder.
    """
    store = Store(out, settings.format)
    manifest = store.read_manifest()
    if manifest is None:
        raise DataError(f"{out}: nothing was generated there")
    report = make_report(manifest, store.read_examples(), prices)
    if review := read_review(out):
        report["review"] = review
    text = json.dumps(report, indent=2, ensure_ascii=False)
    write_text(out / "report.json", text + "\n")
    write_text(out / "README.md", dataset_card(report, licence=licence, title=out.resolve().name))
    if report["labels"] and _can_draw():
        draw_labels(report, out / "labels.png")
    return report


def push_to_hub(folder: Path, repo: str, *, private: bool = True) -> str:
    """Upload the data and its card as a dataset; give the address.

    Args:
        folder: the output of ``generate``.
        repo: ``owner/name``; made where it does not exist.
        private: whether a new one is private.
    """
    from huggingface_hub import HfApi

    hub = HfApi()
    hub.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
    done = hub.upload_folder(
        repo_id=repo, repo_type="dataset", folder_path=folder, allow_patterns=list(UPLOADED)
    )
    return str(done.commit_url)


def _printable(label: str) -> str:
    """Return a label that any font has, and in which no ``$`` begins a formula."""
    return label[:40].encode("ascii", "replace").decode().replace("$", r"\$")


def _task_table(report: Mapping[str, Any]) -> list[str]:
    head = "| recipe | rows | failed | nothing kept | examples | spans | without a span |"
    rows = [
        f"| {name} | {c['rows']} | {c['failed']} | {c['empty']} | {c['examples']} | {c['spans']} "
        f"| {c['negatives_share']:.0%} |"
        for name, c in report["recipes"].items()
    ]
    return [head, "|---|---|---|---|---|---|---|", *rows]


def _review(review: Mapping[str, Any] | None) -> list[str]:
    """Return what a reader found right, in words and by label."""
    if not review:
        return []
    found = review["all"]
    by_label = {
        label: f"{own['precision']:.0%} of {own['spans']} ({own['low']:.0%} to {own['high']:.0%})"
        for label, own in review["labels"].items()
    }
    said = (
        f"A reader found {found['precision']:.0%} of {found['spans']} spans right, drawn from all "
        f"(95% interval {found['low']:.0%} to {found['high']:.0%})."
    )
    return [said, "", *_table("spans that a reader found right", by_label)]


def _fields(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields as the hub's metadata has them: shards need not have all of them."""
    return [{"name": name, **_field(of)} for name, of in columns.items()]


def _field(of: Any) -> dict[str, Any]:
    if isinstance(of, dict):
        return {"struct": _fields(of)}
    if not isinstance(of, list):
        return {"dtype": of}
    inner = of[0]
    if isinstance(inner, dict):
        return {"list": _fields(inner)}
    return {"sequence": inner if isinstance(inner, str) else _field(inner)}


def _merges(merged: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the labels that gave way to others, those of the most spans first."""
    if not merged:
        return []
    ranked = sorted(merged.items(), key=lambda item: (-item[1]["spans"], item[0]))
    rows = [
        f"| {_cell(label)} | {_cell(entry['written'])} | {entry['why']} | {entry['spans']} |"
        for label, entry in ranked[:SHOWN]
    ]
    head = f"| label ({len(merged)} merged) | written as | why | spans |"
    return [head, "|---|---|---|---|", *rows, ""]


def _table(title: str, counts: Mapping[Any, Any]) -> list[str]:
    if not counts:
        return []
    rows = [
        f"| {_cell(str(name))} | {_cell(str(number))} |"
        for name, number in list(counts.items())[:SHOWN]
    ]
    return [f"| {title} | number |", "|---|---|", *rows, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _size(examples: int) -> str:
    """Return the hub's name for the number of examples."""
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
    return names[min(max(0, len(str(examples)) - 3), len(names) - 1)]


def _can_draw() -> bool:
    import importlib.util

    return importlib.util.find_spec("matplotlib") is not None
