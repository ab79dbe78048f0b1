"""Many requests on one connection: JSON lines in, JSON lines out, in the order of the lines.

At most ``WINDOW`` lines are under way. When a client does not read its results no more lines are
read from it, so a stream of any length needs a bounded amount of memory; the client must read while
it writes.
"""

import asyncio
import codecs
import json
from collections import Counter, deque
from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from glinermt.serve.endpoints import Endpoint
from glinermt.serve.errors import RequestError, as_request_error, validation_error
from glinermt.serve.service import Service

WINDOW = 32
NDJSON = "application/x-ndjson"
Line = tuple[int, bytes]


class LinesReply(StreamingResponse):
    """A reply that begins while its request is still read."""

    media_type = NDJSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream; unlike the base class, never look for a disconnect among the body's parts.

        A server that is stopped cancels what is not done in time; then the last line says so.
        """
        del scope, receive
        try:
            await self.stream_response(send)
        except asyncio.CancelledError as error:
            last = _line({"line": None, **as_request_error(error).body()})
            await send({"type": "http.response.body", "body": last})


async def reply_lines(
    service: Service, endpoint: Endpoint, request: Request
) -> AsyncIterator[bytes]:
    """Answer each line of the request's body with a line; a bad one with its error."""
    asked = request.scope["state"]["asked"] = Counter(lines=0, texts=0, chars=0)
    lines = _lines(request, service.settings.max_body_bytes)
    pending: deque[asyncio.Task[bytes]] = deque()
    reading = _next(lines)
    try:
        while True:
            await _either(pending, reading)
            if pending and pending[0].done():
                yield pending.popleft().result()
                continue
            line = reading.result()
            if line is None:
                break
            pending.append(asyncio.create_task(_reply(service, endpoint, asked, *line)))
            reading = _next(lines)
        while pending:
            yield await pending.popleft()
    except ClientDisconnect:
        return
    finally:
        for task in (reading, *pending):
            task.cancel()


async def _either(
    pending: "deque[asyncio.Task[bytes]]", reading: "asyncio.Task[Line | None]"
) -> None:
    """Wait for the first result or, unless as many as may be are under way, for the next line."""
    waited: set[asyncio.Task[Any]] = {pending[0]} if pending else set()
    if len(pending) < WINDOW:
        waited.add(reading)
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)


def _next(lines: AsyncIterator[Line]) -> "asyncio.Task[Line | None]":
    async def one() -> Line | None:
        return await anext(lines, None)

    return asyncio.create_task(one())


async def _lines(request: Request, most_bytes: int) -> AsyncIterator[Line]:
    """Read numbered lines that are not empty; of one that is too long, only so much as shows it."""
    number, rest = 0, b""
    async for chunk in request.stream():
        if len(rest) > most_bytes and b"\n" not in chunk:
            continue
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            if line.strip():
                yield number, line
    if rest.strip():
        yield number + 1, rest


async def _reply(
    service: Service, endpoint: Endpoint, asked: "Counter[str]", number: int, line: bytes
) -> bytes:
    """Answer a line, and add what it asks to what the log says of the whole stream."""
    asked["lines"] += 1
    try:
        if len(line) > service.settings.max_body_bytes:
            most = service.settings.max_body_bytes
            raise RequestError(413, f"more than {most} bytes", field="body")
        body = endpoint.request.model_validate_json(line.removeprefix(codecs.BOM_UTF8))
        texts = body.texts()
        service.metrics.count_texts(f"/v1/{endpoint.path}/batch", len(texts))
        asked.update(texts=len(texts), chars=sum(map(len, texts)))
        reply = await service.reply_to_line(endpoint, body)
    except ValidationError as error:
        return _line({"line": number, **validation_error(error.errors(), _body(line)).body()})
    except Exception as error:
        return _line({"line": number, **as_request_error(error).body()})
    return _line({"line": number, **reply.model_dump()})


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _body(line: bytes) -> Any:
    """Return what a line holds, None where it is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
