"""The exceptions of glinermt.

    GlinerMTError
    ├── UsageError       an argument has an impossible value; also a ValueError
    ├── ConfigError      a configuration has an unknown key or an impossible value
    ├── UntrainableError a model that cannot be trained here was to learn; also a TypeError
    ├── CheckpointError  a checkpoint is missing, damaged, unsupported or does not fit
    ├── DataError        a data file has a bad line; the message begins "file:line: "
    └── BackendError     an LLM, a server or an optional package is not usable

An argument of the wrong type raises ``TypeError``, as Python users expect.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec


class GlinerMTError(Exception):
    """Base of every error that is ours."""


class UsageError(GlinerMTError, ValueError):
    """An argument, or what a command was given, has an impossible value."""


class ConfigError(GlinerMTError, ValueError):
    """A configuration has an unknown key or an impossible value."""


class UntrainableError(GlinerMTError, TypeError):
    """A model is of a family, or a kind, that cannot be trained here."""


class CheckpointError(GlinerMTError):
    """A checkpoint is missing, damaged, unsupported, or does not fit the network."""


class DataError(GlinerMTError):
    """A data file holds something that cannot be read as what it should be."""


class BackendError(GlinerMTError):
    """An LLM backend, a server or an optional package is not usable."""


def unknown_choice(kind: str, value: object, choices: Iterable[str]) -> str:
    """Return the message for a wrong name: ``unknown head 'spam': choose from 'span', 'token'``."""
    names = sorted(choices)
    close = difflib.get_close_matches(str(value), names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {kind} {value!r}{hint}: choose from {', '.join(map(repr, names))}"


def needs(package: str, *, extra: str) -> None:
    """Check that an optional package is installed.

    Raises:
        BackendError: it is not; the message says which extra brings it.
    """
    if find_spec(package) is None:
        raise BackendError(f"this needs {package}: pip install 'glinermt[{extra}]'")


def missing(error: ModuleNotFoundError) -> str:
    """Return what to do about a package that could not be imported."""
    package = (error.name or "").partition(".")[0]
    extra = _extra_of(package)
    if extra is None:
        return str(error)
    return f"this needs {package}: pip install 'glinermt[{extra}]'"


@contextmanager
def named_extra() -> Iterator[None]:
    """Around imports of an optional package: where it is missing, say which extra brings it.

    Raises:
        ModuleNotFoundError: it is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(missing(error), name=error.name) from error


def _extra_of(package: str) -> str | None:
    """Return the first extra of ours that brings a package of that name, or is called like it.

    A package may be imported by another name than it is installed by: ``haystack`` of haystack-ai.
    """
    from importlib import metadata  # costs as much as all else here

    try:
        about = metadata.metadata("glinermt")
    except metadata.PackageNotFoundError:
        return None
    for requirement in about.get_all("Requires-Dist") or []:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        if name and extra and re.sub(r"[-.]+", "_", name[0]).lower() == package.lower():
            return extra[1]
    extras: list[str] = about.get_all("Provides-Extra") or []
    return next((extra for extra in extras if extra.replace("-", "_") == package.lower()), None)
