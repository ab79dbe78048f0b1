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


def test_columns_have_the_same_types_where_nothing_was_found() -> None:
    stub = StubExtractor(lambda query: [("Bob", "person", 0.9)] if "Bob" in query.text else [])
    some, none = (
        pandas.DataFrame({"text": texts}).glinermt.extract("text", ["person"], model=stub)
        for texts in (["Bob came."], ["Nobody."])
    )
    assert none.empty
    assert none.dtypes.equals(some.dtypes)
    assert pandas.concat([none, some])["start"].dtype == "int64"


def test_an_index_of_several_levels_keeps_their_names_and_types() -> None:
    places = pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["file", "line"])
    frame = pandas.DataFrame({"text": ["Ann", "Bob and Bob"]}, index=places)
    stub = StubExtractor(lambda query: [("Bob", "person", 0.9)] if "Bob" in query.text else [])
    found = frame.glinermt.extract("text", ["person"], model=stub)
    assert found.index.names == ["file", "line"]
    assert list(found.index) == [("b", 2)]
    none = frame.loc[["a"]].glinermt.extract("text", ["person"], model=stub)
    assert none.index.names == ["file", "line"]
    assert none.empty


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("mixed", "column 'mixed', row 1: a text must be str, got int 3"),
        ("txt", r"unknown column 'txt' \(did you mean 'text'\?\): choose from 'mixed', 'text'"),
        (["text"], r"column must be the name of one column, got \['text'\]"),
    ],
)
def test_what_is_no_column_of_texts_is_refused(column: object, message: str) -> None:
    frame = pandas.DataFrame({"text": ["Bob", "Ann"], "mixed": ["Bob", 3]})
    with pytest.raises((TypeError, ValueError), match=message):
        frame.glinermt.extract(column, ["person"], model=StubExtractor(lambda _: []))
