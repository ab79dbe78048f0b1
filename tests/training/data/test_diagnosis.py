"""What is wrong with labelled data is found, counted and named."""

import json
import random
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from glinermt.training.cli import register
from glinermt.training.data import diagnosis
from glinermt.training.data.diagnosis import Problem, diagnose
from glinermt.types import Example, Query, Span

LABELS = ("person", "city")
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen"


def row(text: str, spans: dict[str, str], labels: Sequence[str] = LABELS) -> Example:
    """Label the first occurrence of each mention."""
    gold = [
        Span(text.index(mention), text.index(mention) + len(mention), mention, label)
        for mention, label in spans.items()
    ]
    return Example(Query(text, tuple(labels)), tuple(gold))


def found(examples: Sequence[Example], held_out: Sequence[Example] = ()) -> dict[str, Problem]:
    return {problem.name: problem for problem in diagnose(examples, held_out=held_out)}


def good() -> list[Example]:
    """Ten people and ten cities, each labelled in its sentence."""
    return [
        row(f"Ann{i} saw Rome{i}.", {f"Ann{i}": "person", f"Rome{i}": "city"}) for i in range(10)
    ]


def test_good_data_has_no_problem() -> None:
    assert found(good(), [row("Bob left.", {"Bob": "person"})]) == {}


def test_duplicates_are_found_whatever_their_spaces_and_order_of_labels() -> None:
    again = row("Ann3  saw Rome3.", {"Ann3": "person", "Rome3": "city"}, ("city", "person"))
    problem = found([*good(), again])["duplicates"]
    assert problem.count == 1
    assert problem.cases == ("example 11 is example 4 again: 'Ann3  saw Rome3.'",)


def test_contradicting_labels_are_found() -> None:
    other = row("Ann3 saw Rome3.", {"Rome3": "city"})
    problem = found([*good(), other])["contradictions"]
    assert problem.cases == ("'person' has 'Ann3' in example 4, nothing in example 11",)


def test_spans_that_cut_words_or_have_outer_spaces_are_found() -> None:
    cut = Example(Query("Annual Rome", LABELS), (Span(0, 3, "Ann", "person"),))
    space = Example(Query("Ann went", LABELS), (Span(0, 4, "Ann ", "person"),))
    apostrophe = row("Ann's dog", {"Ann": "person"})
    problem = found([*good(), cut, space, apostrophe])["spans that cut words"]
    assert problem.count == 2
    assert "example 11: 'Ann' ('person') cuts a word of 'Annual Rome'" in problem.cases


def test_mentions_that_are_labelled_elsewhere_are_possible_omissions() -> None:
    usual = [row(f"Oslo is far {i}", {"Oslo": "city"}) for i in range(3)]
    missed = Example(Query("I like Oslo", LABELS), ())
    not_asked = Example(Query("Oslo, again", ("person",)), ())
    silent = Example(Query("Oslo!", LABELS), (), silent=((0, 4),))
    longer = Example(Query("Oslofjord", LABELS), ())
    rows = [*good(), *usual, missed, not_asked, silent, longer]
    problem = found(rows)["possible omissions"]
    assert problem.cases == ("'Oslo' is 'city' elsewhere (3 times), but not at 7:11 of example 14",)


def test_a_rare_label_of_a_mention_is_pointed_out() -> None:
    usual = [row(f"Oslo is far {i}", {"Oslo": "city"}) for i in range(5)]
    problem = found([*good(), *usual, row("Oslo left", {"Oslo": "person"})])
    assert (
        "'Oslo' is 'city' 5 times, 'person' 1 times"
        in problem["unusual labels of a mention"].cases[0]
    )


def test_labels_that_are_alike_are_found_by_name_and_by_mentions() -> None:
    named = row("Ann left", {"Ann": "Person_"}, ("Person_",))
    alike = [row(f"Rome{i} fell", {f"Rome{i}": "town"}, ("town",)) for i in range(4)]
    cases = found([*good(), named, *alike])["labels alike"].cases
    assert "'Person_' and 'person': nearly the same name" in cases
    assert any(case.startswith("'city' and 'town' share 4 of 4 mentions") for case in cases)


def test_rare_labels_and_those_never_there_are_found() -> None:
    rows = [*good(), row("A fox", {"fox": "animal"}, ("animal", "plant"))]
    cases = found(rows)["rare labels"].cases
    assert cases == ("'plant' has 0 spans in 1 examples", "'animal' has 1 spans in 1 examples")


def test_texts_shared_with_held_out_data_are_leaks_and_come_first() -> None:
    held_out = [row("ann3 saw rome3", {}), row(f"Now: {LONG}.", {})]
    learned = [*good(), row(f"He said {LONG} and left.", {})]
    first = diagnose(learned, held_out=held_out)[0]
    assert first.name == "leaks"
    assert first.cases == (
        "example 4 has the text of held-out example 1",
        "example 11 shares 13 words in a row with held-out example 2",
    )


def test_the_command_prints_a_table_and_json(tmp_path: Path) -> None:
    rows = [*good(), good()[0]]
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(example.to_dict()) + "\n" for example in rows))
    app = typer.Typer()
    register(app)
    done = CliRunner().invoke(app, ["diagnose", str(file)])
    assert done.exit_code == 0, done.output
    assert "11 examples, 22 spans" in done.output
    assert "duplicates" in done.output
    done = CliRunner().invoke(app, ["diagnose", str(file), "--json"])
    [problem] = json.loads(done.output)
    assert (problem["name"], problem["count"]) == ("duplicates", 1)


def test_few_pairs_of_many_labels_are_compared_letter_by_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []

    class Counting(SequenceMatcher[str]):
        def set_seq1(self, a: Sequence[str]) -> None:
            compared.append(a)
            super().set_seq1(a)

    monkeypatch.setattr(diagnosis, "SequenceMatcher", Counting)
    rng = random.Random(0)
    labels = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=12)) for _ in range(1000)]
    problem = found([row("Ada", {}, [*labels, "film director", "Film_directors"])])["labels alike"]
    assert problem.cases == ("'Film_directors' and 'film director': nearly the same name",)
    assert len(compared) < 5000, "of 501,501 pairs"
