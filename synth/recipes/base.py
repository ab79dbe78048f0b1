"""What the factory knows of a task: how its replies look, and how they become examples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from glinermt.synth.checks.ledger import Ledger
from glinermt.synth.schema import Schema, record, several, text
from glinermt.synth.source import Source
from glinermt.types import Example

Build = Callable[[Source, dict[str, Any], Ledger], list[Example]]
"""(text, reply that fits the schema, ledger) -> examples, each checked."""

BEFORE = text(80)
MENTION = text(150)
SENTENCE = text(600)
LABEL = text(60)
PROMPT = text(300)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to make examples. Its prompt templates are ``prompts/<name>.<style>.txt``."""

    name: str
    schema: Schema
    build: Build
    passage_tokens: int | None = None
    """Longest passage in words and punctuation marks; None = the setting."""
    counts: tuple[int, ...] = (8, 12, 20)
    """How many items a prompt may ask for; drawn by seed."""


def quotes(quote: Schema, most: int, **fields: Schema) -> Schema:
    """Give the schema of a list of quotes, each with the words before it."""
    return several(record(before=BEFORE, text=quote, **fields), most)
