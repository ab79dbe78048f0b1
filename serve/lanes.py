"""What waits for a model, and which of it goes into a batch together.

A lane is a queue of calls. A batch takes one query of each call in turn, as long as kinds, rules
and thresholds agree and tokens are left.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from glinermt.types import Ask, Extractor, Query

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
    results: dict[int, Any] = field(default_factory=dict)
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.tokens = [estimated_tokens(query) for query in self.queries]

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
        if call.run is not first.run or _rules(call.ask) != _rules(first.ask):
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


def _rules(ask: Ask) -> Ask:
    """Return all but the thresholds."""
    return replace(ask, threshold=0.5, relation_threshold=0.5)


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
