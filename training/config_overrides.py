"""What ``--set`` and ``like`` do to a configuration before it is checked."""

import tomllib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from glinermt.errors import ConfigError


def complete(stages: Any) -> None:
    """Fill in what stages take from those they are ``like``; wrong types are found later.

    Raises:
        ConfigError: there is no such stage before.
    """
    known: dict[str, Any] = {}
    for i, stage in enumerate(stages if isinstance(stages, list) else ()):
        if not isinstance(stage, dict):
            continue
        like = stage.pop("like", None)
        if like is not None and str(like) not in known:
            raise ConfigError(f"stages.{i}.like: no earlier stage is called {like!r}")
        stages[i] = known[str(stage.get("name"))] = _merged(known.get(str(like), {}), stage)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Give ``base`` with ``changes``, tables inside tables merged, lists replaced."""
    merged = {**base, **changes}
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _merged(base[key], value)
    return merged


def apply(data: dict[str, Any], override: str) -> None:
    """Put the value of ``key.sub=value`` in.

    Raises:
        ConfigError: it has no value, or there is nothing at a key.
    """
    path, found, raw = override.partition("=")
    if not found:
        raise ConfigError(f"--set {override}: expected key=value")
    target: Any = data
    *parents, last = path.split(".")
    for key, following in pairwise([*parents, last]):
        if following.isdigit() and isinstance(target, dict) and key not in target:
            _refuse_taken(target, key, override)
        target = _step(target, key, override)
    value = _value(raw)
    if isinstance(target, list):
        _step(target, last, override)
        target[int(last)] = value
    else:
        target[last] = value


def _refuse_taken(stage: Mapping[str, Any], key: str, override: str) -> None:
    """Say where a list stands that a stage takes whole from another."""
    if "like" in stage:
        raise ConfigError(
            f"--set {override}: {key!r} is that of stage {stage['like']!r}, which this one is "
            "like; change it there, or set the whole list"
        )


def _step(target: Any, key: str, override: str) -> Any:
    if isinstance(target, dict):
        return target.setdefault(key, {})
    if isinstance(target, list) and key.isdigit() and int(key) < len(target):
        return target[int(key)]
    raise ConfigError(f"--set {override}: there is nothing at {key!r}")


def _value(raw: str) -> Any:
    """Read a TOML value; what is none is a plain string, so that paths need no quotes."""
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw
