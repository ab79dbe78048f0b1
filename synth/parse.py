"""The LLM's reply as text -> a checked object, or the cause why it is none."""

import json
import re
from typing import Any

from glinermt.synth.schema import Drop, Misfit, Schema, fit

LONGEST_REPLY = 200_000
"""Characters; no schema here asks for as much."""
_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)


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
        raise ReplyError("reply: cut or not JSON") from error
    try:
        fitted: dict[str, Any] = fit(value, schema, drop)
    except Misfit as misfit:
        raise ReplyError(f"reply: {misfit}") from misfit
    return fitted


def _bare(reply: str) -> str:
    """Give the reply without a thinking part before it and a code fence around it."""
    bare = _THOUGHTS.sub("", reply, count=1).strip()
    if bare.startswith("```") and bare.endswith("```"):
        bare = bare.removeprefix("```").removesuffix("```").strip().removeprefix("json")
    return bare
