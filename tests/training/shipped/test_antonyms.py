"""Antonyms read from WordNet's dictionary files."""

from pathlib import Path

from glinermt.tasks.evidence import unsupported
from glinermt.training.shipped.antonyms import antonyms
from glinermt.types import Span

ADJECTIVES = """\
  1 This software and database is being provided to you
00000010 00 a 02 wet 0 damp(p) 0 002 ! 00000020 a 0101 & 00000030 a 0000 | covered with a liquid
00000020 00 a 01 Dry 0 001 ! 00000010 a 0101 | free from moisture
00000030 00 s 01 ill-fed 0 001 ! 00000040 s 0101 | not well
00000040 00 s 01 well-fed 0 001 ! 00000030 s 0101 | properly nourished
"""


def test_each_pair_of_single_words_comes_once(tmp_path: Path) -> None:
    (tmp_path / "data.adj").write_text(ADJECTIVES, encoding="utf-8")
    for kind in ("adv", "verb"):
        (tmp_path / f"data.{kind}").write_text("", encoding="utf-8")
    assert list(antonyms(tmp_path)) == [("dry", "wet")]


def test_the_table_that_ships_is_read() -> None:
    text = "The dry season begins in May."
    may = [Span(25, 28, "May", "answer")]
    assert unsupported("When does the wet season begin?", text, may)[0] >= 1
    assert unsupported("When does the dry season begin?", text, may)[0] < 1
