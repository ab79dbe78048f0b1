"""Spans of texts whose characters are written in several code points."""

import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from glinermt import extract_entities
from glinermt.types import Query
from glinermt.words import SPLITTERS, end_of_character
from tests.tasks.scripted_model import scripted_model
from tests.tiny_models import tiny_model


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("paris\u0301 city", ["paris\u0301"]),
        ("the paris\u0301\u0323", ["paris\u0301\u0323"]),
        ("paris, paris\ufe0f.", ["paris", "paris\ufe0f"]),
        ("paris\u200d東 city", ["paris\u200d東"]),
        ("paris\u200d city", ["paris\u200d"]),
        ("paris \u0301", ["paris"]),
    ],
)
def test_a_span_ends_behind_its_last_character(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    model, _ = scripted_model(tmp_path, lambda word, *_: 0.9 * (word == "paris"))
    (spans,) = model.extract([Query(text, ("city",))])
    assert [span.text for span in spans] == expected
    assert all(text[span.start : span.end] == span.text for span in spans)


SEEN = [
    unicodedata.normalize("NFD", "José García and Noël Müller moved from Zürich to São Paulo."),
    "हिन्दी और தமிழ் ไทย",
    "👍🏽 🇩🇪🇫🇷 👨\u200d👩\u200d👧 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f!",
    "a\u0301\u0323-b\u0308 x",
]


@pytest.mark.parametrize("text", SEEN)
@pytest.mark.parametrize("name", ["graphemes", "characters"])
def test_words_end_only_between_visible_characters(text: str, name: str) -> None:
    borders = {0, *(match.end() for match in regex.finditer(r"\X", text))}
    words = SPLITTERS[name](text)
    assert words
    assert all(start in borders and end in borders for start, end in words)


@given(text=st.text(max_size=60))
def test_words_hold_all_but_white_space_once(text: str) -> None:
    words = SPLITTERS["graphemes"](text)
    assert all(a[1] <= b[0] for a, b in pairwise(words))
    covered = "".join(text[start:end] for start, end in words)
    clusters = regex.findall(r"\X", text)
    assert covered == "".join(part for part in clusters if not part[0].isspace())


@given(text=st.text(alphabet="ab éß東-_.\n", max_size=40))
def test_texts_of_single_code_points_are_split_as_ever(text: str) -> None:
    assert SPLITTERS["graphemes"](text) == SPLITTERS["reference"](text)


def test_a_decomposed_text_has_the_spans_of_the_composed_one(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    composed = "the café in paris é the cité"
    decomposed = unicodedata.normalize("NFD", composed)
    queries = [Query(text, ("person", "city")) for text in (composed, decomposed)]
    first, second = model.extract(queries, threshold=0.3)
    assert first
    assert [unicodedata.normalize("NFC", span.text) for span in second] == [s.text for s in first]
    assert [span.score for span in second] == pytest.approx([s.score for s in first], abs=1e-4)
    assert all(decomposed[span.start : span.end] == span.text for span in second)


def test_the_shipped_model_reads_a_decomposed_text_as_the_composed_one() -> None:
    composed = "José Núñez lives in São Paulo and met Zoë Müller in Zürich."
    found = extract_entities(composed, ["person", "city"])
    assert found
    again = extract_entities(unicodedata.normalize("NFD", composed), ["person", "city"])
    assert [unicodedata.normalize("NFC", span.text) for span in again] == [s.text for s in found]


@pytest.mark.parametrize("between", ["\n", "\r\n", "\n\n", " \u2028"])
def test_spans_stay_on_their_line_unless_asked(tmp_path: Path, between: str) -> None:
    model, text = tiny_model(tmp_path), f"the paris{between}bill in"
    kept, free = model.extract(
        [Query(text, ("city",)), Query(text, ("city",), across_lines=True)],
        threshold=0.0,
        overlap="nested",
    )
    assert not any(between.strip(" ") in span.text for span in kept)
    assert any(between in span.text for span in free)


def test_labels_are_read_in_a_plain_form_and_given_back_as_named(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    names = ["the city", "the_city", " the  city ", "the city!", "The City"]
    found = model.extract([Query("bill in paris", (name,)) for name in names], threshold=0.2)
    assert found[0]
    for name, spans in zip(names, found, strict=True):
        assert {span.label for span in spans} == {name}
        assert [(s.start, s.end) for s in spans] == [(s.start, s.end) for s in found[0]]


def test_labels_that_read_the_same_are_asked_once(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    once, twice = (
        model.extract([Query("bill in paris", labels)], threshold=0.2)
        for labels in (("City", "person"), ("City", "city ", "person"))
    )
    assert once == twice


def test_a_label_asked_before_is_read_as_the_words_are_split_now(tmp_path: Path) -> None:
    model, other = tiny_model(tmp_path), tiny_model(tmp_path)
    ask = [Query("bill in paris", ("the_city",))]
    before = model.extract(ask, threshold=0.0)
    model.query_encoder.split_by("reference")  # reads labels as they are written
    other.query_encoder.split_by("reference")
    now = model.extract(ask, threshold=0.0)
    assert now == other.extract(ask, threshold=0.0) != before


def test_characters_of_several_code_points_are_not_cut() -> None:
    family = "👩\u200d👩\u200d👧"
    assert [end_of_character(family + "a", i) for i in range(1, 6)] == [5, 5, 5, 5, 5]
    assert end_of_character("हिन्दी", 1) == 2
    assert end_of_character("ab", 1) == 1
    assert end_of_character("ab", 2) == 2
