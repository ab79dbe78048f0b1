"""Merges what concurrent requests ask of one model, so that they share its batches.

Each request gets an Extractor of its own from ``BatchingExtractor.request`` and calls a task
function with it, in its own thread. What it asks waits here until a worker takes it: every waiting
request puts one query into a batch before any puts a second one, so a request of a thousand texts
does not hold up one of a single text. Queries longer than a whole batch have a worker of their own.
The engine's results do not depend on what else is in a batch, so they are the same as alone.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from glinermt.config import TaskSettings
from glinermt.serve.lanes import Batch, Call, Lane, Part, extract, read
from glinermt.types import Ask, Extractor, Found, Overlap, Query, Span, SpanScore, Threshold

BATCH_TOKENS = 4096
"""Estimated tokens of one batch."""
MAX_WAIT = 0.005
"""Seconds that a batch waits for requests on their way."""


class RequestCancelled(Exception):
    """The request's client has gone, its time is up, or the server stops."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a finished batch was, for whoever measures."""

    requests: int
    queries: int
    tokens: int
    seconds: float


class BatchingExtractor:
    """Runs one model for many threads.

    Args:
        model: the model; only this object's workers call it.
        batch_tokens: estimated tokens after which a batch is full.
        max_wait: seconds that a batch waits, while requests are open that have not asked yet.
        report: called after every batch, by the worker.
    """

    def __init__(
        self,
        model: Extractor,
        *,
        batch_tokens: int = BATCH_TOKENS,
        max_wait: float = MAX_WAIT,
        report: Callable[[BatchReport], None] = lambda _: None,
    ) -> None:
        self.model = model
        self.batch_tokens = batch_tokens
        self.max_wait = max_wait
        self._report = report
        self._changed = threading.Condition()
        self._open = 0
        self._asking = 0
        self._closing = False
        self._lanes = Lane(), Lane()
        self._workers = [
            threading.Thread(target=self._work, args=(lane,), name="glinermt-batches", daemon=True)
            for lane in self._lanes
        ]
        for worker in self._workers:
            worker.start()

    @contextmanager
    def request(self) -> Iterator["RequestExtractor"]:
        """Open a request: an Extractor whose queries share batches with those of the others."""
        with self._changed:
            self._open += 1
        try:
            yield RequestExtractor(self)
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Cancel what still waits, let the batches that run come to their end, and stop."""
        with self._changed:
            self._closing = True
            for lane in self._lanes:
                for part in lane.parts:
                    part.call.fail(RequestCancelled("the server stops"))
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    @property
    def alive(self) -> bool:
        """Whether all workers run."""
        return all(worker.is_alive() for worker in self._workers)

    def waiting(self) -> int:
        """Return how many calls wait for a worker or for the rest of their queries."""
        return self._asking

    def _ask(self, call: Call) -> list[Any]:
        with self._changed:
            if self._closing:
                raise RequestCancelled("the server stops")
            self._asking += 1
            for lane, indices in zip(self._lanes, call.split(self.batch_tokens), strict=True):
                if indices:
                    lane.parts.append(Part(call, deque(indices)))
            self._changed.notify_all()
        try:
            return call.wait()
        finally:
            with self._changed:
                self._asking -= 1

    def _work(self, lane: Lane) -> None:
        while True:
            with self._changed:
                while not lane.parts and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                self._linger(lane)
                batch = lane.take(self.batch_tokens)
            if batch.queries:
                began = time.perf_counter()
                self._run(batch)
                seconds = time.perf_counter() - began
                requests = len({id(call) for call, _ in batch.queries})
                self._report(BatchReport(requests, len(batch.queries), batch.tokens, seconds))

    def _linger(self, lane: Lane) -> None:
        """Wait a moment while requests are open that have not asked yet."""
        until = time.monotonic() + self.max_wait
        while self._open > self._asking and not self._closing and not lane.fills(self.batch_tokens):
            left = until - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _run(self, batch: Batch) -> None:
        try:
            results = batch.run(self.model, batch.queries)
        except BaseException:  # whose fault it is shows when each runs alone
            self._run_alone(batch)
            return
        for (call, i), result in zip(batch.queries, results, strict=True):
            call.put(i, result)

    def _run_alone(self, batch: Batch) -> None:
        for call in {id(call): call for call, _ in batch.queries}.values():
            own = [(other, i) for other, i in batch.queries if other is call]
            try:
                results = batch.run(self.model, own)
            except BaseException as error:  # one request's failure is its own; the worker goes on
                call.fail(error)
                continue
            for (_, i), result in zip(own, results, strict=True):
                call.put(i, result)


class RequestExtractor:
    """The model as one request sees it; ``cancel`` drops what it still waits for."""

    def __init__(self, batches: BatchingExtractor) -> None:
        self._batches = batches
        self._lock = threading.Lock()
        self._call: Call | None = None
        self._cancelled: RequestCancelled | None = None

    @property
    def settings(self) -> TaskSettings:
        return self._batches.model.settings

    @property
    def kinds(self) -> frozenset[str]:
        """What kinds of labels the model answers."""
        return getattr(self._batches.model, "kinds", frozenset({"spans"}))

    def extract(
        self,
        queries: Sequence[Query],
        *,
        threshold: Threshold = 0.5,
        overlap: Overlap = "flat",
        multi_label: bool = False,
        span_score: SpanScore = "mean",
    ) -> list[list[Span]]:
        """Find each query's spans, in a batch with what others ask.

        Raises:
            RequestCancelled: the request was cancelled meanwhile.
        """
        ask = Ask(threshold, overlap, multi_label, span_score)
        return self._ask(Call(list(queries), extract, ask))

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:
        """Find all kinds of things that the queries ask for; see ``extract``."""
        return self._ask(Call(list(queries), read, ask))

    def cancel(self, why: str) -> None:
        """Drop what the request waits for; its thread gets a RequestCancelled."""
        with self._lock:
            self._cancelled = RequestCancelled(why)
            if self._call is not None:
                self._call.fail(self._cancelled)

    def _ask(self, call: Call) -> list[Any]:
        if not call.queries:
            return []
        with self._lock:
            if self._cancelled is not None:
                raise self._cancelled
            self._call = call
        return self._batches._ask(call)
