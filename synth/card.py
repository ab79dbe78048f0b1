"""The dataset card, and a picture of the labels, made from a report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glinermt.errors import BackendError

SHOWN = 30
_TASKS = {
    "ner": "token-classification",
    "open_ner": "token-classification",
    "ner_types": "token-classification",
    "ner_definitions": "token-classification",
    "relations": "token-classification",
    "open_ie": "token-classification",
    "summarization": "summarization",
    "qa": "question-answering",
}


def dataset_card(report: Mapping[str, Any], *, licence: str, title: str) -> str:
    """Give the card as Markdown, with the metadata that the Hugging Face hub reads.

    Args:
        report: what ``make_report`` gave.
        licence: of the data; it depends on the source texts and the model.
        title: its heading.
    """
    settings = report["settings"]
    ends = settings["format"]
    categories = sorted({_TASKS[name] for name in report["tasks"]})
    lines = [
        "---",
        f"license: {licence}",
        f"task_categories: [{', '.join(categories)}]",
        "tags: [synthetic, information-extraction, glinermt]",
        f"size_categories: [{_size(report['examples'])}]",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        f'    path: "examples/*.{ends}"',
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


def _printable(label: str) -> str:
    """Give a label that any font has, and in which no ``$`` begins a formula."""
    return label[:40].encode("ascii", "replace").decode().replace("$", r"\$")


def _task_table(report: Mapping[str, Any]) -> list[str]:
    head = "| task | rows | failed | nothing kept | examples | spans | without a span |"
    rows = [
        f"| {name} | {c['rows']} | {c['failed']} | {c['empty']} | {c['examples']} | {c['spans']} "
        f"| {c['negatives_share']:.0%} |"
        for name, c in report["tasks"].items()
    ]
    return [head, "|---|---|---|---|---|---|---|", *rows]


def _table(title: str, counts: Mapping[str, int]) -> list[str]:
    if not counts:
        return []
    rows = [f"| {_cell(name)} | {number} |" for name, number in list(counts.items())[:SHOWN]]
    return [f"| {title} | number |", "|---|---|", *rows, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _size(examples: int) -> str:
    limits = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")]
    return next((name for limit, name in limits if examples < limit), "100K<n<1M")
