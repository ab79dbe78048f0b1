"""One benchmark from data to report; what ``glinermt bench`` does for each."""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glinermt import __version__
from glinermt.errors import DataError
from glinermt.eval.predictions import Run, run
from glinermt.eval.protocol import Benchmark
from glinermt.eval.report import Report
from glinermt.eval.scores import evaluate, groups_of
from glinermt.jsonl import write_jsonl
from glinermt.types import Extractor

MODEL = "model"
PREDICTIONS, SCORES = "predictions.jsonl", "scores.jsonl"


def bench(
    benchmark: Benchmark[Any],
    model: Extractor,
    cases: Sequence[Any],
    out: Path,
    *,
    model_name: str,
    model_id: str,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Predict, score and report; predictions and scores go to ``out/<benchmark>/``.

    Args:
        benchmark: what to run.
        model: who is asked.
        cases: its cases, perhaps fewer than all.
        out: folder of the run.
        model_name: the model as the user named it.
        model_id: hash of its weights, or whatever tells it from others.
        seed: of the bootstrap.
        progress: called with the number of cases done since the last call.
    """
    settings = benchmark.settings(model.settings)
    fingerprint = {
        "benchmark": benchmark.name,
        "model": model_id,
        "data": data_hash(cases),
        "settings": settings,
        **{f"model.{name}": value for name, value in computing(model).items()},
        **{f"model.{name}": value for name, value in dataclasses.asdict(model.settings).items()},
        "glinermt": __version__,
    }
    folder = out / benchmark.name
    path = folder / PREDICTIONS
    done = run(benchmark, model, cases, path, fingerprint=fingerprint, progress=progress)
    systems: dict[str, Sequence[Any]] = {MODEL: done.predictions}
    systems |= {name: predict(cases) for name, predict in benchmark.baselines().items()}
    results = evaluate(benchmark, cases, systems, settings, seed=seed)
    _write_scores(benchmark, cases, done, settings, folder / SCORES)
    card = {
        "protocol": list(benchmark.protocol),
        **fingerprint,
        "model_name": model_name,
        "cases": {name: len(rows) for name, rows in groups_of(cases, [{}] * len(cases)).items()},
        "seed": seed,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "cases_predicted_now": done.num_new,
        "cases_per_second": done.num_new / done.seconds if done.num_new else None,
    }
    extras = benchmark.extras(cases, done.predictions, settings)
    return Report(benchmark.name, benchmark.headline, card, results, extras, benchmark.plain)


def limit_cases(cases: Sequence[Any], limit: int | None) -> list[Any]:
    """Keep at most ``limit`` cases of each group, evenly spaced over it, in order."""
    if limit is None:
        return list(cases)
    groups: dict[str, list[Any]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    kept = []
    for members in groups.values():
        number = min(limit, len(members))
        kept += [members[index * len(members) // number] for index in range(number)]
    return kept


def _write_scores(
    benchmark: Benchmark[Any],
    cases: Sequence[Any],
    done: Run,
    settings: Mapping[str, Any],
    path: Path,
) -> None:
    """Write what each case counted, for ``compare``."""
    pairs = zip(cases, done.predictions, strict=True)
    write_jsonl(
        path,
        (
            {"id": c.id, "group": c.group, "counts": benchmark.score(c, prediction, settings)}
            for c, prediction in pairs
        ),
    )


def computing(model: Any) -> dict[str, Any]:
    """Return what else the model's numbers depend on, of models that say so: how it computes."""
    found = {name: getattr(model, name, None) for name in ("precision", "device", "batch_tokens")}
    return {name: str(value) for name, value in found.items() if value is not None}


def data_hash(cases: Sequence[Any]) -> str:
    """Return the SHA-256 of the cases as scored: texts, labels, gold, order."""
    digest = hashlib.sha256()
    for case in cases:
        line = json.dumps(
            dataclasses.asdict(case), ensure_ascii=False, sort_keys=True, default=sorted
        )
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def model_hash(model: Extractor) -> str:
    """Return the SHA-256 of the weights, names and shapes included.

    Raises:
        DataError: the model shows no weights (no ``state_dict``).
    """
    state_dict = getattr(model, "state_dict", None)
    if state_dict is None:
        raise DataError(f"{type(model).__name__} shows no weights; pass a name for it instead")
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
        digest.update(memoryview(array.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what computes."""
    import platform

    import numpy
    import torch
    import transformers

    return {
        "python": platform.python_version(),
        "glinermt": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
    }
