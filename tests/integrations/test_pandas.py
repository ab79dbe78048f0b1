"""The pandas accessor."""

import pytest

pytest.importorskip("pandas", reason="needs the extra [pandas]")

import pandas

import glinermt.integrations.pandas  # noqa: F401  # adds df.glinermt
from tests.stub import StubExtractor


def test_a_row_for_each_entity_under_the_index_of_its_text() -> None:
    stub = StubExtractor(lambda query: [("Bob", "person", 0.9)] if "Bob" in query.text else [])
    texts = ["Bob came.", None, "Nobody.", "So did Bob."]
    frame = pandas.DataFrame({"text": texts}, index=pandas.Index(list("abcd"), name="key"))
    found = frame.glinermt.extract("text", ["person"], model=stub)
    assert found.index.tolist() == ["a", "d"]
    assert found.index.name == "key"
    assert found.to_dict("records") == [
        {"start": 0, "end": 3, "text": "Bob", "label": "person", "score": 0.9},
        {"start": 7, "end": 10, "text": "Bob", "label": "person", "score": 0.9},
    ]
    assert len(stub.queries) == 3
    assert frame[[]].join(found).loc["d", "text"] == "Bob"


def test_what_is_no_text_is_refused() -> None:
    frame = pandas.DataFrame({"text": ["Bob", 3]})
    with pytest.raises(TypeError, match="text 1 must be str"):
        frame.glinermt.extract("text", ["person"], model=StubExtractor(lambda _: []))
