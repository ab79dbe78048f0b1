"""Answers requests: admits them, runs each in a thread of its own, and gives up late ones."""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from glinermt.serve.batching import BATCH_TOKENS, MAX_WAIT, BatchingExtractor
from glinermt.serve.endpoints import Endpoint
from glinermt.serve.errors import RequestError
from glinermt.serve.metrics import Metrics
from glinermt.serve.replies import Reply
from glinermt.serve.requests import GivenSpan, TaskRequest
from glinermt.tasks.schemas import read_schema
from glinermt.types import Extractor


class ServeSettings(BaseModel):
    """The options of ``glinermt serve`` that a server process needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_wait_ms: Annotated[float, Field(ge=0)] = MAX_WAIT * 1000
    batch_tokens: Annotated[int, Field(ge=1)] = BATCH_TOKENS
    max_queue: Annotated[int, Field(ge=1)] = 128
    """Requests that are worked on or wait; more get 429."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds after which a request is given up."""
    max_text_chars: Annotated[int, Field(ge=1)] = 100_000
    max_texts: Annotated[int, Field(ge=1)] = 1_000
    max_labels: Annotated[int, Field(ge=1)] = 1_000
    """Labels, relations, entities and fields of records of one request, all texts together."""
    max_body_bytes: Annotated[int, Field(ge=1)] = 10_000_000
    """Size of a request's body; of a line, where a body is a stream of lines."""
    api_keys: frozenset[str] = frozenset()
    """Without any, everyone may ask."""
    cors_origins: tuple[str, ...] = ()
    """Web sites whose pages may call the server; the server's own page always may."""
    log_texts: bool = False


class Service:
    """The models of a server and the requests that are under way.

    Args:
        models: by the names that requests know them by; the first is the default.
        settings: the limits.
        metrics: counts what happens.
    """

    def __init__(
        self, models: Mapping[str, Extractor], settings: ServeSettings, metrics: Metrics
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.default = next(iter(models))
        self.batches = {
            name: BatchingExtractor(
                model,
                batch_tokens=settings.batch_tokens,
                max_wait=settings.max_wait_ms / 1000,
                report=metrics.count_batch,
            )
            for name, model in models.items()
        }
        self.stopping = False
        self._threads = ThreadPoolExecutor(settings.max_queue, "glinermt-request")
        self._under_way = 0
        self._seconds = 0.1
        """What a request takes, averaged over the last ones."""

    @property
    def ready(self) -> bool:
        """Whether requests would be answered."""
        return not self.stopping and all(batches.alive for batches in self.batches.values())

    @property
    def under_way(self) -> int:
        """Requests that are worked on or wait."""
        return self._under_way

    def close(self) -> None:
        """Stop: what still waits is cancelled, what the models read now comes to its end."""
        self.stopping = True
        for batches in self.batches.values():
            batches.close()
        self._threads.shutdown()

    async def reply(self, endpoint: Endpoint, body: TaskRequest, request: Request) -> Reply:
        """Answer a request, whose client may go away meanwhile.

        Raises:
            RequestError: it is refused, or not done in time.
            Exception: what the task function raises.
        """
        self._check(body)
        self._admit()
        gone = asyncio.create_task(_disconnected(request))
        try:
            return await self._run(endpoint, body, gone)
        finally:
            gone.cancel()

    async def reply_to_line(self, endpoint: Endpoint, body: TaskRequest) -> Reply:
        """Answer a line of a stream, which waits while half of the queue is taken.

        So streams of any number leave room for requests, which are refused when it is full.
        """
        self._check(body)
        while self._under_way >= max(1, self.settings.max_queue // 2):
            await asyncio.sleep(0.01)
        return await self._run(endpoint, body, None)

    def _admit(self) -> None:
        if self.stopping:
            raise RequestError(503, "the server stops", headers={"Retry-After": "5"})
        if self._under_way >= self.settings.max_queue:
            seconds = max(1, round(self._under_way * self._seconds / self.settings.max_queue))
            raise RequestError(
                429,
                f"{self._under_way} requests are under way already; try again in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )

    async def _run(
        self, endpoint: Endpoint, body: TaskRequest, gone: "asyncio.Task[None] | None"
    ) -> Reply:
        name = self.default if body.model is None else body.model
        batches = self.batches[name]
        handles = []

        def work() -> Reply:
            self._check_fields(body)
            with batches.request() as model:
                handles.append(model)
                if cancelled:
                    model.cancel(cancelled[0])
                result = endpoint.run(body, model)
            return endpoint.reply(model=name, offset_unit=body.offset_unit, result=result)

        cancelled: list[str] = []
        self._under_way += 1
        began = time.perf_counter()
        working = asyncio.get_running_loop().run_in_executor(self._threads, work)
        working.add_done_callback(lambda done: self._finished(done, began))
        waited: set[asyncio.Future[Any]] = {working} if gone is None else {working, gone}
        try:
            await asyncio.wait(
                waited, timeout=self.settings.timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            if not working.done():
                cancelled.append("no longer wanted")
                for handle in handles:
                    handle.cancel(cancelled[0])
        if working.done():
            return await working
        if gone is not None and gone.done():
            raise RequestError(499, "the client has gone")
        raise RequestError(504, f"not done within {self.settings.timeout:g} s")

    def _finished(self, done: "asyncio.Future[Reply]", began: float) -> None:
        self._under_way -= 1
        self._seconds += 0.1 * (time.perf_counter() - began - self._seconds)
        if not done.cancelled():
            done.exception()  # seen, even where nobody waits any more

    def _check(self, body: TaskRequest) -> None:
        """Refuse what is too much.

        Raises:
            RequestError: naming the field.
        """
        if body.model is not None and body.model not in self.batches:
            names = ", ".join(self.batches)
            raise RequestError(422, f"model {body.model!r:.80} is not here: {names}", field="model")
        limits = self.settings
        texts = body.texts()
        if len(texts) > limits.max_texts:
            raise RequestError(
                413, f"text: {len(texts)} texts; at most {limits.max_texts} at once", field="text"
            )
        for i, text in enumerate(texts):
            if len(text) > limits.max_text_chars:
                field = "text" if isinstance(body.text, str) else f"text.{i}"
                most = limits.max_text_chars
                message = f"{field}: {len(text)} characters; at most {most} in a text"
                raise RequestError(413, message, field=field)
        for field, asked in body.asked().items():
            self._check_number(field, _number(asked))

    def _check_fields(self, body: TaskRequest) -> None:
        """Refuse records of too many fields, each of which is looked for as a label is.

        Raises:
            RequestError: naming the field of the request.
            ValueError: what ``read_schema`` says of a schema.
        """
        schemas = body.record_schemas()
        if (named := sum(map(_properties, schemas))) > 2 * self.settings.max_labels:
            self._check_number("schema", named)  # before they are read, which takes a while
        self._check_number("schema", sum(len(read_schema(one).fields) for one in schemas))

    def _check_number(self, field: str, number: int) -> None:
        most = self.settings.max_labels
        if number > most:
            raise RequestError(422, f"{field}: {number}; at most {most} at once", field=field)


def _number(given: Any) -> int:
    """Return how many labels or entities a field holds, in all."""
    if isinstance(given, list):
        return sum(_number(item) for item in given)
    if isinstance(given, dict):
        return len(given)
    return int(isinstance(given, str | GivenSpan))


def _properties(schema: Any) -> int:
    """Return how many properties a JSON schema names, those of objects inside it, too."""
    if isinstance(schema, list):
        return sum(map(_properties, schema))
    if not isinstance(schema, dict):
        return 0
    own = schema.get("properties")
    return (len(own) if isinstance(own, dict) else 0) + sum(map(_properties, schema.values()))


async def _disconnected(request: Request) -> None:
    """Return once the client has gone; the body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
