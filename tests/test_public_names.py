"""What ``glinermt`` exports."""

import inspect

import pytest

import glinermt

ERRORS = (
    "BackendError",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "UntrainableError",
    "UsageError",
)


def test_every_name_is_there_once_and_sorted() -> None:
    names = glinermt.__all__
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=lambda name: (not name[0].isupper(), name))
    assert set(names) <= set(dir(glinermt))


@pytest.mark.parametrize("name", glinermt.__all__)
def test_every_name_can_be_had_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(glinermt, name))


def test_the_errors_are_a_tree() -> None:
    for name in ERRORS:
        assert issubclass(getattr(glinermt, name), glinermt.GlinerMTError)
    for error in (glinermt.ConfigError, glinermt.UsageError):
        assert issubclass(error, ValueError)


def test_a_wrong_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'extract_everything'"):
        glinermt.extract_everything  # noqa: B018
