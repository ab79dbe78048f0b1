"""A text, a good reply of an LLM for each recipe, and texts to plan with."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from glinermt.synth.backends.base import Reply, Request

TEXT = (
    "Marie Curie was born in Warsaw in 1867. She moved to Paris, where she studied physics. "
    "In 1903 Marie Curie won the Nobel Prize with Pierre Curie, her husband. Pierre Curie died "
    "in Paris after a street accident. Her notebooks are still kept in boxes lined with lead, "
    "because they remain radioactive."
)


def quote(text: str, before: str = "", **fields: str) -> dict[str, str]:
    return {"before": before, "text": text, **fields}


REPLIES: dict[str, dict[str, Any]] = {
    "entities": {
        "entities": [
            quote("Marie Curie", label="physicist"),
            quote("Warsaw", "was born in", label="city"),
            quote("Paris", "She moved to", label="city"),
            quote("nobel prize", "won the", label="Award"),
        ],
        "absent": ["river", "software"],
    },
    "entity_types": {"entities": [quote("Warsaw", label="city"), quote("1867", label="MISC")]},
    "entity_definitions": {
        "entities": [quote("Warsaw", definition="A large settlement where people live.")]
    },
    "open_entities": {
        "specification": "Find the places where one scientist lived",
        "entities": [quote("Warsaw", "born in"), quote("Paris", "moved to")],
        "absent_specification": "Find the ships that were sunk in battle",
    },
    "relations": {
        "relations": [
            {
                "before_head": "",
                "head": "Marie Curie",
                "relation": "born in",
                "before_tail": "was born in",
                "tail": "Warsaw",
            },
            {
                "before_head": "",
                "head": "Marie Curie",
                "relation": "spouse",
                "before_tail": "Prize with",
                "tail": "Pierre Curie",
            },
        ],
        "absent": [{"head": "Pierre Curie", "relation": "born in"}],
    },
    "summarize": {
        "instruction": "Sum up the life of the scientist",
        "summary": [
            quote(
                "In 1903 Marie Curie won the Nobel Prize with Pierre Curie, her husband.",
                "studied physics.",
            )
        ],
    },
    "answer": {
        "questions": [
            {"question": "Where was Marie Curie born?", **quote("Warsaw", "was born in")},
            {"question": "Where did Pierre Curie die?", **quote("Paris", "Pierre Curie died in")},
        ],
        "unanswerable": ["Which school did her daughter attend?"],
    },
    "classify": {
        "label_sets": [
            {
                "classes": [
                    {"name": "biography", "description": "The text tells a person's life."},
                    {"name": "Obituary", "description": "It reports a recent death."},
                    {"name": "lab report", "description": "It describes an experiment."},
                ],
                "holding": ["biography"],
            },
            {
                "classes": [
                    {"name": "complaint", "description": "Somebody is not satisfied."},
                    {"name": "request", "description": "Somebody asks for something."},
                ],
                "holding": [],
            },
        ]
    },
    "records": {
        "fields": [
            {
                "name": "place of birth",
                "description": "Where the person was born.",
                "values": [quote("Warsaw", "was born in")],
            },
            {
                "name": "Award",
                "description": "Prizes won.",
                "values": [quote("Nobel Prize", "won the")],
            },
            {"name": "salary", "description": "What the person earns.", "values": []},
        ]
    },
    "relation_pairs": {
        "relations": ["born in", "spouse", "works for"],
        "pairs": [
            {
                "before_head": "",
                "head": "Marie Curie",
                "before_tail": "was born in",
                "tail": "Warsaw",
                "holding": ["born in"],
            },
            {
                "before_head": "lead, because",
                "head": "Warsaw",
                "before_tail": "moved to",
                "tail": "Paris",
                "holding": [],
            },
        ],
    },
    "keyphrases": {
        "phrases": [quote("Nobel Prize", "won the"), quote("notebooks", "Her")],
    },
    "redact": {
        "items": [
            quote("Marie Curie", label="person", surrogate="Eva Moss"),
            quote("Pierre Curie", "Prize with", label="person", surrogate="Karl Moss"),
        ]
    },
    "matches": {
        "requests": [
            {
                "instruction": "Find every reason that the text gives",
                "matches": [quote("because they remain radioactive", "lined with lead,")],
            }
        ],
        "absent_instruction": "Find every statement about costs",
    },
}


class Script:
    """An LLM that answers every request with the golden reply; fails where told to."""

    def __init__(self, failing: Sequence[str] = (), error: str = "") -> None:
        self.requests: list[Request] = []
        self.failing = set(failing)
        self._error = error

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        self.requests.extend(requests)
        for i, request in enumerate(requests):
            if request.recipe in self.failing:
                text = "" if self._error else '{"cut": [1, 2'
                yield i, Reply(text, 10, 5, self._error, transient=bool(self._error))
            else:
                yield i, Reply(json.dumps(REPLIES[request.recipe]), 10, 5)


def write_texts(file: Path, number: int) -> Path:
    """Write so many different texts, each holding the golden one."""
    with file.open("w", encoding="utf-8") as stream:
        for i in range(number):
            words = " ".join(f"Note{i}x{j}" for j in range(60))
            stream.write(json.dumps({"text": f"{TEXT} {words} is how it ends."}) + "\n")
    return file
