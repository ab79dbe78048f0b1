"""A task is one value: what is trained is worded as what is asked, whatever a model's wordings."""

from collections.abc import Callable
from typing import Any

import pytest

from glinermt.config import TaskSettings
from glinermt.tasks import (
    TASKS,
    answer,
    extract_entities,
    extract_keyphrases,
    extract_matches,
    extract_open_entities,
    extract_relations,
    summarize,
)
from glinermt.tasks.instructions import Instruction
from glinermt.tasks.keyphrases import Phrases
from glinermt.tasks.labels import read_labels
from glinermt.tasks.questions import Question
from glinermt.tasks.relations import Related
from glinermt.tasks.summaries import Budget
from glinermt.tasks.task import example, reworded
from glinermt.types import Example, Extractor, Query, Relation, Span
from tests.stub import StubExtractor

TEXT = "Ada was born in London."
ADA, LONDON = Span(0, 3, "Ada", "person"), Span(16, 22, "London", "city")
OWN = TaskSettings()
OTHER = TaskSettings(
    prompts={
        "entities": "Find names:",
        "open_entities": "Extract {instruction}",
        "relations": "Relations:",
        "answer": "Answer the following question: {question}",
        "summarize": "TL;DR",
        "matches": "Match {instruction}",
        "keyphrases": "Phrases:",
    },
    labels={
        "open_entities": "entity",
        "relations": "{relation} of {head}",
        "answer": "reply",
        "summarize": "gist",
        "matches": "piece",
        "keyphrases": "phrase",
    },
)
DESCRIBED = {"city": "a large settlement", "person": {"threshold": 0.3}}
BORN = {"born in": {"description": "place of birth", "tail": ["city"]}}

Ask = Callable[[Extractor], Any]
CASES: dict[str, tuple[Ask, Any, list[Any], list[str]]] = {
    "entities": (
        lambda model: extract_entities(TEXT, DESCRIBED, model=model),
        read_labels(DESCRIBED),
        [ADA, LONDON],
        ["person", "city: a large settlement"],
    ),
    "open_entities": (
        lambda model: extract_open_entities(TEXT, "all {names}", model=model),
        Instruction("all {names}"),
        [ADA, LONDON],
        ["match", "match"],
    ),
    "relations": (
        lambda model: extract_relations(TEXT, BORN, entities=[ADA, LONDON], model=model),
        Related(tuple(read_labels({"born in": "place of birth"})), (ADA, LONDON)),
        [Relation(ADA, "born in", LONDON)],
        ["Ada <> born in: place of birth"],
    ),
    "answer": (
        lambda model: answer("Where?", TEXT, model=model),
        Question("Where?"),
        [LONDON],
        ["answer"],
    ),
    "summarize": (
        lambda model: summarize(TEXT, model=model),
        Budget(),
        [Span(0, 22, TEXT[:22], "")],
        ["summary"],
    ),
    "matches": (
        lambda model: extract_matches(TEXT, "births", model=model),
        Instruction("births"),
        [LONDON],
        ["match"],
    ),
    "keyphrases": (
        lambda model: extract_keyphrases(TEXT, model=model),
        Phrases(),
        [LONDON],
        ["keyphrase"],
    ),
}


def test_every_task_that_asks_for_spans_is_tried_here() -> None:
    assert set(CASES) == set(TASKS) - {"classify", "records"}  # which have a file of their own
    assert all(TASKS[name].name == name for name in TASKS)


@pytest.mark.parametrize("settings", [OWN, OTHER], ids=["own wordings", "other wordings"])
@pytest.mark.parametrize("name", CASES)
def test_an_example_asks_what_the_public_function_asks(name: str, settings: TaskSettings) -> None:
    ask, asked, gold, _ = CASES[name]
    model = StubExtractor(lambda _: [], settings=settings)
    ask(model)
    made = example(TASKS[name], TEXT, asked, gold, settings)
    assert [made.query] == model.queries
    assert made.task == name
    assert {span.label for span in made.spans} <= set(made.query.labels)
    assert len(made.spans) == len(gold)


@pytest.mark.parametrize("name", CASES)
def test_an_example_marks_the_gold_under_the_labels_asked(name: str) -> None:
    _, asked, gold, labels = CASES[name]
    made = example(TASKS[name], TEXT, asked, gold)
    assert [span.label for span in made.spans] == labels
    assert all(TEXT[span.start : span.end] == span.text for span in made.spans)
    assert example(TASKS[name], TEXT, asked, []).spans == ()


def test_other_wordings_are_really_others() -> None:
    for name, (_, asked, _, _) in CASES.items():
        own, other = (TASKS[name].query(TEXT, asked, settings)[0] for settings in (OWN, OTHER))
        assert own.prompt != other.prompt, name
        assert name == "entities" or own.labels != other.labels, name


def test_gold_that_is_not_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="span label 'person' is not among city, river"):
        example(TASKS["entities"], TEXT, read_labels(["city", "river"]), [ADA])
    asked = Related.of_pairs([("London", "born in")])
    with pytest.raises(ValueError, match="relation 'born in' of 'Ada' is not among what is asked"):
        example(TASKS["relations"], TEXT, asked, [Relation(ADA, "born in", LONDON)])


def test_pairs_that_do_not_hold_are_asked_beside_those_that_do() -> None:
    asked = Related.of_pairs([("Ada", "born in"), ("London", "born in"), ("Ada", "born in")])
    made = example(TASKS["relations"], TEXT, asked, [Relation(ADA, "born in", LONDON)])
    assert made.query.labels == ("Ada <> born in", "London <> born in")
    assert [(span.text, span.label) for span in made.spans] == [("London", "Ada <> born in")]


@pytest.mark.parametrize("name", CASES)
def test_examples_are_put_into_the_words_of_the_model_that_learns_them(name: str) -> None:
    _, asked, gold, _ = CASES[name]
    ours = example(TASKS[name], TEXT, asked, gold)
    assert reworded(ours, TASKS[name], OTHER) == example(TASKS[name], TEXT, asked, gold, OTHER)
    assert reworded(ours, TASKS[name], OWN) == ours


def test_words_that_somebody_chose_stay() -> None:
    chosen = Example(Query(TEXT, ("verdict",), "In one sentence:"), (), task="summarize")
    assert reworded(chosen, TASKS["summarize"], OTHER) == chosen
    pairs = Example(Query(TEXT, relations=("born in",)), (), task="relations")
    assert reworded(pairs, TASKS["relations"], OTHER) == pairs
