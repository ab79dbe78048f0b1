"""Errors as clients see them: a code, a message, the field that is wrong; no paths, no traces."""

import asyncio
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from glinermt.errors import BackendError
from glinermt.serve.batching import RequestCancelled

logger = logging.getLogger("glinermt.serve")

CODES = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported",
    422: "invalid",
    429: "busy",
    499: "cancelled",
    500: "internal",
    503: "unavailable",
    504: "timeout",
}


UNKNOWN = "extra_forbidden"
"""Pydantic's name for a field that a request does not have."""


class RequestError(Exception):
    """A request that is refused or fails, as its client is told."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.headers = status, message, field, headers

    def body(self) -> dict[str, Any]:
        """Return the body of the reply."""
        code = CODES.get(self.status, "error")
        return {"error": {"code": code, "message": self.message, "field": self.field}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body(), self.status, headers=self.headers)


def as_request_error(error: BaseException) -> RequestError:
    """Return what to tell the client; what is not of its making goes to the log alone.

    The library's own complaints about arguments are meant for whoever gave them. A ``ValueError``
    from deeper down may say anything, and is an internal error.
    """
    if isinstance(error, RequestError):
        return error
    if isinstance(error, ValueError | TypeError) and _is_ours(error.__traceback__):
        return RequestError(422, str(error))
    if isinstance(error, asyncio.CancelledError):
        return RequestError(503, "the server stops; ask again what is not answered")
    if isinstance(error, BackendError | RequestCancelled):
        return RequestError(503, str(error))
    logger.error("a request failed", exc_info=error)
    return RequestError(500, "the server failed; its log says why")


def validation_error(errors: Sequence[Any], body: Any) -> RequestError:
    """Return the most telling of pydantic's errors, the one that got furthest.

    Args:
        errors: as pydantic lists them.
        body: the request that they are about, read from its JSON.
    """
    if errors[0]["type"] == "json_invalid":
        message = f"the body is not JSON: {errors[0]['ctx']['error']}"
        return RequestError(400, message, field="body")
    chosen = max(errors, key=lambda error: (len(error["loc"]), error["type"] == UNKNOWN))
    field = _field(chosen, body)
    if chosen["type"] == UNKNOWN:
        message = f"{field}: unknown field; /docs lists those that there are"
        return RequestError(422, message, field=field)
    if field == "body" and chosen["type"] != "value_error":
        message = "the body must be a JSON object, sent with Content-Type: application/json"
        return RequestError(422, message, field=field)
    return RequestError(422, f"{field}: {chosen['msg']}", field=field)


def install(app: FastAPI) -> None:
    """Make the app answer all errors in our form."""

    async def refused(_: Request, error: Exception) -> JSONResponse:
        return as_request_error(error).response()

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return validation_error(error.errors(), error.body).response()

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        field = "body" if error.status_code in (400, 413) else None
        headers = dict(error.headers or {})
        return RequestError(
            error.status_code, str(error.detail), field=field, headers=headers
        ).response()

    app.add_exception_handler(RequestError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _field(error: Any, body: Any) -> str:
    """Return the path to what is wrong, as ``schema.entities.0``.

    Pydantic names the parts of unions among the keys of the body; they are left out.
    """
    place = list(error["loc"])
    missing = [place.pop()] if error["type"] == "missing" else []
    parts = []
    for part in place:
        inside = isinstance(body, list) and isinstance(part, int) and part < len(body)
        if inside or (isinstance(body, dict) and part in body):
            parts.append(part)
            body = body[part]
    path = ".".join(str(part)[:80] for part in [*parts, *missing])
    return path or "body"


def _is_ours(trace: TracebackType | None) -> bool:
    """Whether the library itself raised the error."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return name.split(".")[0] == "glinermt"
