"""From gold rows to Examples."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from glinermt.training.config import Sampling, Source
from glinermt.training.data.label_pool import LabelPool, foreign_labels
from glinermt.training.data.questions import Paragraphs, without_answers
from glinermt.training.data.rows import EntityRow, QuestionRow, RelationRow, Row, SummaryRow
from glinermt.training.data.sampling import make_sampler
from glinermt.types import Example, Query, Relation, Span

TEXT = "Ann lives in Rome near the Tiber."
PERSON, CITY, RIVER = (
    Span(0, 3, "Ann", "person"),
    Span(13, 17, "Rome", "city"),
    Span(27, 32, "Tiber", "river"),
)
ENTITIES = [
    EntityRow(TEXT, (PERSON, CITY, RIVER)),
    EntityRow("Nothing here.", ()),
    EntityRow("A lake.", (Span(2, 6, "lake", "lake"),)),
]
RELATIONS = [
    RelationRow(TEXT, ((PERSON, "lives in", CITY), (CITY, "near", RIVER))),
    RelationRow("Bob made it.", ((Span(0, 3, "Bob", "x"), "maker", Span(9, 11, "it", "x")),)),
]
QUESTIONS = [
    QuestionRow(TEXT, "Where does Ann live?", (CITY,)),
    QuestionRow("Ann is a name.", "What is Ann?", (Span(7, 13, "a name", "answer"),)),
    QuestionRow("Rome is a city; Ann lives.", "What is Rome?", (Span(8, 14, "a city", "answer"),)),
    QuestionRow("Unlike all else.", "What?", ()),
]
SUMMARIES = [SummaryRow("One two. Three four.", (Span(0, 8, "One two.", "summary"),))]
EXAMPLES = [Example(Query(TEXT, ("city", "lake", "person"), "Find:"), (PERSON, CITY))]


def samples(rows: Sequence[Row], sampling: Sampling, number: int = 60) -> list[Example]:
    sampler = make_sampler(Source("x", "ner"), rows, ["playlist"], sampling)
    return [sampler(rows[i % len(rows)], random.Random(i)) for i in range(number)]


@given(
    rows=st.sampled_from([ENTITIES, RELATIONS, QUESTIONS, SUMMARIES, EXAMPLES]),
    seed=st.integers(0, 1000),
    max_words=st.integers(1, 10),
    share=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_every_example_is_valid_and_repeatable(
    rows: Sequence[Row], seed: int, max_words: int, share: float
) -> None:
    sampling = Sampling(
        max_words=max_words,
        open_ner_share=share / 2,
        paraphrases={"person": ("human",), "city": ("town", "river")},
        paraphrase_share=share,
    )
    sampler = make_sampler(Source("x", "ner", prompt="X:"), rows, ["playlist"], sampling)
    for row in rows:
        example = sampler(row, random.Random(seed))
        assert Example.from_dict(example.to_dict()) == example
        assert len(set(example.query.labels)) == len(example.query.labels) > 0
        assert example.query.prompt.startswith("X:")
        assert sampler(row, random.Random(seed)) == example


def test_present_labels_come_with_absent_ones_of_the_same_set() -> None:
    sampling = Sampling(drop_share=0.0, foreign_share=0.0)
    for example in samples(ENTITIES, sampling):
        asked = set(example.query.labels)
        assert asked <= {"person", "city", "river", "lake"}
        if example.query.text == TEXT:
            assert {span.label for span in example.spans} == {"person", "city", "river"}


def test_dropped_labels_lose_their_spans_and_never_turn_negative() -> None:
    sampling = Sampling(drop_share=1.0, foreign_share=0.0, max_negatives=9)
    for example in samples([ENTITIES[0]], sampling):
        assert set(example.query.labels) == {span.label for span in example.spans}
        assert 1 <= len(example.spans) <= 2


def test_foreign_labels_are_asked_as_often_as_wanted() -> None:
    found = samples([ENTITIES[0]], Sampling(foreign_share=0.3), number=500)
    assert 0.2 < sum("playlist" in e.query.labels for e in found) / 500 < 0.4


def test_foreign_labels_come_from_other_domains_and_are_no_common_or_similar_types() -> None:
    news, code, other = (
        Source("a", "ner", domain="news"),
        Source("b", "ner", domain="code"),
        Source("c", "ner", domain="news"),
    )
    seen = [
        (news, Counter({"person": 1, "file": 1})),
        (code, Counter({"person": 1, "file name": 1, "library": 1})),
        (other, Counter({"artist": 1})),
    ]
    assert foreign_labels(news, seen, ["person"]) == ["library"]


def test_negatives_follow_frequency_where_asked() -> None:
    pool = LabelPool(Counter({"often": 99, "seldom": 1}))
    drawn = [
        pool.draw(1, exclude=(), frequency_share=1.0, rng=random.Random(i))[0] for i in range(200)
    ]
    assert drawn.count("often") > 180
    even = [
        pool.draw(1, exclude=(), frequency_share=0.0, rng=random.Random(i))[0] for i in range(200)
    ]
    assert 60 < even.count("often") < 140
    assert pool.draw(5, exclude=["often"], frequency_share=1.0, rng=random.Random(0)) == ["seldom"]


def test_relation_negatives_are_other_relations_and_swapped_ends() -> None:
    labels = Counter(
        label for e in samples([*RELATIONS], Sampling(), number=300) for label in e.query.labels
    )
    assert labels["Ann <> near"] > 20
    assert labels["Ann <> maker"] > 20
    assert labels["Rome <> lives in"] > 20
    assert labels["Bob <> maker"] > 20


def test_symmetric_relations_are_not_swapped() -> None:
    sampling = Sampling(symmetric_relations=("lives in", "near", "maker"))
    labels = {
        label for e in samples([RELATIONS[1]], sampling, number=100) for label in e.query.labels
    }
    assert labels == {"Bob <> maker"}


def test_questions_move_to_paragraphs_that_do_not_answer_them() -> None:
    moved = samples(QUESTIONS[:3], Sampling(unanswerable_share=1.0))
    kept = samples(QUESTIONS[:3], Sampling(unanswerable_share=0.0))
    where = [e for e in moved if e.query.prompt.startswith("Where")]
    # The draw of a random paragraph may fail where most hold the answer; then the row stays.
    assert sum(not e.spans for e in where) > len(where) // 2
    assert all(bool(e.spans) == (e.query.text == TEXT) for e in where)
    assert all(e.spans for e in kept)


def test_a_wrong_paragraph_looks_like_the_question_but_holds_no_answer() -> None:
    paragraphs = Paragraphs(QUESTIONS)
    for seed in range(20):
        wrong = paragraphs.wrong(QUESTIONS[0], similar=True, rng=random.Random(seed))
        assert wrong == "Ann is a name."


def test_long_texts_are_cut_around_their_spans() -> None:
    text = "Filler words go here. " * 50 + "Ann sleeps. " + "More filler. " * 50
    start = text.index("Ann")
    row = EntityRow(text, (Span(start, start + 3, "Ann", "person"),))
    for example in samples([row], Sampling(max_words=20)):
        assert len(example.query.text.split()) <= 20
        assert [span.text for span in example.spans] == ["Ann"]


def test_open_instructions_name_the_label() -> None:
    for example in samples([ENTITIES[0]], Sampling(open_ner_share=1.0)):
        [label] = {span.text for span in example.spans}
        kind = {"Ann": "person", "Rome": "city", "Tiber": "river"}[label]
        assert kind in example.query.prompt
        assert example.query.labels == ("match",)


def test_relations_that_hold_elsewhere_in_a_document_are_no_negatives() -> None:
    far = "Ann lives in Rome. " + "Filler words here. " * 40 + "Ann is near Oslo."
    start, end = far.rindex("Ann"), far.index("Oslo")
    second = Span(start, start + 3, "Ann", "x"), Span(end, end + 4, "Oslo", "x")
    row = RelationRow(far, ((PERSON, "lives in", CITY), (second[0], "near", second[1])))
    for example in samples([row], Sampling(max_words=30)):
        assert len(example.query.text.split()) <= 30
        negatives = set(example.query.labels) - {span.label for span in example.spans}
        assert not negatives & {"Ann <> near", "Ann <> lives in"}


def test_no_negatives_are_asked_where_none_are_wanted() -> None:
    sampling = Sampling(max_negatives=0, foreign_share=0.0, drop_share=0.0)
    for example in samples([ENTITIES[0]], sampling) + samples(EXAMPLES, sampling):
        assert set(example.query.labels) == {span.label for span in example.spans}


def test_absent_labels_are_borrowed_from_other_examples_of_entities() -> None:
    gold = (Span(0, 4, "What", "answer"),)
    asked = Example(Query("What?", ("answer",), "Who?"), gold, task="answer")
    others = [
        Example(Query("x", (f"kind {i}",)), (Span(0, 1, "x", f"kind {i}"),)) for i in range(400)
    ]
    rows: list[Row] = [asked, *others]
    sampler = make_sampler(Source("x", "examples"), rows, (), Sampling(borrowed_negatives=5))
    for i, row in enumerate(rows):
        example = sampler(row, random.Random(i))
        assert len(set(example.query.labels)) == len(example.query.labels) <= 6
        assert "answer" not in example.query.labels or row is asked
    assert sampler(asked, random.Random(0)) == asked
    lengths = [len(sampler(row, random.Random(i)).query.labels) for i, row in enumerate(others)]
    assert min(lengths) == 1
    assert max(lengths) == 6


def test_the_most_specific_label_wins_and_the_general_one_is_asked_besides() -> None:
    poet = Span(0, 3, "Ann", "poet")
    row = Example(Query(TEXT, ("poet", "person", "city")), (poet, PERSON, CITY))
    table = {"person": ("poet", "singer"), "river": ("creek",)}
    sampling = Sampling(general_labels=table, drop_share=0.0)
    for example in samples([row], sampling):
        assert {span.label for span in example.spans} == {"poet", "city"}
    alone = Example(Query(TEXT, ("poet",)), (poet,))
    asked = Sampling(general_labels=table, general_share=1.0)
    for example in samples([alone], asked):
        assert set(example.query.labels) == {"poet", "person"}
        assert example.spans == (poet,)


def test_rows_are_read_together_with_others() -> None:
    examples = samples(ENTITIES, Sampling(joined_share=1.0, max_words=1000), number=50)
    texts = {row.text for row in ENTITIES}
    assert not any(e.query.text in texts for e in examples)
    assert all(any(text in e.query.text for text in texts) for e in examples)
    for example in examples:
        for span in example.spans:
            assert example.query.text[span.start : span.end] == span.text
    assert len({span.start for e in examples for span in e.spans}) > 10


def test_a_paragraph_can_lose_the_sentences_of_its_answer() -> None:
    text = "The mill burned down in 1870. Anna Holt rebuilt it. It grinds rye. Holt died in May."
    answer = Span(text.index("Anna"), text.index("Anna") + 9, "Anna Holt", "answer")
    row = QuestionRow(text, "Who rebuilt the mill?", (answer,))
    sampling = Sampling(unanswerable_share=1.0, removed_share=1.0)
    (example,) = set(samples([row], sampling, number=5))
    assert example.query.text == "The mill burned down in 1870. It grinds rye. Holt died in May."
    assert "Who rebuilt the mill?" in example.query.prompt
    assert not example.spans
    assert without_answers("It burned down in 1870. Anna Holt rebuilt it.", ["anna holt"]) is None


def test_an_example_of_relations_and_types_keeps_its_whole_text() -> None:
    places = (replace(PERSON, label=""), replace(CITY, label=""))
    query = Query(TEXT, ("city", "lake"), relations=("lives in",), entities=places)
    gold = (Relation(places[0], "lives in", places[1]),)
    row = Example(query, (CITY,), "relations", relations=gold)
    sampler = make_sampler(Source("x", "examples"), [row], (), Sampling(max_words=3))
    for seed in range(20):
        made = sampler(row, random.Random(seed))
        assert made.query.text == TEXT
        assert made.relations == gold
        assert {place.text for place in made.query.entities} == {"Ann", "Rome"}
