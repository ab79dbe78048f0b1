"""Whether a run can be gone on with under a configuration."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glinermt.config import from_mapping
from glinermt.errors import ConfigError
from glinermt.training.config import TrainConfig

CONFIG = "config.json"
"""The configuration as it was used, in the output."""
FREE = frozenset(
    "output data_root save_every log_every trackers precision pad_multiple dev "
    "steps max_minutes clock sampling".split()
)
"""What may differ, in a run or its stages: it is no part of the checkpoint."""


def check_same(config: TrainConfig, output: Path) -> None:
    """Check that the run in ``output`` was begun under the same configuration, but for ``FREE``.

    Raises:
        ConfigError: it was not, or its own configuration cannot be read.
    """
    path = output / CONFIG
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); without it the run cannot be resumed"
        ) from error
    given = json.loads(json.dumps(dataclasses.asdict(config)))
    old, new = (
        dict(_values(from_mapping(TrainConfig, each, where=str(path)))) for each in (data, given)
    )
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        shown = "; ".join(
            f"{key}: {old.get(key, 'nothing')!r} -> {new.get(key, 'nothing')!r}" for key in changed
        )
        raise ConfigError(
            f"{output} was begun with another configuration ({shown}); resume with that one, or "
            "choose another output"
        )


def _values(part: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Give what must stay the same, by the key that ``--set`` takes."""
    if isinstance(part, tuple) and any(map(dataclasses.is_dataclass, part)):
        for i, item in enumerate(part):
            yield from _values(item, f"{where}.{i}")
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            if field.name not in FREE:
                yield from _values(getattr(part, field.name), f"{where}.{field.name}".lstrip("."))
    else:
        yield where, part
