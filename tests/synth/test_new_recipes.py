"""Recipes beyond the paper's: classes, records, judged pairs, key phrases, personal data."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from glinermt.errors import ConfigError
from glinermt.synth.checks.align import Source
from glinermt.synth.checks.filters import Ledger
from glinermt.synth.recipes import RECIPES
from glinermt.synth.schema import fit
from glinermt.synth.settings import Settings
from glinermt.types import Example
from tests.synth.golden import REPLIES, TEXT, quote

NEW = ("classify", "records", "relation_pairs", "keyphrases", "redact")


def build(name: str, reply: dict[str, Any]) -> tuple[list[Example], Ledger]:
    ledger = Ledger()
    fitted = fit(reply, RECIPES[name].schema, ledger.drop)
    return RECIPES[name].build(Source(TEXT), fitted, ledger), ledger


def labelled(example: Example) -> list[tuple[str, str]]:
    text = example.query.text
    assert all(text[s.start : s.end] == s.text for s in example.spans)
    return [(span.text, span.label.split(":")[0]) for span in example.spans]


@pytest.mark.parametrize("name", NEW)
def test_the_golden_reply_gives_examples_of_the_recipes_task_that_read_back(name: str) -> None:
    examples, ledger = build(name, REPLIES[name])
    assert examples
    assert not ledger.drops
    for example in examples:
        assert example.task == RECIPES[name].task
        assert Example.from_dict(json.loads(json.dumps(example.to_dict()))) == example


def test_of_each_label_set_what_holds_is_gold_and_perhaps_nothing() -> None:
    (first, second), _ = build("classify", REPLIES["classify"])
    names = [name.split(":")[0] for name in first.query.classes]
    assert names == ["biography", "obituary", "lab report"]
    assert [name.split(":")[0] for name in first.classes] == ["biography"]
    assert second.classes == ()
    assert not first.multi_label
    assert second.multi_label  # none holds, which softmax cannot say


CLASS_FAULTS = [
    ({"holding": ["novel"]}, "classes: what holds is none of them"),
    ({"holding": ["biography", "obituary", "lab report"]}, "classes: all hold"),
    ({"classes": [{"name": "biography", "description": "x"}]}, "classes: too few"),
    (
        {"classes": [{"name": n, "description": ""} for n in ("Subject", "kind of text", "tone")]},
        "classes: copied from the recipe",
    ),
    ({"holding": []}, "negative: nothing else of the reply is kept"),
]


@pytest.mark.parametrize(("change", "cause"), CLASS_FAULTS)
def test_label_sets_that_say_nothing_are_dropped(change: dict[str, Any], cause: str) -> None:
    first = {**REPLIES["classify"]["label_sets"][0], **change}
    examples, ledger = build("classify", {"label_sets": [first]})
    assert not examples
    assert ledger.drops == {cause: 1}


def test_fields_of_a_record_are_labels_with_or_without_values() -> None:
    (example,), _ = build("records", REPLIES["records"])
    assert [label.split(":")[0] for label in example.query.labels] == [
        "place of birth", "award", "salary"
    ]  # fmt: skip
    assert labelled(example) == [("Warsaw", "place of birth"), ("Nobel Prize", "award")]


def test_a_field_whose_values_are_invented_is_no_negative() -> None:
    reply = copy.deepcopy(REPLIES["records"])
    reply["fields"][2]["values"] = [quote("a million francs")]
    (example,), ledger = build("records", reply)
    assert len(example.query.labels) == 2
    assert ledger.drops["field: no value could be placed"] == 1


def test_a_record_whose_fields_all_have_the_same_value_is_dropped() -> None:
    reply = copy.deepcopy(REPLIES["records"])
    for field in reply["fields"]:
        field["values"] = [quote("Warsaw", "was born in")]
    examples, ledger = build("records", reply)
    assert not examples
    assert ledger.drops == {"record: one piece for many fields": 1}


def test_judged_pairs_are_kept_with_what_holds_and_nothing_is_said_of_others() -> None:
    (example,), _ = build("relation_pairs", REPLIES["relation_pairs"])
    entities = [span.text for span in example.query.entities or ()]
    assert entities == ["Marie Curie", "Warsaw", "Paris"]
    assert example.query.relations == ("born in", "spouse", "works for")
    assert [(r.head.text, r.label, r.tail.text) for r in example.relations] == [
        ("Marie Curie", "born in", "Warsaw")
    ]
    assert example.judged == ((0, 1), (1, 2))


def test_pairs_without_any_relation_need_one_that_has() -> None:
    reply = copy.deepcopy(REPLIES["relation_pairs"])
    reply["pairs"] = reply["pairs"][1:]
    assert build("relation_pairs", reply)[0] == []


def test_personal_data_is_replaced_wherever_it_stands() -> None:
    (example,), _ = build("redact", REPLIES["redact"])
    assert "Curie" not in example.query.text
    assert example.query.text.startswith("Eva Moss was born in Warsaw in 1867. She")
    assert labelled(example) == [
        ("Eva Moss", "person"), ("Eva Moss", "person"), ("Karl Moss", "person"),
        ("Karl Moss", "person"),
    ]  # fmt: skip
    assert "iban" in example.query.labels


SURROGATE_FAULTS = [
    ({"surrogate": "  "}, "surrogate: empty"),
    ({"surrogate": "Marie Curie Moss"}, "surrogate: holds the value"),
    ({"surrogate": "Karl Moss"}, "surrogate: that of another value"),
]


@pytest.mark.parametrize(("change", "cause"), SURROGATE_FAULTS)
def test_a_text_that_would_keep_somebodys_data_is_dropped_whole(
    change: dict[str, str], cause: str
) -> None:
    items = REPLIES["redact"]["items"][::-1]
    examples, ledger = build("redact", {"items": [items[0], {**items[1], **change}]})
    assert not examples
    assert ledger.drops == {cause: 1}


def test_a_value_that_stands_in_another_form_too_is_nobodys_training_data() -> None:
    text = "Sarah Miller called. Signed: SARAH MILLER."
    source = Source(text)
    items = [quote("Sarah Miller", label="person", surrogate="Eva Moss")]
    ledger = Ledger()
    assert not RECIPES["redact"].build(source, {"items": items}, ledger)
    assert ledger.drops == {"surrogate: the value stands in the text in another form, too": 1}


def test_a_value_that_was_quoted_wrongly_is_not_left_in_the_text_as_no_personal_data() -> None:
    pierre = REPLIES["redact"]["items"][1]
    wrong = quote("Dr. Marie Curie", label="person", surrogate="Dr. Eva Moss")
    examples, ledger = build("redact", {"items": [wrong, pierre]})
    assert not examples
    assert ledger.drops["surrogate: a value that was not placed may stand in the text"] == 1
    invented = quote("Albert Einstein", label="person", surrogate="Jan Ek")
    examples, _ = build("redact", {"items": [*REPLIES["redact"]["items"], invented]})
    assert len(examples) == 1


def test_a_part_of_a_name_has_the_part_of_its_surrogate() -> None:
    last = quote("Curie", "1903 Marie", label="person", surrogate="Berg")
    items = [REPLIES["redact"]["items"][0], last]
    examples, ledger = build("redact", {"items": items})
    assert not examples
    assert ledger.drops == {"surrogate: not consistent": 1}
    items[1] = {**last, "surrogate": "Moss"}
    assert "Curie" not in build("redact", {"items": items})[0][0].query.text


def test_every_recipe_asks_in_german_too(tmp_path: Path) -> None:
    for name, recipe in RECIPES.items():
        for style in recipe.prompts["de"]:
            assert "{count}" not in recipe.filled("de", style, text="x", count=3), name
    with pytest.raises(ConfigError, match="no prompts in language 'fr'; it has de, en"):
        Settings(texts=(str(tmp_path),), language="fr")
