"""Asking the model, with every answer on disk at once, so that a run can be taken up again."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.eval.benchmark import Benchmark, Prediction
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
    with path.open("a", encoding="utf-8") as file:
        for first in range(0, len(todo), CHUNK):
            chunk = todo[first : first + CHUNK]
            for case, prediction in zip(chunk, benchmark.predict(model, chunk), strict=True):
                done[case.id] = prediction
                row = {"id": case.id, "prediction": prediction}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            progress(len(chunk))
    seconds = time.perf_counter() - started
    return Run([done[id_] for id_ in ids], len(todo), seconds)


def _take_up(path: Path, fingerprint: Mapping[str, Any]) -> dict[str, Prediction]:
    """Read what is there; a last line cut short by an interruption is removed."""
    if not path.exists() or not path.stat().st_size:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"fingerprint": fingerprint}) + "\n", encoding="utf-8")
        return {}
    content = path.read_text(encoding="utf-8")
    whole = content[: content.rfind("\n") + 1]
    if whole != content:
        path.write_text(whole, encoding="utf-8")
    lines = whole.splitlines()
    if not lines:
        return _take_up(path, fingerprint)
    try:
        rows = [json.loads(line) for line in lines]
        found = rows[0]["fingerprint"]
        done = {row["id"]: row["prediction"] for row in rows[1:]}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is no predictions file ({error!r}); remove it") from error
    expected = json.loads(json.dumps(fingerprint))
    changed = sorted(k for k in {*found, *expected} if found.get(k) != expected.get(k))
    if changed:
        details = "; ".join(f"{k}: {found.get(k)!r} -> {expected.get(k)!r}" for k in changed)
        raise DataError(
            f"{path}: these predictions were made under other conditions ({details}); "
            "choose another --out or remove the file"
        )
    return done
