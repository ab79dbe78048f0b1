"""Optional packages: which extra of ours brings one, and the error where it is not installed."""

import re
from importlib import metadata
from importlib.util import find_spec

from glinermt.errors import BackendError


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


def _extra_of(package: str) -> str | None:
    """Return the first extra of ours that brings a package of that name."""
    try:
        requirements = metadata.requires("glinermt") or []
    except metadata.PackageNotFoundError:
        return None
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        if name and extra and re.sub(r"[-.]+", "_", name[0]).lower() == package.lower():
            return extra[1]
    return None
