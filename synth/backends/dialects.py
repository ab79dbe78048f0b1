"""How a server is given the schema of the reply, and finding out which way it honours."""

import re
from collections.abc import Callable
from typing import Any

from glinermt.errors import BackendError
from glinermt.synth.backends.base import Reply, Request, with_schema
from glinermt.synth.schema import record, several, text

Dialect = Callable[[Request], dict[str, Any]]
"""Request -> what is added to the body of the HTTP request."""


def _json_schema(request: Request) -> dict[str, Any]:
    named = {"name": request.recipe, "schema": request.schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _structured_outputs(request: Request) -> dict[str, Any]:
    return {"structured_outputs": {"json": request.schema}}


def _json_object(request: Request) -> dict[str, Any]:
    return {"response_format": {"type": "json_object", "schema": request.schema}}


def _in_prompt(request: Request) -> dict[str, Any]:
    return {"messages": with_schema(request)}


DIALECTS: dict[str, Dialect] = {
    "json_schema": _json_schema,
    "structured_outputs": _structured_outputs,
    "json_object": _json_object,
    "prompt": _in_prompt,
}

_PROBE = record(kiwi=text(8), zebras=several(text(8), 2))


def probe(reply: Callable[[Request, str], Reply]) -> str:
    """Return the first dialect by which the server follows a schema; ``prompt`` where none does.

    Raises:
        BackendError: the server answers no dialect at all.
    """
    asked = Request(
        id="probe",
        recipe="probe",
        system="You are friendly.",
        user="Say hello to me in one word.",
        schema=_PROBE,
        temperature=0.0,
        top_p=1.0,
        max_tokens=60,
        seed=0,
    )
    errors = []
    for name in DIALECTS:
        answer = reply(asked, name)
        if name == "prompt" and not answer.error:
            return name
        if not answer.error and _follows(answer.text):
            return name
        errors.append(f"{name}: {answer.error or 'schema not followed'}")
    raise BackendError(f"the server answers nothing; {'; '.join(errors)}")


def _follows(reply: str) -> bool:
    """Whether the reply begins as only the schema makes it; small models may never end it."""
    return re.match(r'\s*\{\s*"kiwi"\s*:\s*"', reply) is not None
