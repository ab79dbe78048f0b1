"""Whatever an LLM replies: nothing crashes, and nothing is kept that the text does not say."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glinermt.synth.backends.base import Reply
from glinermt.synth.checks.align import Status, normal
from glinermt.synth.checks.filters import Ledger
from glinermt.synth.checks.passages import Benchmarks
from glinermt.synth.engines.ask import Record, fault
from glinermt.synth.generate import make_examples
from glinermt.synth.plan import Row
from glinermt.synth.recipes import RECIPES
from glinermt.types import Example
from tests.synth.golden import REPLIES, TEXT, quote

HOSTILE_TEXT = (
    TEXT
    + " Ｆｕｌｌ width, e\u0301te\u0301, “quotes”, 東京, a\u200bb, {text} <> <<ENT>> \ud7ff end."
)
PIECES = [
    *HOSTILE_TEXT.split(),
    *(HOSTILE_TEXT[i : i + 25] for i in range(0, len(HOSTILE_TEXT), 11)),
    "Marie Curie",
    "MARIE  CURIE",
    "Albert Einstein",
    "{text}",
    "<>",
    "none",
    "Who did what to whom, and when?",
    "Find everything that the text says",
    "",
    " ",
    "\x00",
    "\ud800",
    "x" * 700,
    "ab " * 300,
    "東京",
    "москва",
]
STRINGS = st.one_of(st.sampled_from(PIECES), st.text(max_size=30))
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), STRINGS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


def replies(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that are mostly of the schema's shape."""
    if schema["type"] == "object":
        fields = {name: replies(of) for name, of in schema["properties"].items()}
        return st.one_of(st.fixed_dictionaries(fields), st.fixed_dictionaries(fields), JUNK)
    if schema["type"] == "array":
        several = st.lists(replies(schema["items"]), max_size=6)
        return st.one_of(several, several.map(lambda items: items * 20), JUNK)
    return st.one_of(STRINGS, STRINGS, STRINGS, JUNK)


def strings(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    items = value.values() if isinstance(value, dict) else value
    return set().union(*map(strings, items)) if isinstance(value, dict | list) else set()


def made(task: str, reply: str, text: str = HOSTILE_TEXT) -> tuple[list[Example], Ledger]:
    ledger = Ledger()
    row = Row("r", task, f"{task}.style", 5, text)
    lines = make_examples(row, Record("r", row.template, reply), Benchmarks(()), ledger)
    json.dumps(lines, ensure_ascii=False).encode("utf-8")
    return [Example.from_dict(line) for line in lines], ledger


def check(examples: list[Example], ledger: Ledger, said: set[str]) -> None:
    for example in examples:
        query = example.query
        asked = [*query.labels, *query.relations, *query.classes]
        assert asked
        assert all(label.strip() for label in asked)
        assert len(set(asked)) == len(asked)
        assert list(example.spans) == sorted(set(example.spans), key=example.spans.index)
        for span in example.spans:
            assert query.text[span.start : span.end] == span.text
            assert any(map(str.isalnum, span.text))
            assert normal(span.text) in said or ledger.statuses[Status.FUZZY]
    assert not ledger.drops["example: does not read back"]


@pytest.mark.parametrize("task", RECIPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_odd_replies_never_crash_and_keep_nothing_unsaid(task: str, data: st.DataObject) -> None:
    reply = data.draw(replies(RECIPES[task].schema))
    examples, ledger = made(task, json.dumps(reply))
    said = {normal(text).strip('" ') for text in strings(reply)} | {
        normal(text) for text in strings(reply)
    }
    check(examples, ledger, said)


@pytest.mark.parametrize("task", RECIPES)
@settings(max_examples=25, deadline=None)
@given(cut=st.integers(0, 400), junk=st.text(max_size=10))
def test_cut_and_broken_json_is_a_fault_with_a_cause(task: str, cut: int, junk: str) -> None:
    whole = json.dumps(REPLIES[task])
    reply = whole[: min(cut, len(whole) - 1)] + junk
    cause = fault(Row("r", task, f"{task}.style", 5, TEXT), Reply(reply), 1024)
    if cause:
        assert cause.startswith("reply: ")
        assert len(cause) < 80
    else:
        assert isinstance(json.loads(reply), dict)


HOSTILE = [
    ("", "reply: empty"),
    ("   \n", "reply: empty"),
    ("null", "reply: not an object"),
    ("[]", "reply: not an object"),
    ("{}", "reply: field missing"),
    ('{"entities": 3, "absent": []}', "reply: not a list"),
    ("[" * 100_000, "reply: not JSON"),
    ('{"entities": [' + "1" * 5000 + "]}", "reply: not JSON"),
    ("I cannot help with that.", "reply: not JSON"),
    ("x" * 1_000_000, "reply: too long"),
]


@pytest.mark.parametrize(("reply", "cause"), HOSTILE)
def test_useless_replies_are_named(reply: str, cause: str) -> None:
    row = Row("r", "entities", "ner.paper", 5, TEXT)
    assert fault(row, Reply(reply), 1024) == cause
    examples, ledger = made("entities", reply)
    assert not examples
    assert ledger.drops == {cause: 1}


@pytest.mark.parametrize("wrapped", ["```json\n{}\n```", "```\n{}\n```", "<think>a {{</think> {}"])
def test_fences_and_thoughts_around_json_are_taken_off(wrapped: str) -> None:
    reply = wrapped.replace("{}", json.dumps(REPLIES["entities"]))
    assert (
        made("entities", reply, TEXT)[0]
        == made("entities", json.dumps(REPLIES["entities"]), TEXT)[0]
    )


def test_ten_thousand_items_are_cut_to_what_was_asked_for() -> None:
    items = [quote(f"Warsaw{i}", label="city") for i in range(1990)]
    reply = {"entities": [quote("Warsaw", label="city"), *items], "absent": []}
    examples, ledger = made("entities", json.dumps(reply), TEXT)
    assert [span.text for span in examples[0].spans] == ["Warsaw"]
    assert ledger.drops == {"more items than asked for": 1966, "alignment: not found": 24}


def test_a_bad_item_costs_that_item_only() -> None:
    bad = [None, 3, "Warsaw", {"text": "Warsaw"}, quote("W" * 500, label="x"), quote("\ud800")]
    reply = {"entities": [*bad, quote("Warsaw", label="city")], "absent": [1, "river"]}
    (example,), ledger = made("entities", json.dumps(reply), TEXT)
    assert [span.text for span in example.spans] == ["Warsaw"]
    assert example.query.labels == ("city", "river")
    assert ledger.drops == {
        "not an object": 3,
        "field missing": 2,
        "string too long": 1,
        "not a string": 1,
    }


def test_an_invented_passage_in_another_language_is_not_found() -> None:
    reply = {"entities": [quote("Варшава", label="город"), quote("Varsovie", label="ville")]}
    examples, ledger = made("entity_types", json.dumps(reply), TEXT)
    assert not examples
    assert ledger.drops == {"alignment: not found": 2}


def test_a_text_of_repeats_is_aligned_in_bounded_time() -> None:
    text = "the cat and the dog " * 400
    items = [quote("the cat and a dog and the cat and the bird the cat and the dog", label="zoo")]
    examples, _ = made("entity_types", json.dumps({"entities": items * 40}), text)
    assert not examples
