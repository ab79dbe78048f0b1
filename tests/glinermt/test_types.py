"""The data all parts speak, as JSON."""

from typing import Any

import pytest

from glinermt.types import Example, Query, Span

EXAMPLE = Example(Query("Ann left", ("person",), "who?"), (Span(0, 3, "Ann", "person"),))


def span(**changes: Any) -> dict[str, Any]:
    return {"start": 0, "end": 3, "label": "person", **changes}


def test_what_is_written_is_read() -> None:
    assert Example.from_dict(EXAMPLE.to_dict()) == EXAMPLE
    assert Query.from_dict({"text": "", "labels": []}) == Query("", ())


def test_a_prompt_may_be_none_and_a_span_may_say_its_text() -> None:
    data = {**EXAMPLE.to_dict(), "prompt": None, "spans": [span(text="Ann")]}
    assert Example.from_dict(data) == Example(Query("Ann left", ("person",)), EXAMPLE.spans)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": 5}, "text should be a string, got 5"),
        ({"prompt": ["who?"]}, "prompt should be a string"),
        ({"labels": "person"}, "labels should be a list of non-empty strings, got 'person'"),
        ({"labels": [1]}, r"labels should be .*, got \[1\]"),
        ({"labels": ["person", " "]}, "labels should be a list of non-empty strings"),
        ({"spans": [span(start=False, end=True)]}, "span False:True should be two whole numbers"),
        ({"spans": [span(end=3.0)]}, "span 0:3.0 should be two whole numbers"),
        ({"spans": [span(end=9)]}, "span 0:9 lies outside the text, which has 8 characters"),
        ({"spans": [span(text="left")]}, "span 'left' is not at 0:3, where the text has 'Ann'"),
        ({"spans": [span(label="city")]}, "span label 'city' is not among the labels"),
    ],
)
def test_what_is_no_example_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Example.from_dict({**EXAMPLE.to_dict(), **change})
