"""Open NER: the LLM specifies a set of entities ("all products of one company") and lists it."""

from typing import Any

from glinermt.synth.checks.align import Source, normal
from glinermt.synth.checks.filters import NOTHING_KEPT, Ledger, mention_fault, prompt_fault
from glinermt.synth.checks.mentions import matched_spans
from glinermt.synth.recipes.base import MENTION, PROMPT, Recipe, quotes
from glinermt.synth.schema import record
from glinermt.tasks.instructions import LABEL, OPEN_ENTITIES, Instruction
from glinermt.tasks.task import example
from glinermt.types import Example


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    found: list[Example] = []
    asked = reply["specification"]
    spans = matched_spans(source, reply["entities"], ledger, label=LABEL, fault=mention_fault)
    if wrong := prompt_fault(source, asked, tuple(span.text for span in spans), ASKED):
        ledger.drop(wrong, asked)
    elif spans:
        found.append(example(OPEN_ENTITIES, source.text, Instruction(asked), spans))
    absent = reply["absent_specification"]
    wrong = prompt_fault(source, absent, asked=ASKED) if found else NOTHING_KEPT
    if normal(absent) == normal(asked):
        wrong = "negative: is there"
    if wrong:
        ledger.drop(wrong, absent)
    else:
        found.append(example(OPEN_ENTITIES, source.text, Instruction(absent), ()))
    return found


PROMPTS = {
    "role": """
Describe a role or a property that some things named in the text below share, and that is
narrower than a type: not "people" but "people who opposed the plan".

"specification" asks for them in one imperative sentence without naming any of them. "entities"
lists them, at most {count}, copied from the text.

"absent_specification" asks for things with another property, which nothing in the text has.
""",
    "set": """
Think of a user who wants one particular set of things out of the text below, such as all
products of one company, everyone who took part in an event, or all places north of a river.

Write the request in "specification" as one imperative sentence; it must not contain any of the
things it asks for. List what belongs to the set in "entities", at most {count}, each copied
from the text.

In "absent_specification" write a second request of the same kind that sounds natural for this
text, but to which the text contains nothing.
""",
}
GERMAN = {
    "set": """
Stelle dir jemanden vor, der eine bestimmte Menge von Dingen aus dem folgenden Text braucht, etwa
alle Produkte einer Firma. Schreibe die Bitte als einen deutschen Satz in "specification"; sie
nennt keines der Dinge. Liste in "entities" höchstens {count} davon, aus dem Text kopiert.

Schreibe in "absent_specification" eine zweite solche Bitte, zu der der Text nichts enthält.
""",
}

ASKED = (*PROMPTS.values(), *GERMAN.values())

RECIPE = Recipe(
    task="open_entities",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(specification=PROMPT, entities=quotes(MENTION, 25), absent_specification=PROMPT),
    build=_build,
)
