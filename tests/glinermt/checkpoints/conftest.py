"""How many generated texts the packages and ours are compared on."""

import pytest


@pytest.fixture(
    scope="module", params=[8, pytest.param(500, marks=pytest.mark.slow)], ids=["few", "many"]
)
def count(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number
