"""Reading a long text in stretches of whole sentences."""

import re

from hypothesis import given
from hypothesis import strategies as st

from glinermt.config import TaskSettings
from glinermt.long_texts import stretches
from glinermt.tasks import extract_entities
from glinermt.types import Query, Span
from tests.stub import StubExtractor

TEXT = "Ann lives in Rome. Bob left Ann in 1990. She stayed in Rome."


def names(query: Query) -> list[Span]:
    found = re.finditer("Ann|Bob|Rome", query.text)
    return [Span(*match.span(), match[0], "name", 0.9) for match in found]


def test_a_text_is_cut_at_sentence_ends() -> None:
    assert [TEXT[a:b] for a, b in stretches(TEXT, 9)] == [
        "Ann lives in Rome. Bob left Ann in 1990. ",
        "She stayed in Rome.",
    ]
    assert stretches(TEXT, 13) == stretches(TEXT, 0) == [(0, len(TEXT))]


def test_a_sentence_is_never_cut() -> None:
    assert [TEXT[a:b].strip() for a, b in stretches(TEXT, 1)] == [
        "Ann lives in Rome.",
        "Bob left Ann in 1990.",
        "She stayed in Rome.",
    ]


@given(st.text("ab .!?\n\r\t中。", max_size=80), st.integers(0, 6))
def test_the_stretches_are_the_text(text: str, most: int) -> None:
    found = stretches(text, most)
    assert "".join(text[start:end] for start, end in found) == text
    assert len(found) == 1 or all(start < end for start, end in found)


def test_entities_of_stretches_have_their_places_in_the_text() -> None:
    whole = StubExtractor(names)
    cut = StubExtractor(names, TaskSettings(words_at_once={"entities": 5}))
    found = extract_entities(TEXT, ["name"], model=cut)
    assert all(TEXT[span.start : span.end] == span.text for span in found)
    assert found == extract_entities(TEXT, ["name"], model=whole)
    assert len(found) == 5
    assert (len(cut.calls), len(cut.queries)) == (1, 3)
    assert [query.text for query in whole.queries] == [TEXT]
