"""Texts written for training: their formats, and what is asked of them."""

import random
from importlib import resources
from pathlib import Path

import pytest

from glinermt.errors import DataError
from glinermt.training.shipped.written.__main__ import examples
from glinermt.training.shipped.written.passages import read_domain
from glinermt.training.shipped.written.questions import read_topic

DOMAIN = """# domain: firms
type: company; firm < organization
type: founder < person
type: city < location
rel: founded; started | inverse: founded by; creator | founder > company
rel: rival of | symmetric | company > company
rel: lives in | no inverse | founder > city
---
[Ana Ruiz|founder|a] began [Velt Labs|company|b] in May; [Ruiz|founder|a] fights [Osk|company|c].
a > founded > b
b > rival of > c
---
[Tom Hale|founder|a] never was in [Tampere|city|b].
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "firms.txt"
    path.write_text(DOMAIN, encoding="utf-8")
    return path


def test_a_passage_is_read_without_its_marks(file: Path) -> None:
    domain = read_domain(file)
    passage = domain.passages[0]
    assert passage.text == "Ana Ruiz began Velt Labs in May; Ruiz fights Osk."
    assert [passage.text[t.start : t.end] for t in passage.things] == [
        "Ana Ruiz", "Velt Labs", "Ruiz", "Osk",
    ]  # fmt: skip
    assert passage.triples == (("a", "founded", "b"), ("b", "rival of", "c"))
    assert domain.types == {"company": ("company", "firm"), "founder": ("founder",),
                            "city": ("city",)}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a > married > b", "not declared"),
        ("a > founded > z", "not marked"),
        ("some words", "no line of this format"),
        ("rel: x | sideways | a > b", "sideways"),
        ("---\n[Ana|ghost|a] came.", "'ghost' is not declared"),
        ("---\n[Ana|founder came.", "broken"),
        ("---\n[Ana|founder|a] came.", "fewer than two"),
    ],
)
def test_a_bad_line_is_named(file: Path, line: str, reason: str) -> None:
    file.write_text(DOMAIN + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"firms.txt:\\d+: .*{reason}"):
        read_domain(file)


def test_what_is_asked_holds_in_every_direction_and_wording(file: Path) -> None:
    domain = read_domain(file)
    founders = {"founded", "started"}
    inverse = {"founded by", "creator"}
    seen: set[str] = set()
    for seed in range(60):
        for kind, example in examples(domain, random.Random(seed)):
            if kind != "pairs" or not example.relations:
                continue
            found = {(r.head.text, r.label, r.tail.text) for r in example.relations}
            asked = set(example.query.relations)
            seen |= {label for _, label, _ in found}
            for label in asked & founders:
                assert {h for h, name, _ in found if name == label} == {"Ana Ruiz", "Ruiz"}
            for label in asked & inverse:
                assert {h for h, name, _ in found if name == label} == {"Velt Labs"}
            assert len(asked & founders) <= 1, "two wordings of one relation"
            if "rival of" in asked:
                assert {h for h, name, _ in found if name == "rival of"} == {"Velt Labs", "Osk"}
            for span in example.spans:
                assert span.text == example.query.text[span.start : span.end]
    assert founders | inverse | {"rival of"} == seen


def test_tails_and_types_are_asked_as_well(file: Path) -> None:
    domain = read_domain(file)
    made = [pair for seed in range(20) for pair in examples(domain, random.Random(seed))]
    tails = [example for kind, example in made if kind == "tails"]
    assert any(label.startswith("Ana Ruiz <> ") for e in tails for label in e.query.labels)
    for e in tails:  # symmetric, so it is never denied
        rivals = {f"{name} <> rival of" for name in ("Velt Labs", "Osk")} & set(e.query.labels)
        assert rivals <= {span.label for span in e.spans}
    assert any("Osk <> rival of" in e.query.labels for e in tails)
    types = {span.label for kind, e in made if kind == "entities" for span in e.spans}
    assert types == {"company", "firm", "founder", "city"}


def test_the_shipped_texts_are_whole() -> None:
    folder = Path(str(resources.files("glinermt.training.shipped.written")))
    domains = [read_domain(path) for path in (folder / "texts").glob("*.txt")]
    assert sum(len(domain.relations) for domain in domains) > 2000
    unseen = [read_domain(path) for path in (folder / "held_out/relations").glob("*.txt")]
    assert sum(len(domain.relations) for domain in unseen) > 30
    for questions in ("questions", "held_out/questions"):
        assert all(len(read_topic(path)) > 200 for path in (folder / questions).glob("*.txt"))


TOPIC = """# topic: bridges
---
Ida Voss began the Halden bridge in 1871; Ida Voss died in 1880, a year after it was opened.
Q: Who planned it? | Ida Voss@2
Q: When was the start? | in 1871 || 1871
N: When did Ida Voss leave Halden?
"""


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Q: Who planned it? | Ida Vos", "does not stand"),
        ("Q: Who planned it? | Ida Voss", "stands 2 times"),
        ("Q: Who planned it? | Ida Voss@3", "stands 2 times"),
        ("Q: Who planned it?", "without its answer"),
        ("A: Who planned it?", "neither"),
    ],
)
def test_a_wrong_line_of_questions_is_named(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "bridges.txt"
    path.write_text(TOPIC + line, encoding="utf-8")
    with pytest.raises(DataError, match=rf"bridges.txt:7: .*{why}"):
        read_topic(path)


def test_questions_have_the_shortest_answer_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bridges.txt"
    path.write_text(TOPIC, encoding="utf-8")
    who, when, none = read_topic(path)
    assert [(span.start, span.text) for span in who.answers] == [(42, "Ida Voss")]
    assert [span.text for span in when.answers] == ["1871"]
    assert none.answers == ()
    assert none.text == who.text


def test_the_shipped_questions_cannot_be_told_apart_by_their_first_words() -> None:
    folder = resources.files("glinermt.training.shipped.written") / "questions"
    rows = [row for path in folder.iterdir() for row in read_topic(Path(str(path)))]
    for few, start in ((0.05, "in what year"), (0.05, "how many"), (0.01, "why"), (0.01, "where")):
        for answered in (True, False):
            kind = [row.question.lower() for row in rows if bool(row.answers) is answered]
            assert len(kind) > 5000
            assert sum(question.startswith(start) for question in kind) > few * len(kind)


def test_a_file_without_relations_teaches_its_types(tmp_path: Path) -> None:
    path = tmp_path / "bills.txt"
    path.write_text(
        "type: total; amount due < quantity\ntype: due date; payable by < time\n---\n"
        "INVOICE\\nPay [EUR 5|total|a] now.\n---\nNothing to pay.\n",
        encoding="utf-8",
    )
    made = [pair for seed in range(9) for pair in examples(read_domain(path), random.Random(seed))]
    assert {kind for kind, _ in made} == {"typed"}
    assert {span.text for _, e in made for span in e.spans} == {"EUR 5"}
    assert any("INVOICE\nPay EUR 5 now." in e.query.text for _, e in made)
