"""Turns what users pass as ``model`` into an Extractor. Costs no torch until a model is needed."""

import threading
from pathlib import Path

from glinermt.types import Extractor

_lock = threading.Lock()
_shipped: list[Extractor] = []


def load_extractor(model: Extractor | str | Path | None) -> Extractor:
    """Give an Extractor for a loaded model, a folder or hub id, or None (the shipped model).

    The shipped model is loaded once, whichever thread comes first, and shared.
    """
    if model is not None and not isinstance(model, str | Path):
        return model
    from glinermt.model import GlinerMT

    if model is not None:
        return GlinerMT.from_pretrained(model)
    with _lock:
        if not _shipped:
            _shipped.append(GlinerMT.from_pretrained())
        return _shipped[0]
