"""What the factory knows of an LLM: requests with a schema in, replies with token counts out."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from glinermt.synth.schema import Schema


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt. ``attempt`` counts from 0; its temperature and seed are already set for it."""

    id: str
    recipe: str
    system: str
    user: str
    schema: Schema
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    attempt: int = 0

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt as a chat."""
        return [
            {"role": "system", "content": self.system},
            {"role": "user", "content": self.user},
        ]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; ``error`` says why nothing did, and ``text`` then what the server said of it.

    ``transient``: the fault is the server's or the network's, not the request's. ``cut``: the LLM
    says that the reply was not at its end.
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    error: str = ""
    transient: bool = False
    cut: bool = False

    @property
    def why(self) -> str:
        """The error in the server's words; empty where there is none."""
        return f"{self.error}: {self.text:.200}" if self.error and self.text else self.error

    def is_cut(self, max_tokens: int) -> bool:
        """Whether it was not at its end when it had as many tokens as it might, or could."""
        return self.cut or self.tokens_out >= max_tokens


class Batched(Protocol):
    """A language model that is given many requests at a time."""

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Yield (number of the request, reply) as they come, one for each request.

        Raises:
            BackendError: the LLM cannot be used at all.
        """
        ...


@runtime_checkable
class Concurrent(Protocol):
    """A language model that many requests may be under way to, such as a server."""

    at_once: int
    """Requests that are to be under way at the same time."""

    async def reply(self, request: Request) -> Reply:
        """Return the reply to one request; called many times before the first reply is there.

        Raises:
            BackendError: the LLM cannot be used at all.
        """
        ...

    async def close(self) -> None:
        """Close what is open, such as connections, in the event loop of the replies.

        Later requests, of another loop, open it again.
        """
        ...


LLM = Batched | Concurrent
"""A language model, wherever it runs."""


def with_schema(request: Request) -> list[dict[str, str]]:
    """Return the prompt as a chat that shows the schema, for backends that cannot enforce it."""
    shown = f"Reply with JSON of this schema: {json.dumps(request.schema)}"
    return [
        {"role": "system", "content": f"{request.system}\n{shown}"},
        {"role": "user", "content": request.user},
    ]
