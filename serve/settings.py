"""How a server is set up: limits, keys and what it logs; the same in all worker processes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from glinermt.serve.batching import BATCH_TOKENS, MAX_WAIT


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
    """Labels, relations and entities of one request, all texts together."""
    max_body_bytes: Annotated[int, Field(ge=1)] = 10_000_000
    """Size of a request's body; of a line, where a body is a stream of lines."""
    api_keys: frozenset[str] = frozenset()
    """Without any, everyone may ask."""
    cors_origins: tuple[str, ...] = ()
    """Web sites whose pages may call the server; the server's own page always may."""
    log_texts: bool = False
