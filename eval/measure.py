"""One benchmark from data to report, which can be taken up again; texts it shares with training."""

import dataclasses
import datetime
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt import __version__
from glinermt.config import ModelConfig
from glinermt.contamination import grams, words
from glinermt.errors import DataError
from glinermt.eval.protocol import Benchmark, Prediction
from glinermt.eval.report import Report
from glinermt.eval.scores import evaluate, groups_of
from glinermt.exported import is_export
from glinermt.jsonl import cut_unfinished, read_jsonl, to_line, write_jsonl
from glinermt.types import Extractor

CASES_A_WRITE = 64
"""Cases asked between two writes."""
GRAPH_FILES = (".onnx", ".xml", ".bin")
"""What an export's network is in."""


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
        for first in range(0, len(todo), CASES_A_WRITE):
            chunk = todo[first : first + CASES_A_WRITE]
            for case, prediction in zip(chunk, benchmark.predict(model, chunk), strict=True):
                done[case.id] = prediction
                file.write(to_line({"id": case.id, "prediction": prediction}))
            file.flush()
            progress(len(chunk))
    seconds = time.perf_counter() - started
    return Run([done[id_] for id_ in ids], len(todo), seconds)


def _take_up(path: Path, fingerprint: Mapping[str, Any]) -> dict[str, Prediction]:
    """Read what is there; a file without any prediction is begun anew."""
    found, done = _read_predictions(path) if path.exists() else ({}, {})
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


def _read_predictions(path: Path) -> tuple[dict[str, Any], dict[str, Prediction]]:
    """Return the fingerprint and the predictions; a last line cut by an interruption is removed."""
    cut_unfinished(path)
    try:
        with path.open("rb") as stream:
            rows = [json.loads(line) for line in stream]
        found = rows[0]["fingerprint"] if rows else {}
        return found, {row["id"]: row["prediction"] for row in rows[1:]}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is no predictions file ({error!r}); remove it") from error


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
    return [case for members in groups.values() for case in evenly(members, limit)]


def evenly(cases: Sequence[Any], limit: int | None) -> list[Any]:
    """Keep at most ``limit`` cases, evenly spaced, in order."""
    number = len(cases) if limit is None else min(limit, len(cases))
    return [cases[index * len(cases) // number] for index in range(number)]


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
    """Return what else the model's numbers depend on, of models that say so.

    That is how it computes, and its configuration, which reads the same weights in another way.
    """
    found = {name: getattr(model, name, None) for name in ("precision", "device", "batch_tokens")}
    if isinstance(config := getattr(model, "config", None), ModelConfig):
        found["config"] = _config_hash(config)
    return {name: str(value) for name, value in found.items() if value is not None}


def _config_hash(config: ModelConfig) -> str:
    """Return what tells a configuration from others, wherever the encoder came from."""
    values = {**dataclasses.asdict(config), "encoder": ""}
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


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
    """Return the SHA-256 of the weights, names and shapes included; of an export, of its graphs.

    Raises:
        DataError: the model shows no weights (no ``state_dict``).
    """
    export = _export(model)
    if export is not None:
        return _graphs_hash(export)
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


def _export(model: Any) -> Path | None:
    """Return the folder of a model that is an export, whoever runs it."""
    folder = getattr(model, "folder", None) or getattr(model, "source", None)
    return folder if isinstance(folder, Path) and is_export(folder) else None


def _graphs_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in GRAPH_FILES):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while part := file.read(2**20):
                digest.update(part)
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


FIELDS = ("text", "context", "document", "question")


@dataclass(frozen=True, slots=True)
class Leaks:
    """Distinct texts of a benchmark that the training file holds."""

    num_texts: int
    exact: tuple[str, ...]
    shared_grams: tuple[str, ...]


def find_leaks(train: Path, cases: Sequence[Any]) -> Leaks:
    """Look for the cases' texts among the rows of a JSONL file, by normalised words.

    ``exact`` lists ids of cases whose text is a row's text; ``shared_grams`` those that share a
    run of 13 words with a row, the exact ones of that length included. One id a distinct text.

    Raises:
        DataError: a row has no text that is understood.
    """
    by_words: dict[tuple[str, ...], str] = {}
    for case in cases:
        if case_words := tuple(words(case.text)):  # all texts without words are equal
            by_words.setdefault(case_words, case.id)
    owners: dict[bytes, set[str]] = {}
    for case_words, id_ in by_words.items():
        for gram in grams(case_words):
            owners.setdefault(gram, set()).add(id_)
    exact: set[str] = set()
    shared: set[str] = set()
    for number, row in read_jsonl(train):
        for text in _texts(row, f"{train}:{number}"):
            row_words = tuple(words(text))
            if row_words in by_words:
                exact.add(by_words[row_words])
            for gram in grams(row_words):
                shared |= owners.get(gram, set())
    return Leaks(len(by_words), tuple(sorted(exact)), tuple(sorted(shared)))


def _texts(row: dict[str, Any], where: str) -> list[str]:
    if "tokens" in row:
        tokens = row["tokens"]
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError(f"{where}: tokens should be a list of strings, got {tokens!r:.80}")
        return [" ".join(tokens)]
    texts = [row[name] for name in FIELDS if isinstance(row.get(name), str)]
    if not texts:
        raise DataError(f"{where}: expected 'tokens' or one of {FIELDS}, found {list(row)}")
    return texts
