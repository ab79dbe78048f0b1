"""Fields of plain data, such as JSON has it: read by name, each checked to be of its type."""

from collections.abc import Mapping, Sequence
from typing import Any

from glinermt.config import check_share
from glinermt.errors import UsageError


def share(data: Mapping[str, Any], name: str) -> float:
    """Return a field that must be a number in [0, 1]."""
    try:
        return check_share(name, get(data, name))
    except TypeError as error:
        raise UsageError(str(error)) from error


def get(data: object, name: str) -> Any:
    """Return a field that must be there."""
    if not isinstance(data, Mapping):
        raise UsageError(f"expected an object with the field {name!r}, got {data!r:.80}")
    if name not in data:
        raise UsageError(f"no {name!r} field; there are {', '.join(map(repr, data)) or 'none'}")
    return data[name]


def flag(data: Mapping[str, Any], name: str) -> bool:
    """Return true or false; a missing field is false."""
    value = data.get(name) or False
    if type(value) is not bool:
        raise UsageError(f"{name} should be true or false, got {value!r:.80}")
    return value


def items(name: str, value: object) -> Sequence[Any]:
    """Return the value of a field that must be a list."""
    if not isinstance(value, list | tuple):
        raise UsageError(f"{name} should be a list, got {value!r:.80}")
    return value


def names(name: str, value: object) -> tuple[str, ...]:
    """Return the value of a field that must be a list of non-empty strings."""
    if not isinstance(value, list | tuple) or not all(map(_is_name, value)):
        raise UsageError(f"{name} should be a list of non-empty strings, got {value!r:.80}")
    return tuple(value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
