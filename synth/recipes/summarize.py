"""Extractive summaries: sentences or phrases of the text, and how a user would ask for them."""

import zlib
from dataclasses import replace
from typing import Any

from glinermt.synth.checks.align import Source
from glinermt.synth.checks.filters import Ledger, piece_fault, prompt_fault, summary_fault
from glinermt.synth.checks.mentions import matched_spans
from glinermt.synth.recipes.base import PROMPT, SENTENCE, Recipe, quotes
from glinermt.synth.schema import record
from glinermt.tasks.summaries import LABEL, SUMMARIZE, Budget
from glinermt.tasks.task import example
from glinermt.types import Example


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    spans = matched_spans(source, reply["summary"], ledger, label=LABEL, fault=piece_fault)
    if not spans:
        return []
    if wrong := summary_fault(source, [(span.start, span.end) for span in spans]):
        ledger.drop(wrong, " ".join(span.text for span in spans)[:100])
        return []
    made = example(SUMMARIZE, source.text, Budget(), spans)
    asked = reply["instruction"]
    if wrong := prompt_fault(source, asked):
        ledger.drop(wrong, asked)
        return [made]
    return [_asked_by_user(made, asked) if zlib.crc32(source.text.encode()) % 2 else made]


def _asked_by_user(made: Example, instruction: str) -> Example:
    """Put the LLM's instruction for the standard one: half of the texts train either."""
    return replace(made, query=replace(made.query, prompt=instruction))


PROMPTS = {
    "focus": """
Think of one aspect of the text below that a reader may care about. Write an "instruction" that
asks to sum up what the text says about it. Copy the sentences or clauses that do so into
"summary", in the order of the text, at most four and less than half of the text.
""",
    "phrases": """
Sum up the text below in phrases taken from it: three to six clauses or noun phrases with its
most important information, each copied letter by letter into "summary", in the order of the
text, none longer than a sentence. All together they must be shorter than a third of the text.

"instruction" is the sentence with which a user would ask for such key points.
""",
    "sentences": """
Choose the sentences that sum up the text below: the two to four that somebody who reads nothing
else should read. Copy each whole sentence into "summary", in the order of the text. All
together they must be shorter than half of the text.

"instruction" is the sentence with which a user would ask for this summary.
""",
}
GERMAN = {
    "sentences": """
Wähle die zwei bis vier Sätze, die den folgenden Text zusammenfassen, und kopiere sie ganz in
"summary", in der Reihenfolge des Textes; zusammen kürzer als die Hälfte des Textes.

"instruction" ist der deutsche Satz, mit dem man um diese Zusammenfassung bitten würde.
""",
}

RECIPE = Recipe(
    task="summarize",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(instruction=PROMPT, summary=quotes(SENTENCE, 8)),
    build=_build,
    category="summarization",
)
