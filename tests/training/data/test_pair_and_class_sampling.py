"""Gold pairs and classes -> Examples for the relation head and the class head."""

import json
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from glinermt.errors import DataError
from glinermt.training.config import Sampling, Source, TaskName
from glinermt.training.data.readers import read_source
from glinermt.training.data.rows import ClassRow, RelationRow, Row
from glinermt.training.data.sampling import make_sampler
from glinermt.types import Example, Span

TEXT = "Ann met Bob in Rome. Ann left Rome."
ANN, BOB, ROME = Span(0, 3, "Ann", "x"), Span(8, 11, "Bob", "x"), Span(15, 19, "Rome", "x")
AGAIN, ROME_AGAIN = Span(21, 24, "Ann", "x"), Span(30, 34, "Rome", "x")
DOCUMENT = RelationRow(
    TEXT,
    ((ANN, "sibling", BOB), (ANN, "lives in", ROME), (AGAIN, "left", ROME_AGAIN)),
)
LISTED = RelationRow(TEXT, ((ANN, "sibling", BOB),), ((BOB, ROME),))
FAR = [RelationRow("a b", ((Span(0, 1, "a", "x"), name, Span(2, 3, "b", "x")),)) for name in "pqr"]


def samples(source: Source, rows: Sequence[Row], sampling: Sampling) -> list[Example]:
    sampler = make_sampler(source, rows, [], sampling)
    return [sampler(rows[0], random.Random(i)) for i in range(60)]


def triples(example: Example) -> set[tuple[str, str, str]]:
    return {(r.head.text, r.label, r.tail.text) for r in example.relations}


def test_pairs_ask_for_true_and_for_absent_relations_of_all_mentions() -> None:
    found = samples(Source("x", "pairs"), [DOCUMENT, *FAR], Sampling(max_relation_labels=4))
    assert {name for e in found for name in e.query.relations} > {"sibling", "lives in", "p", "q"}
    for example in found:
        assert example.task == "relations"
        assert example.spans == ()
        assert 2 <= len(example.query.relations) <= 4
        assert example.query.entities is not None
        for span in example.query.entities:
            assert example.query.text[span.start : span.end] == span.text
        for relation in example.relations:
            assert {relation.head, relation.tail} <= set(example.query.entities)
            assert relation.label in example.query.relations
    assert len({e.query.relations.index(e.relations[0].label) for e in found if e.relations}) > 1


def test_what_holds_of_two_names_holds_of_all_their_mentions() -> None:
    whole = [
        e
        for e in samples(Source("x", "pairs"), [DOCUMENT, *FAR], Sampling())
        if len(e.query.entities or ()) == 5 and "lives in" in e.query.relations
    ]
    assert whole
    for example in whole:
        held = [(r.head.start, r.tail.start) for r in example.relations if r.label == "lives in"]
        assert sorted(held) == sorted(product((0, 21), (15, 30)))


def test_symmetric_relations_hold_both_ways() -> None:
    sampling = Sampling(symmetric_relations=("sibling",))
    found = [triples(e) for e in samples(Source("x", "pairs"), [DOCUMENT, *FAR], sampling)]
    assert {("Ann", "sibling", "Bob"), ("Bob", "sibling", "Ann")} in [
        {t for t in each if t[1] == "sibling"} for each in found
    ]
    assert not any(("Rome", "lives in", "Ann") in each for each in found)


def test_where_only_listed_pairs_are_judged_no_other_mention_is_paired() -> None:
    source = Source("x", "pairs", judged="listed")
    found = samples(source, [LISTED, *FAR], Sampling())
    asked = {tuple(s.text for s in e.query.entities or ()) for e in found}
    assert asked == {("Ann", "Bob"), ("Bob", "Rome")}
    assert all(not e.relations for e in found if (e.query.entities or ())[0].text == "Bob")


def test_pairs_without_a_relation_are_read_from_their_own_name(tmp_path: Path) -> None:
    place = [{"text": "a", "start": 0, "end": 0}, {"text": "b", "start": 1, "end": 1}]
    pair = dict(zip(("head", "tail"), place, strict=True))
    row = {"tokens": ["a", "b"], "relations": [{**pair, "relation": "no relation"}]}
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (read,), _ = read_source(Source("x.jsonl", "pairs"), tmp_path, max_bad_share=0)
    assert isinstance(read, RelationRow)
    assert read.triples == ()
    assert [(h.text, t.text) for h, t in read.unrelated] == [("a", "b")]


@pytest.mark.parametrize("several", [False, True])
def test_classes_are_asked_among_absent_ones(several: bool) -> None:
    rows = [ClassRow("x", ("b", "c") if several else ("b",)), ClassRow("y", ("d",))]
    rows += [ClassRow(name, (name,)) for name in "efgh"]
    found = samples(Source("x", "classify"), rows, Sampling(max_class_labels=5))
    assert {len(e.query.classes) for e in found} <= {2, 3, 4, 5}
    assert len({e.query.classes.index("b") for e in found}) > 1
    for example in found:
        assert example.task == "classify"
        assert example.multi_label == several
        assert set(example.classes) == set(rows[0].classes)
        assert len(set(example.query.classes)) == len(example.query.classes)


def test_a_text_of_no_class_is_asked_for_absent_ones_alone() -> None:
    rows: list[Row] = [ClassRow("x", ()), *(ClassRow(name, (name,)) for name in "abc")]
    for example in samples(Source("x", "classify"), rows, Sampling()):
        assert example.classes == ()
        assert len(example.query.classes) >= 2


def test_rows_of_an_excluded_class_are_left_out_and_bad_classes_named(tmp_path: Path) -> None:
    lines = [{"text": "x", "labels": ["a", "b"]}, {"text": "y", "labels": ["c"]}]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    source = Source("x.jsonl", "classify", exclude_labels=("b",))
    rows, _ = read_source(source, tmp_path, max_bad_share=0)
    assert rows == [ClassRow("y", ("c",))]
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": "x", "labels": "a"}), encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.jsonl:1: labels should be a list"):
        read_source(source, tmp_path, max_bad_share=0)


@pytest.mark.parametrize(
    ("task", "rows"),
    [("pairs", [DOCUMENT, *FAR]), ("classify", [ClassRow("x", ("a",)), ClassRow("y", ("b",))])],
)
def test_entity_types_asked_besides_teach_nothing(task: TaskName, rows: Sequence[Row]) -> None:
    sampler = make_sampler(
        Source("x", task), rows, ["person", "city", "lake"], Sampling(mixed_share=0.5)
    )
    found = [sampler(rows[0], random.Random(i)) for i in range(60)]
    mixed = [e for e in found if e.query.labels]
    assert 15 < len(mixed) < 45
    assert {label for e in mixed for label in e.query.labels} == {"person", "city", "lake"}
    for example in found:
        silent = ((0, len(example.query.text)),) if example.query.labels else ()
        assert example.silent == silent
        assert example.spans == ()
