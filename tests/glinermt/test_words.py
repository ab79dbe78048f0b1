"""Spans of texts whose characters are written in several code points."""

from pathlib import Path

import pytest

from glinermt.types import Query
from glinermt.words import end_of_character
from tests.tasks.scripted_model import scripted_model


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


def test_a_span_that_begins_inside_the_character_keeps_its_part(tmp_path: Path) -> None:
    labels = {"paris": "person", "東": "city"}
    model, _ = scripted_model(tmp_path, lambda word, label, _: 0.9 * (labels.get(word) == label))
    (spans,) = model.extract([Query("paris\u200d東", ("person", "city"))])
    assert [span.text for span in spans] == ["paris\u200d", "東"]


def test_characters_of_several_code_points_are_not_cut() -> None:
    family = "👩\u200d👩\u200d👧"
    assert [end_of_character(family + "a", i) for i in range(1, 6)] == [5, 5, 5, 5, 5]
    assert end_of_character("हिन्दी", 1) == 2
    assert end_of_character("ab", 1) == 1
    assert end_of_character("ab", 2) == 2
