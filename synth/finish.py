"""What stands beside the data when a run ends: report.json, the card, the picture."""

import json
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.jsonl import write_text
from glinermt.synth.card import dataset_card, draw_labels
from glinermt.synth.report import Prices, make_report
from glinermt.synth.settings import Settings
from glinermt.synth.store import Store


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
    text = json.dumps(report, indent=2, ensure_ascii=False)
    write_text(out / "report.json", text + "\n")
    write_text(out / "README.md", dataset_card(report, licence=licence, title=out.resolve().name))
    if report["labels"] and _can_draw():
        draw_labels(report, out / "labels.png")
    return report


def _can_draw() -> bool:
    import importlib.util

    return importlib.util.find_spec("matplotlib") is not None
