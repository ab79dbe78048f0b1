"""``KEY=VALUE`` as commands take it: a value of TOML, put where a dotted key says."""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from glinermt.errors import ConfigError


def parse(overrides: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """Return the values as one table; ``a.b=1`` stands as ``{"a": {"b": 1}}``.

    Raises:
        ConfigError: one is no ``KEY=VALUE``, or its key leads into what is no table.
    """
    values: dict[str, Any] = {}
    for override in overrides:
        apply(values, override, option)
    return values


def apply(data: dict[str, Any], override: str, option: str = "--set") -> None:
    """Put the value of ``key.sub=value`` into ``data``; tables on the way are made.

    Numbers reach into lists: ``stages.0.steps=10``. A value that is no TOML is a plain string, so
    that paths need no quotes.

    Raises:
        ConfigError: it has no value, or there is nothing at a key.
    """
    path, found, raw = override.partition("=")
    if not found:
        raise ConfigError(f"{option} {override}: expected KEY=VALUE")
    target: Any = data
    *parents, last = (key.strip() for key in path.split("."))
    for key in parents:
        target = _step(target, key, f"{option} {override}")
    value = _value(raw)
    if isinstance(target, list):
        _step(target, last, f"{option} {override}")
        target[int(last)] = value
    elif isinstance(target, dict):
        target[last] = value
    else:
        raise ConfigError(f"{option} {override}: {'.'.join(parents)!r} is no table")


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes``: tables inside tables merged, anything else replaced."""
    result = {**base, **changes}
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            result[key] = merged(base[key], value)
    return result


def _step(target: Any, key: str, where: str) -> Any:
    if isinstance(target, dict):
        return target.setdefault(key, {})
    if isinstance(target, list) and key.isdigit() and int(key) < len(target):
        return target[int(key)]
    raise ConfigError(f"{where}: there is nothing at {key!r}")


def _value(raw: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw
