"""Each recipe turns its golden reply into the examples worked out by hand."""

import copy
from typing import Any

import pytest

from glinermt.synth.checks.align import Source
from glinermt.synth.checks.filters import Ledger
from glinermt.synth.recipes import RECIPES
from glinermt.synth.schema import fit
from glinermt.types import Example
from tests.synth.golden import REPLIES, TEXT, quote


def build(task: str, reply: dict[str, Any]) -> tuple[list[Example], Ledger]:
    ledger = Ledger()
    fitted = fit(reply, RECIPES[task].schema, ledger.drop)
    return RECIPES[task].build(Source(TEXT), fitted, ledger), ledger


def changed(task: str, **fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(REPLIES[task]), **fields}


def pairs(example: Example) -> list[tuple[str, str]]:
    assert all(TEXT[s.start : s.end] == s.text for s in example.spans)
    return [(span.text, span.label) for span in example.spans]


def test_ner_marks_every_mention_and_adds_absent_labels() -> None:
    (example,), ledger = build("entities", REPLIES["entities"])
    assert example.query.labels == ("physicist", "city", "award", "river", "software")
    assert example.query.prompt == ""
    assert pairs(example) == [
        ("Marie Curie", "physicist"),
        ("Warsaw", "city"),
        ("Paris", "city"),
        ("Marie Curie", "physicist"),
        ("Nobel Prize", "award"),
        ("Paris", "city"),
    ]
    assert ledger.statuses == {"exact": 3, "normalised": 1, "repeated": 2}
    assert not ledger.drops


def test_types_that_say_nothing_are_dropped() -> None:
    (example,), ledger = build("entity_types", REPLIES["entity_types"])
    assert pairs(example) == [("Warsaw", "city")]
    assert ledger.drops == {"label: says nothing": 1}


def test_a_definition_becomes_the_label() -> None:
    (example,), _ = build("entity_definitions", REPLIES["entity_definitions"])
    assert pairs(example) == [("Warsaw", "a large settlement where people live")]


def test_open_ner_gives_an_example_and_a_negative() -> None:
    (example, negative), _ = build("open_entities", REPLIES["open_entities"])
    assert example.query.prompt == "Find the places where one scientist lived"
    assert pairs(example) == [("Warsaw", "match"), ("Paris", "match")]
    assert negative.query.prompt == "Find the ships that were sunk in battle"
    assert negative.spans == ()


def test_relations_have_negatives_that_the_model_named_and_reversed_ones() -> None:
    (example,), _ = build("relations", REPLIES["relations"])
    assert pairs(example) == [
        ("Warsaw", "Marie Curie <> born in"),
        ("Pierre Curie", "Marie Curie <> spouse"),
    ]
    assert example.query.labels[2:] == ("Pierre Curie <> born in", "Warsaw <> born in")


def test_a_relation_that_may_be_symmetric_is_not_reversed() -> None:
    reply = changed("relations", absent=[], relations=REPLIES["relations"]["relations"][1:])
    (example,), _ = build("relations", reply)
    assert example.query.labels == ("Marie Curie <> spouse",)


def test_a_summary_has_the_pieces_and_one_of_two_instructions() -> None:
    (example,), _ = build("summarize", REPLIES["summarize"])
    assert pairs(example) == [(REPLIES["summarize"]["summary"][0]["text"], "summary")]
    assert example.query.prompt in (
        "Sum up the life of the scientist",
        "Summarize the given text, highlighting the most important information:",
    )


def test_questions_have_their_answer_or_none() -> None:
    examples, _ = build("answer", REPLIES["answer"])
    assert [(e.query.prompt, pairs(e)) for e in examples] == [
        ("Where was Marie Curie born?", [("Warsaw", "answer")]),
        ("Where did Pierre Curie die?", [("Paris", "answer")]),
        ("Which school did her daughter attend?", []),
    ]
    assert examples[1].spans[0].start == TEXT.rindex("Paris")


def test_open_ie_gives_an_example_for_each_request_and_a_negative() -> None:
    (example, negative), _ = build("matches", REPLIES["matches"])
    assert pairs(example) == [("because they remain radioactive", "match")]
    assert (negative.query.prompt, negative.spans) == ("Find every statement about costs", ())


NER_FAULTS = [
    (quote("Einstein", label="physicist"), "alignment: not found"),
    (quote("Warsaw", label="warsaw"), "label: is the mention"),
    (quote("Warsaw", label="  "), "label: empty"),
    (quote("Warsaw", label="a <> b"), "label: marks of the text format"),
    (quote("Warsaw", label="the big city that she was born in"), "label: too many words"),
    (quote("She", label="person"), "mention: function words only"),
    (quote(".", label="mark"), "piece: no letter"),
    (quote("Marie Curie was born in Warsaw in 1867", label="fact"), "mention: a whole sentence"),
    (quote("Pierre Curie died in Paris after a street accident", label="x y"), "a whole sentence"),
    (
        quote(
            "Pierre Curie died in Paris after a street accident. Her notebooks are", label="event"
        ),
        "mention: too many words",
    ),
]


@pytest.mark.parametrize(("item", "cause"), NER_FAULTS)
def test_faulty_entities_are_dropped_with_their_cause(item: dict[str, str], cause: str) -> None:
    examples, ledger = build("entity_types", {"entities": [item]})
    assert not examples
    assert [name for name in ledger.drops if cause in name]


def test_items_listed_twice_or_over_each_other_are_kept_once() -> None:
    items = [
        quote("Nobel Prize", label="award"),
        quote("Nobel Prize", label="award"),
        quote("the Nobel Prize", label="prize"),
    ]
    (example,), ledger = build("entity_types", {"entities": items})
    assert pairs(example) == [("Nobel Prize", "award")]
    assert ledger.drops == {"mention: repeated": 1, "mention: overlaps another": 1}


def test_labels_that_contradict_each_other_are_dropped() -> None:
    items = [
        quote("Paris", "moved to", label="city"),
        quote("Paris", "died in", label="religion"),
        quote("Marie Curie", label="person"),
        quote("Marie Curie", "In 1903", label="person"),
    ]
    (example,), ledger = build("entity_types", {"entities": items})
    assert pairs(example) == [("Marie Curie", "person"), ("Marie Curie", "person")]
    assert ledger.drops == {"label: contradicts another": 2}


PROMPT_FAULTS = [
    ("Marie Curie was born in Warsaw in 1867. She moved", "prompt: copied from the text"),
    ("Her notebooks are still kept", "prompt: copied from the text"),
    ("Find everything that belongs to the", "prompt: breaks off"),
    ("Find the <<ENT>> of the text", "prompt: marks of the text format"),
    ("Find " + "one thing and another " * 11, "prompt: too many words"),
    ("All products of one company.", "prompt: copied from the recipe"),
    (
        "A request that sounds natural for this text, but to which it has nothing",
        "prompt: copied from the recipe",
    ),
]


@pytest.mark.parametrize(("prompt", "cause"), PROMPT_FAULTS)
def test_faulty_instructions_are_dropped_with_their_cause(prompt: str, cause: str) -> None:
    examples, ledger = build("open_entities", changed("open_entities", absent_specification=prompt))
    assert len(examples) == 1
    assert ledger.drops == {cause: 1}


@pytest.mark.parametrize(
    ("task", "nothing"),
    [
        ("open_entities", {"entities": []}),
        ("matches", {"requests": []}),
        ("answer", {"questions": []}),
    ],
)
def test_negatives_need_something_kept_beside_them(task: str, nothing: dict[str, Any]) -> None:
    examples, ledger = build(task, changed(task, **nothing))
    assert not examples
    assert ledger.drops == {"negative: nothing else of the reply is kept": 1}


def test_a_label_that_is_there_is_no_negative() -> None:
    (example,), ledger = build(
        "entities", changed("entities", absent=["City", "none", "river", "Husband"])
    )
    assert example.query.labels == ("physicist", "city", "award", "river")
    assert ledger.drops == {
        "negative: is there": 1,
        "label: says nothing": 1,
        "negative: its name is in the text": 1,
    }


QUESTION_FAULTS = [
    ("Marie Curie was born in which city", "question: no question mark"),
    ("Was Marie Curie born in Warsaw?", "prompt: contains its answer"),
    ("Where?", "prompt: too few words"),
    ("where where where where where was she?", "prompt: repeats itself"),
]


@pytest.mark.parametrize(("question", "cause"), QUESTION_FAULTS)
def test_faulty_questions_are_dropped_with_their_cause(question: str, cause: str) -> None:
    item = {"question": question, **quote("Warsaw", "was born in")}
    examples, ledger = build("answer", {"questions": [item], "unanswerable": []})
    assert not examples
    assert ledger.drops == {cause: 1}


def test_an_answer_whose_place_is_doubtful_is_dropped() -> None:
    item = {"question": "Where did he die?", **quote("Paris")}
    examples, ledger = build("answer", {"questions": [item], "unanswerable": []})
    assert not examples
    assert ledger.drops == {"alignment: ambiguous": 1}


def test_a_question_asked_twice_counts_once() -> None:
    question = "Which school did her daughter attend?"
    examples, ledger = build("answer", changed("answer", unanswerable=[question, question.upper()]))
    assert len(examples) == 3
    assert ledger.drops == {"question: repeated": 1}


RELATION_FAULTS = [
    ("Marie Curie", "same as", "Marie Curie", "relation: head is tail"),
    ("Marie Curie", "Warsaw", "Warsaw", "label: is the mention"),
    ("Marie Curie", "", "Warsaw", "label: empty"),
    ("Albert Einstein", "born in", "Warsaw", "alignment: not found"),
]


@pytest.mark.parametrize(("head", "relation", "tail", "cause"), RELATION_FAULTS)
def test_faulty_relations_are_dropped(head: str, relation: str, tail: str, cause: str) -> None:
    item = {"before_head": "", "head": head, "relation": relation, "before_tail": "", "tail": tail}
    examples, ledger = build("relations", {"relations": [item], "absent": []})
    assert not examples
    assert ledger.drops == {cause: 1}


def test_negative_relations_are_checked() -> None:
    absent = [
        {"head": "Marie Curie", "relation": "born in"},
        {"head": "Einstein", "relation": "born in"},
    ]
    _, ledger = build("relations", changed("relations", absent=absent))
    assert ledger.drops == {"negative: holds": 1, "negative: head is not in the text": 1}


def test_a_summary_of_everything_or_of_next_to_nothing_is_dropped() -> None:
    for pieces, cause in (
        ([quote("lead", "lined with")], "summary: too short for the text"),
        ([quote(sentence + ".") for sentence in TEXT.rstrip(".").split(". ")], "too long"),
    ):
        examples, ledger = build("summarize", changed("summarize", summary=pieces))
        assert not examples
        assert [name for name in ledger.drops if cause in name]
