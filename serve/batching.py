"""Merges what concurrent requests ask of one model, so that they share its batches.

Each request gets an Extractor of its own from ``BatchingExtractor.request`` and calls a task
function with it, in its own thread. What it asks waits in a lane, a queue with a worker. A batch
takes one query of each waiting request in turn, as long as kinds, rules and thresholds agree and
tokens are left, so a request of a thousand texts does not hold up one of a single text. Queries
longer than a whole batch have a lane of their own. The engine's results do not depend on what else
is in a batch, so they are the same as alone.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from glinermt.config import TaskSettings
from glinermt.tasks.run import kinds_of
from glinermt.types import Ask, Extractor, Found, Kind, Overlap, Query, Span, SpanScore, Threshold

BATCH_TOKENS = 4096
"""Estimated tokens of one batch."""
MAX_WAIT = 0.005
"""Seconds that a batch waits for requests on their way."""


class RequestCancelled(Exception):
    """The request's client has gone, its time is up, or the server stops."""


BYTES_A_TOKEN = 4


def estimated_tokens(query: Query) -> int:
    """Return about how many tokens the model reads for a query, without tokenising it."""
    fields = (field.name for structure in query.structures for field in structure.fields)
    labels = (*query.labels, *query.relations, *query.classes, *fields)
    pieces = (query.text, query.prompt, *labels)
    size = sum(len(piece.encode("utf-8", "surrogatepass")) for piece in pieces)
    return size // BYTES_A_TOKEN + len(labels) + 3


Run = Callable[[Any, list[Query], Ask], list[Any]]
"""(model, queries, how) -> what each query found."""


def extract(model: Extractor, queries: list[Query], ask: Ask) -> list[Any]:
    return model.extract(
        queries,
        threshold=ask.threshold,
        overlap=ask.overlap,
        multi_label=ask.multi_label,
        span_score=ask.span_score,
    )


def read(model: Any, queries: list[Query], ask: Ask) -> list[Any]:
    return model.read(queries, ask)  # type: ignore[no-any-return]  # see ``kinds``


@dataclass(slots=True, eq=False)
class Call:
    """What a request asks at once, and its results as they come."""

    queries: list[Query]
    run: Run
    ask: Ask
    tokens: list[int] = field(init=False)
    rules: Ask = field(init=False)
    """All of ``ask`` but the thresholds."""
    results: dict[int, Any] = field(default_factory=dict)
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.tokens = [estimated_tokens(query) for query in self.queries]
        self.rules = replace(self.ask, threshold=0.5, relation_threshold=0.5)

    def split(self, batch_tokens: int) -> tuple[list[int], list[int]]:
        """Return which queries share batches, and which are longer than one."""
        long = [i for i, tokens in enumerate(self.tokens) if tokens > batch_tokens]
        return [i for i, tokens in enumerate(self.tokens) if tokens <= batch_tokens], long

    def wait(self) -> list[Any]:
        self.done.wait()
        if self.error is not None:
            raise self.error
        return [self.results[i] for i in range(len(self.queries))]

    def put(self, index: int, result: Any) -> None:
        """Keep a result; a worker of each lane may do so at the same time."""
        self.results[index] = result
        if len(self.results) == len(self.queries):
            self.done.set()

    def fail(self, error: BaseException) -> None:
        if not self.done.is_set():
            self.error = error
            self.done.set()

    def limits(self, index: int) -> dict[tuple[str, str], float]:
        """Return a query's thresholds by kind and label."""
        query = self.queries[index]
        return {
            (kind, label): given[label] if isinstance(given, Mapping) else given
            for kind, labels, given in (
                ("span", query.labels, self.ask.threshold),
                ("relation", query.relations, self.ask.relation_threshold),
            )
            for label in labels
            if not isinstance(given, Mapping) or label in given  # else the model complains
        }


@dataclass(slots=True, eq=False)
class Part:
    """The queries of a call that wait in a lane."""

    call: Call
    indices: deque[int]


@dataclass(slots=True)
class Batch:
    """Queries that go to the model together: of one kind, with thresholds that agree."""

    first: Call | None = None
    limits: dict[tuple[str, str], float] = field(default_factory=dict)
    queries: list[tuple[Call, int]] = field(default_factory=list)
    tokens: int = 0

    def takes(self, call: Call, index: int, most_tokens: int) -> bool:
        """Add the query if it fits; one that does not will not fit later either."""
        first = self.first or call
        if self.queries and self.tokens + call.tokens[index] > most_tokens:
            return False
        if call.run is not first.run or call.rules != first.rules:
            return False
        own = call.limits(index)
        if any(self.limits.get(label, limit) != limit for label, limit in own.items()):
            return False
        self.first = first
        self.limits.update(own)
        self.queries.append((call, index))
        self.tokens += call.tokens[index]
        return True

    def run(self, model: Extractor, members: list[tuple[Call, int]]) -> list[Any]:
        assert self.first is not None
        spans, relations = (
            {label: limit for (of, label), limit in self.limits.items() if of == kind}
            for kind in ("span", "relation")
        )
        ask = replace(self.first.ask, threshold=spans, relation_threshold=relations)
        return self.first.run(model, [call.queries[i] for call, i in members], ask)


@dataclass(slots=True)
class Lane:
    """What waits for one worker; whoever is first in ``parts`` begins the next batch."""

    parts: deque[Part] = field(default_factory=deque)

    def fills(self, most_tokens: int) -> bool:
        """Whether what waits fills a batch."""
        tokens = 0
        for part in self.parts:
            for i in part.indices:
                tokens += part.call.tokens[i]
                if tokens >= most_tokens:
                    return True
        return False

    def take(self, most_tokens: int) -> Batch:
        """Take a batch, a query of each waiting request in turn; those served move to the end."""
        batch = Batch()
        turn, self.parts = self.parts, deque()
        while turn:
            part = turn.popleft()
            if part.call.done.is_set():  # cancelled or failed
                continue
            if not batch.takes(part.call, part.indices[0], most_tokens):
                self.parts.append(part)
                continue
            part.indices.popleft()
            if part.indices:
                turn.append(part)
        return batch


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
        except BaseException as error:  # whose fault it is shows when each runs alone
            self._run_alone(batch, error)
            return
        for (call, i), result in zip(batch.queries, results, strict=True):
            call.put(i, result)

    def _run_alone(self, batch: Batch, error: BaseException) -> None:
        calls = {id(call): call for call, _ in batch.queries}.values()
        if len(calls) == 1:
            batch.queries[0][0].fail(error)
            return
        for call in calls:
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
    def kinds(self) -> frozenset[Kind]:
        """What kinds of labels the model answers."""
        return kinds_of(self._batches.model)

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
