"""Open information extraction: instructions the LLM makes up, and the pieces that match them."""

from typing import Any

from glinermt.synth.checks.align import Source, normal
from glinermt.synth.checks.filters import NOTHING_KEPT, Ledger, piece_fault, prompt_fault
from glinermt.synth.checks.mentions import matched_spans
from glinermt.synth.recipes.base import PROMPT, SENTENCE, Recipe, quotes
from glinermt.synth.schema import record, several
from glinermt.tasks.instructions import LABEL, MATCHES, Instruction
from glinermt.tasks.task import example
from glinermt.types import Example


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    found: list[Example] = []
    seen: set[str] = set()
    for item in reply["requests"]:
        asked = item["instruction"]
        spans = matched_spans(source, item["matches"], ledger, label=LABEL, fault=piece_fault)
        wrong = prompt_fault(source, asked, tuple(span.text for span in spans), ASKED)
        if normal(asked) in seen:
            wrong = "prompt: repeated"
        seen.add(normal(asked))
        if wrong:
            ledger.drop(wrong, asked)
        elif spans:
            found.append(example(MATCHES, source.text, Instruction(asked), spans))
    absent = reply["absent_instruction"]
    wrong = prompt_fault(source, absent, asked=ASKED) if found else NOTHING_KEPT
    if normal(absent) in seen:
        wrong = "negative: is there"
    if wrong:
        ledger.drop(wrong, absent)
    else:
        found.append(example(MATCHES, source.text, Instruction(absent), ()))
    return found


PROMPTS = {
    "analyst": """
You are an analyst who marks pieces of documents. For the text below write two or three marking
instructions that fit its subject ("Mark every statement about costs") and mark for each what it
asks for: "matches", at most {count} clauses or phrases, copied letter by letter.

"absent_instruction" is a marking instruction from the same field for which this text has
nothing to mark.
""",
    "requests": """
Make up two or three requests for information that the text below can serve, as different as
possible: reasons, consequences, descriptions, conditions, opinions, steps, comparisons.

Each has an "instruction", one imperative sentence such as "Find all reasons given for the
delay", and "matches": the pieces of the text that serve it, at most {count}, each copied letter
by letter, as short as can be understood.

"absent_instruction" is one more request that sounds natural for this text, but that nothing in
it serves.
""",
}
GERMAN = {
    "requests": """
Denke dir zwei oder drei Bitten um Auskunft aus, denen der folgende Text dienen kann: Gründe,
Folgen, Beschreibungen, Bedingungen, Meinungen, Schritte.

Jede hat eine "instruction", einen deutschen Satz wie "Finde alle Gründe für die Verspätung", und
"matches": die Stücke des Textes, die ihr dienen, höchstens {count}, kopiert und so kurz wie
möglich. "absent_instruction" ist eine weitere Bitte, der nichts im Text dient.
""",
}

ASKED = (*PROMPTS.values(), *GERMAN.values())

RECIPE = Recipe(
    task="matches",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(
        requests=several(record(instruction=PROMPT, matches=quotes(SENTENCE, 12)), 3),
        absent_instruction=PROMPT,
    ),
    build=_build,
    counts=(4, 6, 8),
)
