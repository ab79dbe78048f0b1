"""Open information extraction: instructions the LLM makes up, and the pieces that match them."""

from typing import Any

from glinermt.synth.checks.filters import NOTHING_KEPT, piece_fault, prompt_fault
from glinermt.synth.checks.ledger import Ledger
from glinermt.synth.checks.mentions import matched_spans
from glinermt.synth.recipes.base import PROMPT, SENTENCE, Recipe, quotes
from glinermt.synth.schema import record, several
from glinermt.synth.source import Source, normal
from glinermt.tasks.instructions import LABEL
from glinermt.tasks.open_ie import example
from glinermt.types import Example


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    found: list[Example] = []
    seen: set[str] = set()
    for item in reply["requests"]:
        asked = item["instruction"]
        spans = matched_spans(source, item["matches"], ledger, label=LABEL, fault=piece_fault)
        wrong = prompt_fault(source, asked, tuple(span.text for span in spans))
        if normal(asked) in seen:
            wrong = "prompt: repeated"
        seen.add(normal(asked))
        if wrong:
            ledger.drop(wrong, asked)
        elif spans:
            found.append(example(source.text, asked, spans))
    absent = reply["absent_instruction"]
    wrong = prompt_fault(source, absent) if found else NOTHING_KEPT
    if normal(absent) in seen:
        wrong = "negative: is there"
    if wrong:
        ledger.drop(wrong, absent)
    else:
        found.append(example(source.text, absent, ()))
    return found


RECIPE = Recipe(
    "open_ie",
    record(
        requests=several(record(instruction=PROMPT, matches=quotes(SENTENCE, 12)), 3),
        absent_instruction=PROMPT,
    ),
    _build,
    counts=(4, 6, 8),
)
