"""Replies read from a file, for tests: lines ``{"recipe", "text", "reply"}``."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glinermt.config import check_least, from_mapping
from glinermt.errors import DataError
from glinermt.jsonl import read_jsonl
from glinermt.synth.backends.base import LLM, Reply, Request


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the scripted backend."""

    delay: float = 0.0
    """Seconds that each reply takes."""

    def __post_init__(self) -> None:
        check_least(self, {"delay": 0})


def connect(model: str, options: Mapping[str, Any]) -> LLM:
    """Read the replies; ``model`` is their file.

    Raises:
        DataError: there is no such file, or a line of it is no reply.
    """
    if not Path(model).is_file():
        raise DataError(f"{model}: no such file; with --llm scripted --model names one of replies")
    return Scripted(Path(model), from_mapping(Options, options, where="scripted"))


class Scripted:
    """Replies with the first line whose recipe is asked and whose ``text`` the prompt holds.

    Both may be missing. A list is a reply for each attempt, an object is written as JSON;
    without such a line the reply is empty.
    """

    def __init__(self, file: Path, options: Options) -> None:
        self._delay = options.delay
        self._lines = list(_read(file))

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for i, request in enumerate(requests):
            time.sleep(self._delay)
            text = self._text(request)
            yield i, Reply(text, len(request.user.split()), len(text.split()))

    def _text(self, request: Request) -> str:
        for line in self._lines:
            if line.get("recipe", request.recipe) == request.recipe and line.get("text", "") in (
                request.user
            ):
                reply = line["reply"]
                if isinstance(reply, list):
                    reply = reply[min(request.attempt, len(reply) - 1)]
                return reply if isinstance(reply, str) else json.dumps(reply)
        return ""


def _read(file: Path) -> Iterator[dict[str, Any]]:
    for number, row in read_jsonl(file):
        if row.get("reply", []) == []:
            raise DataError(f"{file}:{number}: expected a row with 'reply', got {row!r:.80}")
        for name in ("recipe", "text"):
            if not isinstance(row.get(name, ""), str):
                raise DataError(f"{file}:{number}: {name!r} should be a string, got {row[name]!r}")
        yield row
