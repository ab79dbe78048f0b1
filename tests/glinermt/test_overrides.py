"""``KEY=VALUE`` on the command line."""

from typing import Any

import pytest

from glinermt.errors import ConfigError
from glinermt.overrides import apply, merged, parse


def test_values_are_those_of_toml_and_else_strings() -> None:
    given = ["a=1", "b.c=true", "b.d=[1, 2]", "e=/some/where", "f=", 'g="x"', "h=a=b"]
    assert parse(given) == {
        "a": 1,
        "b": {"c": True, "d": [1, 2]},
        "e": "/some/where",
        "f": "",
        "g": "x",
        "h": "a=b",
    }


def test_numbers_reach_into_lists() -> None:
    data: dict[str, Any] = {"stages": [{"steps": 1}, {"steps": 2}], "names": ["a", "b"]}
    apply(data, "stages.1.steps=5")
    apply(data, "names.0=c")
    assert data == {"stages": [{"steps": 1}, {"steps": 5}], "names": ["c", "b"]}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("a", "--set a: expected KEY=VALUE"),
        ("list.2=x", "--set list.2=x: there is nothing at '2'"),
        ("name.b.c=x", "--set name.b.c=x: there is nothing at 'b'"),
        ("name.b=x", "--set name.b=x: 'name' is no table"),
    ],
)
def test_what_leads_nowhere_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply({"list": [1], "name": "x"}, override)


def test_the_option_is_named_as_it_was_given() -> None:
    with pytest.raises(ConfigError, match="--llm-option x: expected KEY=VALUE"):
        parse(["x"], "--llm-option")


def test_tables_are_merged_and_anything_else_replaced() -> None:
    base = {"sampling": {"top_p": 0.9, "temperature": 0.7}, "tasks": ["a"]}
    changes = {"sampling": {"temperature": 0.2}, "tasks": ["b"]}
    assert merged(base, changes) == {
        "sampling": {"top_p": 0.9, "temperature": 0.2},
        "tasks": ["b"],
    }
