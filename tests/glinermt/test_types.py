"""The data all parts speak, as JSON."""

import warnings
from collections import Counter
from typing import Any

import pytest

from glinermt import examples
from glinermt.config import tempered
from glinermt.types import Answer, Example, Query, Redaction, Relation, Span, Summary

EXAMPLE = Example(Query("Ann left", ("person",), "who?"), (Span(0, 3, "Ann", "person"),))


HEAD, TAIL = Span(0, 3, "Ann", "person"), Span(12, 16, "Acme", "company")
RICH = Example(
    Query(
        "Ann founded Acme",
        ("person", "company"),
        "",
        ("founded",),
        ("news", "old"),
        (HEAD, TAIL),
        True,
    ),
    (HEAD, TAIL),
    task="relations",
    relations=(Relation(HEAD, "founded", TAIL),),
    classes=("news",),
    silent=((4, 11),),
)


def span(**changes: Any) -> dict[str, Any]:
    return {"start": 0, "end": 3, "label": "person", **changes}


def test_what_is_written_is_read() -> None:
    assert Example.from_dict(EXAMPLE.to_dict()) == EXAMPLE
    assert Example.from_dict(RICH.to_dict()) == RICH
    assert Query.from_dict({"text": "", "labels": []}) == Query("", ())


def test_a_prompt_may_be_none_and_a_span_may_say_its_text() -> None:
    data = {**EXAMPLE.to_dict(), "prompt": None, "spans": [span(text="Ann")]}
    assert Example.from_dict(data) == Example(Query("Ann left", ("person",)), EXAMPLE.spans)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": 5}, "text should be a string, got 5"),
        ({"prompt": ["who?"]}, "prompt should be a string"),
        ({"labels": "person"}, "labels should be a list of non-empty strings, got 'person'"),
        ({"labels": [1]}, r"labels should be .*, got \[1\]"),
        ({"labels": ["person", " "]}, "labels should be a list of non-empty strings"),
        ({"spans": [span(start=False, end=True)]}, "span False:True should be two whole numbers"),
        ({"spans": [span(end=3.0)]}, "span 0:3.0 should be two whole numbers"),
        ({"spans": [span(end=9)]}, "span 0:9 lies outside the text, which has 8 characters"),
        ({"spans": [span(text="left")]}, "span 'left' is not at 0:3, where the text has 'Ann'"),
        ({"spans": [span(label="city")]}, "span label 'city' is not among the labels"),
        ({"spans": [span(label=3)]}, "label of span 0:3 should be a string, got 3"),
        ({"spans": [{"start": 0}]}, "no 'end' field; there are 'start'"),
        ({"spans": ["Ann"]}, "expected an object with the field 'start', got 'Ann'"),
        ({"spans": {}}, "spans should be a list"),
        ({"task": "entites"}, "unknown task 'entites' .did you mean 'entities'"),
        ({"classes": ["news"]}, "class 'news' is not among the labels"),
        ({"silent": [[3, 99]]}, "span 3:99 lies outside the text"),
        ({"silent": [3, 4]}, "silent should be pairs of whole numbers, got 3"),
        ({"relations": [{"head": span(), "label": "x", "tail": span()}]}, "relation 'x' is not"),
    ],
)
def test_what_is_no_example_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Example.from_dict({**EXAMPLE.to_dict(), **change})


@pytest.mark.parametrize("name", ["text", "labels", "spans"])
def test_a_missing_field_is_named(name: str) -> None:
    data = EXAMPLE.to_dict()
    del data[name]
    with pytest.raises(ValueError, match=f"no '{name}' field; there are"):
        Example.from_dict(data)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (Span, {"start": 5, "end": 1, "text": "x", "label": "y"}, "span 5:1 cannot be the place"),
        (Span, {"start": 0, "end": 1, "text": "x", "label": 3}, "label of span 0:1"),
        (
            Span,
            {"start": 0, "end": 1, "text": "x", "label": "y", "score": 2},
            "score 2 lies outside",
        ),
        (Relation, {"head": {}, "label": "x", "tail": {}}, "no 'start' field"),
        (Answer, {"span": None, "score": 0.0}, "no 'no_answer_score' field"),
        (Summary, {"spans": "x"}, "spans should be a list"),
        (Redaction, {"spans": [], "replacements": []}, "no 'text' field"),
        (Redaction, {"text": "x", "spans": [], "replacements": "x"}, "replacements should be a"),
        (Redaction, {"text": "x", "spans": [], "replacements": ["y"]}, "0 spans have 1 repl"),
        (Redaction, {"text": "x", "spans": [], "replacements": [3]}, "should be a string, got 3"),
    ],
)
def test_what_is_no_result_is_refused(kind: Any, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind.from_dict(data)


@pytest.mark.parametrize(
    ("labels", "prompt", "task"),
    [
        (["person"], "", "entities"),
        (["person", "city"], "look closely", "entities"),
        (["answer"], "who?", "answer"),
        (["summary"], "sum up", "summarize"),
        (["match"], "all cities", "open_entities"),
        (["Ann <> founded"], "Extract relationships between entities from the text:", "relations"),
    ],
)
def test_the_task_of_an_old_row_is_guessed_with_a_warning(
    labels: list[str], prompt: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "_guessed", Counter())
    row = {"text": "Ann left", "labels": labels, "prompt": prompt, "spans": []}
    with pytest.warns(UserWarning, match=rf"1 row has no 'task' so far; .*: {task} 1\."):
        assert Example.from_dict(row).task == task


def test_old_rows_are_counted_not_told_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "_guessed", Counter())
    row = {"text": "Ann left", "labels": ["person"], "spans": []}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(99):
            Example.from_dict(row)
    assert [str(warning.message).split(" ")[0] for warning in told] == ["1", "10"]


def test_names_of_tasks_that_earlier_versions_wrote_are_known() -> None:
    data = {**EXAMPLE.to_dict(), "task": "ner_types"}
    assert Example.from_dict(data).task == "entities"


@pytest.mark.parametrize("score", [1e-300, 1e-16, 0.3, 1 - 1e-16])
def test_a_score_of_any_size_can_be_tempered(score: float) -> None:
    assert 0 <= tempered(score, 0.01) <= 1
