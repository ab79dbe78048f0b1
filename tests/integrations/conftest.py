"""Tests send nothing to anyone, and are not failed by what other packages leave open."""

import asyncio
import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore unclosed sockets: they are found in whichever test runs by then."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(autouse=True)
def close_loop() -> Iterator[None]:
    """Close the event loop that a package left open, before it is found after the last test."""
    yield
    with warnings.catch_warnings(), suppress(RuntimeError):
        warnings.simplefilter("ignore", DeprecationWarning)  # where there is none
        asyncio.get_event_loop().close()
        asyncio.set_event_loop(None)
