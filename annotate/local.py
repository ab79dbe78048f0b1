"""The shards on this machine: in this process, or in several that each hold a model."""

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from glinermt.annotate.job import Job
from glinermt.annotate.rows import Row, Shard, read
from glinermt.annotate.shard import Outcome, annotate_rows, annotate_shard, write_shard
from glinermt.errors import BackendError

AHEAD = 2
"""Shards that are begun or wait, for each process."""
_DIED = "the process that read this text died, twice"

_worker: dict[str, Any] = {}
"""The job and the model of a worker process."""


def here(
    shards: Iterable[Shard], job: Job, out: str, *, retry: bool, threads: int | None = None
) -> Iterator[Shard]:
    """Annotate in this process; yield each shard when it is written."""
    model = job.load_model(threads=threads)
    for shard in shards:
        annotate_shard(shard, job, out, model, retry=retry)
        yield shard


def in_processes(
    shards: Iterable[Shard],
    job: Job,
    out: str,
    *,
    retry: bool,
    devices: Sequence[str],
    threads: int,
) -> Iterator[Shard]:
    """Annotate in one process for each device; yield each shard when it is written, in any order.

    A process that dies takes nothing with it: the shards that were begun are done again, each in
    a process of its own. One that dies there, too, is done row by row, and a row that kills its
    process twice is recorded as failed. Where no model can be loaded, no row is at fault.

    Args:
        shards: read only a few ahead.
        job: what is done.
        out: output folder.
        retry: see ``annotate_shard``.
        devices: such as ``["cpu", "cpu"]`` or ``["cuda:0", "cuda:1"]``.
        threads: of torch in each process.

    Raises:
        BackendError: a process dies when it loads the model.
        Exception: what loading the model raises, such as for a device that is not here.
    """
    left = iter(shards)
    pool = _pool(job, devices, threads)
    running: dict[Future[None], Shard] = {}
    try:
        while True:
            while len(running) < AHEAD * len(devices) and (shard := next(left, None)):
                running[pool.submit(_work, shard, out, retry)] = shard
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                _end(pool)
                for future, shard in running.items():
                    if not future.done() or future.exception():
                        _alone(shard, job, out, retry, devices[0], threads)
                    yield shard
                running = {}
                pool = _pool(job, devices, threads)
                continue
            for future in done:
                shard = running.pop(future)
                future.result()
                yield shard
    finally:
        _end(pool)


def _pool(job: Job, devices: Sequence[str], threads: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork would take along the threads of torch half way.
    context = get_context("spawn")
    queue = context.SimpleQueue()
    for device in devices:
        queue.put(device)
    return ProcessPoolExecutor(
        len(devices), context, initializer=_begin, initargs=(job, queue, threads, os.getpid())
    )


def _begin(job: Job, devices: Any, threads: int, parent: int) -> None:
    """Make this process a worker: its device, its threads, its model."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver is told, and ends us
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        _worker.update(job=job, model=job.load_model(devices.get(), threads=threads))
    except Exception as error:  # the first who asks is told; here it would only end the process
        _worker["error"] = error


def _end_with(parent: int) -> None:
    """End this process when the driver is gone; nobody would read what it does."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _ready() -> None:
    """Raise what loading the model raised."""
    if "error" in _worker:
        raise _worker["error"]


def _work(shard: Shard, out: str, retry: bool) -> None:
    _ready()
    annotate_shard(shard, _worker["job"], out, _worker["model"], retry=retry)


def _work_row(row: Row) -> Outcome:
    (outcome,) = annotate_rows([row], _worker["job"], _worker["model"])
    return outcome


def _alone(shard: Shard, job: Job, out: str, retry: bool, device: str, threads: int) -> None:
    """Do a shard in a process of its own, and row by row if that dies as well."""
    pool = _pool(job, [device], threads)
    try:
        pool.submit(_work, shard, out, retry).result()
        return
    except BrokenProcessPool:
        pass
    finally:
        _end(pool)
    begun = time.perf_counter()
    outcomes = _row_by_row(list(read(shard)), job, device, threads)
    write_shard(shard, job, out, outcomes, time.perf_counter() - begun)


def _row_by_row(rows: Sequence[Row], job: Job, device: str, threads: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    pool = _pool(job, [device], threads)
    try:
        pool.submit(_ready).result()
        for row in rows:
            for attempt in range(2):
                try:
                    outcomes.append(pool.submit(_work_row, row).result())
                    break
                except BrokenProcessPool:
                    _end(pool)
                    pool = _pool(job, [device], threads)
                    if attempt:
                        outcomes.append(Outcome(row, error=_DIED))
    except BrokenProcessPool as error:
        raise BackendError(
            f"a process dies when it loads the model on {device}; is there memory for as many?"
        ) from error
    finally:
        _end(pool)
    return outcomes


def _end(pool: ProcessPoolExecutor) -> None:
    """End the pool at once, with what its processes are doing."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
