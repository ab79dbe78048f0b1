"""What ``like`` does to a configuration before it is checked."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from glinermt.errors import ConfigError
from glinermt.overrides import merged


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
        stages[i] = known[str(stage.get("name"))] = merged(known.get(str(like), {}), stage)


def refuse_taken(data: Mapping[str, Any], override: str) -> None:
    """Say where a list stands that an override reaches into and a stage takes whole from another.

    Raises:
        ConfigError: the override does so.
    """
    target: Any = data
    for key, following in pairwise(override.partition("=")[0].split(".")):
        if isinstance(target, list):
            target = target[int(key)] if key.isdigit() and int(key) < len(target) else None
        elif isinstance(target, Mapping):
            if following.isdigit() and key not in target and "like" in target:
                raise ConfigError(
                    f"--set {override}: {key!r} is that of stage {target['like']!r}, which this "
                    "one is like; change it there, or set the whole list"
                )
            target = target.get(key)
