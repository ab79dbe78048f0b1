"""What the factory knows of a way to make examples: its prompts, its reply, what becomes of it.

A prompt says only what to do; the text follows it, so that rows of a prompt share a prefix.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from glinermt.synth.checks.align import Source
from glinermt.synth.checks.filters import Ledger
from glinermt.synth.schema import Schema, record, several, text
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
    """One way to make examples of a task."""

    task: str
    """Name of the task that the examples are of."""
    prompts: Mapping[str, Mapping[str, str]]
    """Language -> style -> what the LLM is told; ``{count}`` stands for the most items."""
    schema: Schema
    build: Build
    typed: bool = False
    """Whether its labels are types that the LLM chose, which the report counts."""
    category: str = "token-classification"
    """The task as the Hugging Face hub calls it."""
    passage_tokens: int | None = None
    """Longest passage in words and punctuation marks; None = the setting."""
    counts: tuple[int, ...] = (8, 12, 20)
    """How many items a prompt may ask for; drawn by seed."""

    def filled(self, language: str, style: str, *, text: str, count: int) -> str:
        """Return the prompt for a text; braces in the text mean nothing."""
        told = _unwrapped(self.prompts[language][style]).replace("{count}", str(count))
        return f"{told}\n\nText:\n{text}"


@cache
def _unwrapped(prompt: str) -> str:
    """Return a prompt with its paragraphs on a line each."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", prompt.strip()).replace("\n\n", "\n")


def quotes(quote: Schema, most: int, **fields: Schema) -> Schema:
    """Return the schema of a list of quotes, each with the words before it."""
    return several(record(before=BEFORE, text=quote, **fields), most)
