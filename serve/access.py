"""What happens to every request before and after its endpoint: key, number, metrics, log."""

import hmac
import json
import logging
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glinermt.errors import ConfigError
from glinermt.serve.errors import RequestError
from glinermt.serve.metrics import Metrics
from glinermt.serve.service import ServeSettings

logger = logging.getLogger("glinermt.serve.access")

GUARDED = ("/v1/", "/metrics")
"""Paths that need a key, where there are keys; the rest says nothing of anyone's texts."""


class Access:
    """The outermost layer of the app, but for the one that tells browsers who may ask."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        state = scope.setdefault("state", {})
        number = uuid.uuid4().hex
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = number
            await send(message)

        self.metrics.begin_request()
        try:
            refusal = self._refusal(HTTPConnection(scope))
            await (refusal.response() if refusal else self.app)(scope, receive, send_on)
        finally:
            seconds = time.perf_counter() - began
            path = getattr(scope.get("route"), "path", "other")
            self.metrics.end_request(path, status, seconds)
            self._log(scope, status, seconds, number, state.get("asked", {}))

    def _refusal(self, connection: HTTPConnection) -> RequestError | None:
        """Return what is wrong with a request, as far as its head tells."""
        path, keys = connection.scope["path"], self.settings.api_keys
        if keys and path.startswith(GUARDED) and not is_allowed(connection, keys):
            how = "no valid key; send it as 'Authorization: Bearer KEY'"
            return RequestError(401, how, headers={"WWW-Authenticate": "Bearer"})
        packed = connection.headers.get("content-encoding", "identity").lower()
        if packed != "identity":
            message = f"body: Content-Encoding {packed!r:.80} is not read; send it unpacked"
            return RequestError(415, message, field="body")
        size, most = connection.headers.get("content-length", ""), self.settings.max_body_bytes
        if size.isdecimal() and int(size) > most and not path.endswith("/batch"):
            return RequestError(413, f"body: {size} bytes; at most {most}", field="body")
        return None

    def _log(
        self, scope: Scope, status: int, seconds: float, number: str, asked: dict[str, Any]
    ) -> None:
        """Log a line of JSON; the path is quoted, so that no request can forge a line."""
        line = {
            "request": number,
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 1),
            **asked,
        }
        logger.info(json.dumps(line))


def read_keys(path: Path) -> frozenset[str]:
    """Return the keys of a file, one a line; empty lines and those that begin with # count not.

    Raises:
        ConfigError: the file cannot be read, or has no key.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    keys = {key for line in lines if (key := line.strip()) and not key.startswith("#")}
    if not keys:
        raise ConfigError(f"{path}: no key in it; write one a line")
    return frozenset(keys)


def is_allowed(connection: HTTPConnection, keys: Iterable[str]) -> bool:
    """Whether a request has a key, as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``."""
    kind, _, given = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        given = connection.headers.get("x-api-key", "")
    found = False
    for key in keys:  # all of them, so that the time says nothing
        found |= hmac.compare_digest(key.encode(), given.strip().encode("utf-8", "replace"))
    return found
