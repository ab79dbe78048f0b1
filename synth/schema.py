"""JSON schemas of replies, and reading a reply: what of it fits its schema, or why nothing does.

The schemas use few words of JSON Schema, which every server's grammar compiler knows: objects
whose fields are all required, arrays with ``maxItems``, strings with ``maxLength`` or ``enum``.
"""

import json
import re
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
Drop = Callable[[str, str], None]
"""(cause, what was dropped) -> None."""
LONGEST_REPLY = 200_000
"""Characters; no schema here asks for as much."""
_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)


def text(most: int) -> Schema:
    """Return the schema of a string of at most so many characters."""
    return {"type": "string", "maxLength": most}


def one_of(*choices: str) -> Schema:
    """Return the schema of a string that is one of these."""
    return {**text(max(map(len, choices))), "enum": list(choices)}


def several(items: Schema, most: int) -> Schema:
    """Return the schema of a list of at most so many items."""
    return {"type": "array", "items": items, "maxItems": most}


def record(**fields: Schema) -> Schema:
    """Return the schema of an object with exactly these fields, in this order."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


class Misfit(ValueError):
    """A value does not fit its schema; the message is the cause."""


def fit(value: Any, schema: Schema, drop: Drop) -> Any:
    """Return the value with only what the schema names; list items that do not fit are dropped.

    Raises:
        Misfit: the value itself does not fit.
    """
    if schema["type"] == "array":
        return _fit_array(value, schema, drop)
    if schema["type"] == "object":
        if not isinstance(value, dict):
            raise Misfit("not an object")
        missing = [name for name in schema["required"] if name not in value]
        if missing:
            raise Misfit("field missing")
        properties = schema["properties"].items()
        return {name: fit(value[name], of, drop) for name, of in properties if name in value}
    return _fit_string(value, schema["maxLength"])


def _fit_array(value: Any, schema: Schema, drop: Drop) -> list[Any]:
    if not isinstance(value, list):
        raise Misfit("not a list")
    kept = []
    for item in value[: schema["maxItems"]]:
        try:
            kept.append(fit(item, schema["items"], drop))
        except Misfit as misfit:
            drop(str(misfit), repr(item)[:100])
    for _ in value[schema["maxItems"] :]:
        drop("more items than asked for", "")
    return kept


def _fit_string(value: Any, most: int) -> str:
    if not isinstance(value, str):
        raise Misfit("not a string")
    if len(value) > most:
        raise Misfit("string too long")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Misfit("not valid Unicode") from error
    return value.replace("\x00", "").strip()


class ReplyError(ValueError):
    """A reply is of no use; the message is the cause, in words that do not depend on it."""


def parse(reply: str, schema: Schema, drop: Drop) -> dict[str, Any]:
    """Read a reply; items in it that do not fit are dropped one by one.

    Raises:
        ReplyError: the reply as a whole is of no use.
    """
    if not reply.strip():
        raise ReplyError("reply: empty")
    if len(reply) > LONGEST_REPLY:
        raise ReplyError("reply: too long")
    try:
        value = json.loads(_bare(reply))
    except (ValueError, RecursionError) as error:
        raise ReplyError("reply: not JSON") from error
    try:
        fitted: dict[str, Any] = fit(value, schema, drop)
    except Misfit as misfit:
        raise ReplyError(f"reply: {misfit}") from misfit
    return fitted


def _bare(reply: str) -> str:
    """Return the reply without a thinking part before it and a code fence around it."""
    bare = _THOUGHTS.sub("", reply, count=1).strip()
    if bare.startswith("```") and bare.endswith("```"):
        bare = bare.removeprefix("```").removesuffix("```").strip().removeprefix("json")
    return bare
