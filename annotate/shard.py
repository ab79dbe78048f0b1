"""One shard: read its rows, ask the model, write the output file whole or not at all."""

import contextlib
import io
import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from glinermt.annotate.job import OWN_COLUMNS, Job, labels_and_scores, plain, result_type
from glinermt.annotate.rows import Row, Shard, parquet_table, read
from glinermt.errors import ConfigError, GlinerMTError

BATCH = 128
"""Texts that the model is given together."""
STATS = "_stats"
"""Folder of the shards' counts; readers of data sets pass over names that begin so."""
BINS = 10
_UNFINISHED = re.compile(r"\.(part-\d{5}-\d{8}|manifest|report)\.\w+\.\d+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row."""

    row: Row
    result: Any = None
    error: str = ""


class TimedOut(GlinerMTError):
    """A row took longer than it may."""


def annotate_shard(shard: Shard, job: Job, out: str, model: Any, *, retry: bool = False) -> None:
    """Annotate a shard and write its file and its counts; both appear only when whole.

    Args:
        shard: the rows.
        job: what is done to them.
        out: the output folder, which may be in an object store.
        model: as the job's ``load_model`` returns it.
        retry: keep what an earlier run found, and ask again only about the rows that failed.
    """
    check_timeout(job)
    begun = time.perf_counter()
    rows = list(read(shard))
    known = _earlier(shard, job, out) if retry else {}
    asked = [row for row in rows if row.number not in known]
    fresh = {outcome.row.number: outcome for outcome in annotate_rows(asked, job, model)}
    outcomes = [fresh.get(row.number) or Outcome(row, known.get(row.number)) for row in rows]
    write_shard(shard, job, out, outcomes, time.perf_counter() - begun)


def check_timeout(job: Job) -> None:
    """Refuse a job whose timeout cannot be kept here: its signal reaches the main thread only.

    Raises:
        ConfigError: the job has a timeout, and this is another thread.
    """
    if job.timeout and threading.current_thread() is not threading.main_thread():
        raise ConfigError(
            f"timeout: {job.timeout:g} seconds can be kept in a process's main thread only; "
            'leave it out, or pass engine=Engine(devices=("cpu",)), which begins a process'
        )


def annotate_rows(rows: Sequence[Row], job: Job, model: Any) -> Iterator[Outcome]:
    """Yield what became of each row, in order; a row that fails does not harm its neighbours."""
    for start in range(0, len(rows), BATCH):
        chunk = rows[start : start + BATCH]
        errors = [row.error or _bad_text(row, job) for row in chunk]
        pairs = zip(chunk, errors, strict=True)
        good = [row.fields[job.field] for row, error in pairs if not error]
        answers = iter(_ask(good, job, model))
        for row, error in zip(chunk, errors, strict=True):
            if error:
                yield Outcome(row, error=error)
            else:
                result, failed = next(answers)
                yield Outcome(row, result, failed)


def write_shard(
    shard: Shard, job: Job, out: str, outcomes: Sequence[Outcome], seconds: float
) -> None:
    """Write the shard's output and its counts, each beside and then renamed.

    A shard whose file is there is done, so its counts are written before. Where a file is replaced,
    its counts come after: a job killed in between still sees failures to retry.
    """
    if job.format == "parquet":
        data = _parquet(shard, job, outcomes)
    else:
        data = _jsonl(shard, job, outcomes)
    counts = json.dumps({**_counts(job, outcomes), "seconds": round(seconds, 3)}, sort_keys=True)
    output = f"{out}/{shard.name}.{job.format}"
    written = [(f"{out}/{STATS}/{shard.name}.json", counts.encode()), (output, data)]
    files, place = fsspec.core.url_to_fs(output)
    for path, content in reversed(written) if files.exists(place) else written:
        write_whole(path, content)


def write_whole(path: str, data: bytes) -> None:
    """Write a file so that it appears whole or not at all, here or in an object store."""
    files, place = fsspec.core.url_to_fs(path)
    if "file" not in (files.protocol if isinstance(files.protocol, tuple) else (files.protocol,)):
        files.pipe_file(place, data)  # one upload, which appears when it is complete
        return
    target = Path(place)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    beside.replace(target)


def remove_unfinished(folder: Path) -> None:
    """Remove what ``write_whole`` had begun when its process was killed."""
    for file in (*folder.glob(".*"), *(folder / STATS).glob(".*")):
        if _UNFINISHED.fullmatch(file.name):
            file.unlink(missing_ok=True)


def _bad_text(row: Row, job: Job) -> str:
    """Return what is wrong with the row's text, or nothing."""
    text = row.fields.get(job.field)
    if job.field not in row.fields:
        return f"no field {job.field!r}: the row has {sorted(map(str, row.fields))!r:.200}"
    if not isinstance(text, str):
        return f"{job.field!r} is no text but {type(text).__name__}: {text!r:.80}"
    if len(text) > job.max_chars:
        return f"longer than max_chars {job.max_chars:,}: the text has {len(text):,} characters"
    if not _is_unicode(text):
        return "the text is not valid Unicode: it holds bytes or halves of characters"
    return ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _ask(texts: Sequence[str], job: Job, model: Any) -> list[tuple[Any, str]]:
    """Return each text's result or its error; what fails together is asked in halves."""
    if not texts:
        return []
    try:
        with _within(job.timeout * len(texts)):
            return [(plain(result), "") for result in job.run(list(texts), model)]
    except Exception as error:  # whatever one text brings about, the others are to be read
        if len(texts) == 1:
            return [(None, f"{type(error).__name__}: {str(error)[:500]}")]
    half = len(texts) // 2
    return [*_ask(texts[:half], job, model), *_ask(texts[half:], job, model)]


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise ``TimedOut`` in the body after so many seconds; 0 = never."""
    if not seconds:
        yield
        return

    def stop(*_: object) -> None:
        raise TimedOut(f"the row took more than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _earlier(shard: Shard, job: Job, out: str) -> dict[int, Any]:
    """Return the results that an earlier run found, by the row's number.

    There are none where it was stopped before it came to this shard.
    """
    files, place = fsspec.core.url_to_fs(f"{out}/{shard.name}.{job.format}")
    if not files.exists(place):
        return {}
    with files.open(place, "rb") as file:
        if job.format == "parquet":
            import pyarrow.parquet as pq  # type: ignore[import-untyped]

            written = pq.read_table(file, columns=["row", job.result, "status"]).to_pylist(
                maps_as_pydicts="strict"
            )
        else:
            written = [json.loads(line) for line in file]
    return {row["row"]: row[job.result] for row in written if row["status"] == "ok"}


def _own_columns(shard: Shard, job: Job, outcome: Outcome) -> dict[str, Any]:
    return {
        "source": shard.source.path,
        "row": outcome.row.number,
        job.result: outcome.result,
        "status": "error" if outcome.error else "ok",
        "error": outcome.error or None,
    }


def _kept(job: Job, row: Row) -> Mapping[str, Any]:
    return row.fields if job.keep is None else {name: row.fields.get(name) for name in job.keep}


def _beside_own(job: Job, kept: Mapping[str, Any]) -> dict[str, Any]:
    return beside({*OWN_COLUMNS, job.result}, kept)


def beside(own: Set[str], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of the input, ``input_status`` for what the output calls ``status``."""
    columns = dict[str, Any]()
    for name, value in kept.items():
        free = name
        while free in own or (free != name and free in kept):
            free = f"input_{free}"
        columns[free] = value
    return columns


def _jsonl(shard: Shard, job: Job, outcomes: Sequence[Outcome]) -> bytes:
    lines = io.BytesIO()
    for outcome in outcomes:
        row = {**_beside_own(job, _kept(job, outcome.row)), **_own_columns(shard, job, outcome)}
        text = _json(row)
        lines.write(text.encode("utf-8", "backslashreplace") + b"\n")
    return lines.getvalue()


def _parquet(shard: Shard, job: Job, outcomes: Sequence[Outcome]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = _beside_own(job, _kept_columns(shard, job, outcomes))
    own = [_own_columns(shard, job, outcome) for outcome in outcomes]
    types = {"source": pa.string(), "row": pa.int64(), job.result: result_type(job.task)}
    for name in ("source", "row", job.result, "status", "error"):
        columns[name] = pa.array([row[name] for row in own], types.get(name, pa.string()))
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _kept_columns(shard: Shard, job: Job, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the input's columns: of Parquet as they stand, of other inputs as text.

    Lines of JSON may hold anything in any line, so all that is kept of one is its JSON, in a
    column ``input``; with ``keep``, a column for each name: strings as they are, others as JSON.
    """
    import pyarrow as pa

    if shard.source.kind == "parquet":
        table = parquet_table(shard)
        names = table.column_names if job.keep is None else job.keep
        return {name: table.column(name) for name in names if name in table.column_names}
    rows = [_kept(job, outcome.row) for outcome in outcomes]
    if job.keep is None and shard.source.kind != "text":
        return {"input": pa.array([_as_text(row) for row in rows], pa.string())}
    names = tuple(job.keep or (job.field,))
    return {
        name: pa.array([_as_text(row.get(name)) for row in rows], pa.string()) for name in names
    }


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else _json(value)
    return text.encode("utf-8", "backslashreplace").decode()


def _json(value: Any) -> str:
    """Return the JSON of a value; numbers that JSON has not, such as NaN, are null."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:
        text = json.dumps(value, ensure_ascii=False, default=str)
        finite = json.loads(text, parse_constant=lambda _: None)
        return json.dumps(finite, ensure_ascii=False)


def _counts(job: Job, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return what the report adds up."""
    labels: Counter[str] = Counter()
    scores = [0] * BINS
    for outcome in outcomes:
        for label, score in labels_and_scores(job.task, outcome.result):
            labels[label] += 1
            scores[min(int(score * BINS), BINS - 1)] += 1
    failures = Counter(outcome.error.split(":")[0][:80] for outcome in outcomes if outcome.error)
    texts = [row.fields.get(job.field) for row in (o.row for o in outcomes if not o.error)]
    return {
        "rows": len(outcomes),
        "errors": sum(failures.values()),
        "words": sum(len(text.split()) for text in texts if isinstance(text, str)),
        "labels": dict(labels),
        "scores": scores,
        "failures": dict(failures),
    }
