"""Sentences joined to longer texts keep their entities."""

from pathlib import Path

import typer
from typer.testing import CliRunner

from glinermt.eval.benchmarks.joined_texts import f1, joined, main
from glinermt.eval.data.cases import NerCase
from glinermt.types import Query, Span
from tests.stub import StubExtractor

CASES = [
    NerCase(str(i), "set", text, ("person", "miscellaneous"), spans)
    for i, (text, spans) in enumerate(
        [
            ("Ann left.", (Span(0, 3, "Ann", "person"),)),
            ("It rained.", ()),
            ("So did Bo.", (Span(7, 9, "Bo", "person"), Span(0, 2, "So", "miscellaneous"))),
        ]
    )
]


def test_entities_move_with_their_sentence() -> None:
    whole, rest = joined(CASES, 2)
    assert (whole.text, rest.text) == ("Ann left. It rained.", "So did Bo.")
    (all_of_it,) = joined(CASES, 5)
    assert [all_of_it.text[s.start : s.end] for s in all_of_it.spans] == ["Ann", "Bo", "So"]


def test_f1_leaves_out_miscellaneous() -> None:
    asked = []

    def script(query: Query) -> list[tuple[str, str, float]]:
        asked.append(query.labels)
        return [("Ann", "person", 0.9)] if "Ann" in query.text else []

    assert f1(StubExtractor(script), joined(CASES, 3)) == 2 / 3
    assert asked == [("person",)]


def test_the_table_has_a_row_for_each_number_of_words(tmp_path: Path) -> None:
    path = tmp_path / "people.dev.txt"
    path.write_text("Marie B-person\nCurie I-person\nlived O\nin O\nParis O\n. O\n\n" * 4)
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, [str(path), "--words", "0", "--words", "5"])
    assert result.exit_code == 0
    assert [line.split()[1] for line in result.stdout.splitlines() if "(" in line[20:]] == [
        "all",
        "5",
    ]
