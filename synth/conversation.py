"""Entity examples as chats for tuning LLMs: a question for each type, a JSON list as answer.

The format of Zhou et al. 2023, "UniversalNER", section 4, with negative types drawn as often as
they are found elsewhere.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from glinermt.jsonl import write_jsonl

Lines = Callable[[], Iterable[Mapping[str, Any]]]
"""A function that returns the examples, each time anew."""
DRAWS = 4
"""Labels drawn for each negative, as some of them are in the example."""


def conversations(lines: Lines, *, seed: int, negatives: float = 1.0) -> Iterator[dict[str, Any]]:
    """Yield a chat for each entity example, in their order.

    Args:
        lines: the examples; they are read twice.
        seed: draws the negatives.
        negatives: questions without an answer for each with one, on top of labels that the
            example itself asks for in vain.
    """
    frequency = Counter(
        label
        for line in lines()
        if _of_entities(line)
        for label in {span["label"] for span in line["spans"]}
    )
    names, weights = list(frequency), list(frequency.values())
    for line in lines():
        if not _of_entities(line):
            continue
        draw = Random(f"{seed} {line['id']}")
        found = _mentions(line)
        wanted = round(negatives * len(found))
        drawn = dict.fromkeys(draw.choices(names, weights, k=DRAWS * wanted))
        others = [label for label in drawn if label not in line["labels"]][:wanted]
        asked = (*line["labels"], *others)
        questions = [(label, found.get(label, [])) for label in asked]
        draw.shuffle(questions)
        yield {"id": line["id"], "conversations": _turns(line["text"], questions)}


def write_conversations(lines: Lines, file: Path, *, seed: int) -> int:
    """Write a chat a line, beside ``file`` first; give their number."""
    return write_jsonl(file, conversations(lines, seed=seed))


def _of_entities(line: Mapping[str, Any]) -> bool:
    return bool(line["task"] == "entities")


def _mentions(line: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return each label's mentions, each once, in the order of the text."""
    found: dict[str, dict[str, None]] = {}
    for span in line["spans"]:
        found.setdefault(span["label"], {})[line["text"][span["start"] : span["end"]]] = None
    return {label: list(mentions) for label, mentions in found.items()}


def _turns(text: str, questions: Iterable[tuple[str, list[str]]]) -> list[dict[str, str]]:
    turns = [("human", f"Text: {text}"), ("gpt", "I've read this text.")]
    for label, mentions in questions:
        turns.append(("human", f"What describes {label} in the text?"))
        turns.append(("gpt", json.dumps(mentions, ensure_ascii=False)))
    return [{"from": speaker, "value": value} for speaker, value in turns]
