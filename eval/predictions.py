"""Asking the model, with every answer on disk at once, so that a run can be taken up again."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.protocol import Benchmark, Prediction
from glinermt.jsonl import to_line
from glinermt.types import Extractor

CHUNK = 64
"""Cases asked between two writes."""


@dataclass(frozen=True, slots=True)
class Run:
    """All predictions, and how long those made now took."""

    predictions: list[Prediction]
    num_new: int
    seconds: float


def run(
    benchmark: Benchmark[Any],
    model: Extractor,
    cases: Sequence[Any],
    path: Path,
    *,
    fingerprint: Mapping[str, Any],
    progress: Callable[[int], None] = lambda _: None,
) -> Run:
    """Predict what ``path`` does not hold yet and add it there.

    Args:
        benchmark: whose cases these are.
        model: who is asked.
        cases: all of them; each id once.
        path: JSONL; the first line is the fingerprint, the others ``{"id", "prediction"}``.
        fingerprint: what the predictions depend on, JSON values only.
        progress: called with the number of cases done since the last call.

    Raises:
        DataError: ``path`` holds predictions made under another fingerprint, or is damaged.
    """
    ids = [case.id for case in cases]
    if len(set(ids)) != len(ids):
        raise DataError(f"{benchmark.name}: case ids are not unique")
    done = _take_up(path, fingerprint)
    progress(sum(id_ in done for id_ in ids))
    todo = [case for case in cases if case.id not in done]
    started = time.perf_counter()
    with path.open("ab") as file:
        for first in range(0, len(todo), CHUNK):
            chunk = todo[first : first + CHUNK]
            for case, prediction in zip(chunk, benchmark.predict(model, chunk), strict=True):
                done[case.id] = prediction
                file.write(to_line({"id": case.id, "prediction": prediction}))
            file.flush()
            progress(len(chunk))
    seconds = time.perf_counter() - started
    return Run([done[id_] for id_ in ids], len(todo), seconds)


def _take_up(path: Path, fingerprint: Mapping[str, Any]) -> dict[str, Prediction]:
    """Read what is there; a file without any prediction is begun anew."""
    found, done = _read(path) if path.exists() else ({}, {})
    if not done:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_line({"fingerprint": fingerprint}))
        return {}
    expected = json.loads(json.dumps(fingerprint))
    changed = sorted(k for k in {*found, *expected} if found.get(k) != expected.get(k))
    if changed:
        details = "; ".join(f"{k}: {found.get(k)!r} -> {expected.get(k)!r}" for k in changed)
        raise DataError(
            f"{path}: these predictions were made under other conditions ({details}); "
            "choose another --out or remove the file"
        )
    return done


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Prediction]]:
    """Return the fingerprint and the predictions; a last line cut by an interruption is removed."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        path.write_bytes(whole)
    try:
        # A text may hold the other marks that splitlines takes for the end of a line.
        rows = [json.loads(line) for line in whole.decode().split("\n")[:-1]]
        found = rows[0]["fingerprint"] if rows else {}
        return found, {row["id"]: row["prediction"] for row in rows[1:]}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is no predictions file ({error!r}); remove it") from error
