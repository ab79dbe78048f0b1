"""API keys: read from a file, compared in constant time."""

import hmac
from collections.abc import Iterable
from pathlib import Path

from starlette.requests import HTTPConnection

from glinermt.errors import ConfigError


def read_keys(path: Path) -> frozenset[str]:
    """Return the keys of a file, one a line; empty lines and those that begin with # count not.

    Raises:
        ConfigError: the file cannot be read, or has no key.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    keys = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
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
