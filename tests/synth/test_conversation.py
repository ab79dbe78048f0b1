"""Entity examples as chats: a question for each type."""

import json
from pathlib import Path
from typing import Any

from glinermt.synth.conversation import conversations, write_conversations


def line(id_: str, text: str, labels: list[str], spans: list[tuple[str, str]]) -> dict[str, Any]:
    found = [
        {"start": text.index(quote), "end": text.index(quote) + len(quote), "label": label}
        for quote, label in spans
    ]
    return {
        "id": id_,
        "task": "entities",
        "recipe": "entity_types",
        "text": text,
        "labels": labels,
        "spans": found,
    }


LINES = [
    line(
        "a",
        "Ada met Bob in Rome.",
        ["name", "city"],
        [("Ada", "name"), ("Bob", "name"), ("Rome", "city")],
    ),
    line("b", "The Nile is long.", ["river", "lake"], [("Nile", "river")]),
    {
        **line("c", "Ada met Bob.", ["match"], [("Ada", "match")]),
        "task": "open_entities",
        "recipe": "open_entities",
    },
]


def test_every_type_is_asked_with_its_mentions_and_absent_ones_with_none() -> None:
    first, second = conversations(lambda: LINES, seed=0)
    turns = [(turn["from"], turn["value"]) for turn in first["conversations"]]
    assert turns[:2] == [("human", "Text: Ada met Bob in Rome."), ("gpt", "I've read this text.")]
    answers = dict(zip([v for _, v in turns[2::2]], [v for _, v in turns[3::2]], strict=True))
    assert answers["What describes name in the text?"] == '["Ada", "Bob"]'
    assert answers["What describes city in the text?"] == '["Rome"]'
    assert set(answers.values()) <= {'["Ada", "Bob"]', '["Rome"]', "[]"}
    values = [turn["value"] for turn in second["conversations"]]
    assert values[values.index("What describes lake in the text?") + 1] == "[]"


def test_negatives_are_types_of_other_examples_and_the_same_each_time(tmp_path: Path) -> None:
    many = [line(f"r{i}", "The Nile is long.", ["river"], [("Nile", "river")]) for i in range(40)]
    chats = list(conversations(lambda: [*LINES, *many], seed=3))
    asked = {turn["value"] for chat in chats[2:] for turn in chat["conversations"]}
    assert "What describes city in the text?" in asked
    assert chats == list(conversations(lambda: [*LINES, *many], seed=3))
    assert write_conversations(lambda: [*LINES, *many], tmp_path / "chats.jsonl", seed=3) == 42
    written = (tmp_path / "chats.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(text) for text in written] == chats
