"""Texts of a benchmark found again in training data."""

import json
from pathlib import Path

import pytest

from glinermt.errors import DataError
from glinermt.eval.data.cases import NerCase
from glinermt.eval.measure import find_leaks

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


def cases(*texts: str) -> list[NerCase]:
    return [NerCase(f"c/{i}", "c", text, ("x",), ()) for i, text in enumerate(texts)]


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_exact_texts_are_found_whatever_case_and_punctuation(tmp_path: Path) -> None:
    train = write(tmp_path / "t.jsonl", {"tokens": ["Ann", "left", "."]}, {"text": "Bo stayed"})
    leaks = find_leaks(train, cases("ann LEFT", "Ann left Bo"))
    assert (leaks.num_texts, leaks.exact, leaks.shared_grams) == (2, ("c/0",), ())


def test_thirteen_words_in_a_row_are_a_leak_and_twelve_are_not(tmp_path: Path) -> None:
    words = LONG.split()
    for number, expected in ((13, ("c/0",)), (12, ())):
        text = " ".join(["zero", *words[:number], "zero"])
        train = write(tmp_path / "t.jsonl", {"context": text, "question": "Which?"})
        assert find_leaks(train, cases(LONG)).shared_grams == expected


def test_texts_without_words_are_no_leak_of_each_other(tmp_path: Path) -> None:
    train = write(tmp_path / "t.jsonl", {"text": "- - -"})
    assert find_leaks(train, cases("...", "Ann left")).exact == ()


def test_a_row_without_text_is_named(tmp_path: Path) -> None:
    for tokens in ("Ann left", [1, 2]):
        train = write(tmp_path / "t.jsonl", {"tokens": tokens})
        with pytest.raises(DataError, match=r"t\.jsonl:1: tokens should be a list of strings"):
            find_leaks(train, cases(LONG))
    train = write(tmp_path / "t.jsonl", {"label": 1})
    with pytest.raises(DataError, match=r"t\.jsonl:1: expected 'tokens' or one of"):
        find_leaks(train, cases(LONG))
