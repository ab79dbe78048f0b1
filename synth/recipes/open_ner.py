"""Open NER: the LLM specifies a set of entities ("all products of one company") and lists it."""

from typing import Any

from glinermt.synth.checks.filters import NOTHING_KEPT, mention_fault, prompt_fault
from glinermt.synth.checks.ledger import Ledger
from glinermt.synth.checks.mentions import matched_spans
from glinermt.synth.recipes.base import MENTION, PROMPT, Recipe, quotes
from glinermt.synth.schema import record
from glinermt.synth.source import Source, normal
from glinermt.tasks.instructions import LABEL
from glinermt.tasks.open_ner import example
from glinermt.types import Example


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    found: list[Example] = []
    asked = reply["specification"]
    spans = matched_spans(source, reply["entities"], ledger, label=LABEL, fault=mention_fault)
    if wrong := prompt_fault(source, asked, tuple(span.text for span in spans)):
        ledger.drop(wrong, asked)
    elif spans:
        found.append(example(source.text, asked, spans))
    absent = reply["absent_specification"]
    wrong = prompt_fault(source, absent) if found else NOTHING_KEPT
    if normal(absent) == normal(asked):
        wrong = "negative: is there"
    if wrong:
        ledger.drop(wrong, absent)
    else:
        found.append(example(source.text, absent, ()))
    return found


RECIPE = Recipe(
    "open_ner",
    record(specification=PROMPT, entities=quotes(MENTION, 25), absent_specification=PROMPT),
    _build,
)
