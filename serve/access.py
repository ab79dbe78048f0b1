"""What happens to every request before and after its endpoint: key, number, metrics, log."""

import json
import logging
import time
import uuid
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glinermt.serve.errors import RequestError
from glinermt.serve.keys import is_allowed
from glinermt.serve.metrics import Metrics
from glinermt.serve.settings import ServeSettings

logger = logging.getLogger("glinermt.serve.access")

GUARDED = ("/v1/", "/metrics")
"""Paths that need a key, where there are keys; the rest says nothing of anyone's texts."""


class Access:
    """The outermost layer of the app."""

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
