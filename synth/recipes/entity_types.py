"""UniversalNER's types: short passages, every entity with an open type, nothing else asked.

Zhou et al. 2023, "UniversalNER", section 3: passages of at most 256 tokens.
"""

from typing import Any

from glinermt.synth.checks.filters import Ledger
from glinermt.synth.checks.mentions import entity_spans, plain_label
from glinermt.synth.recipes.base import LABEL, MENTION, Recipe, quotes
from glinermt.synth.schema import record
from glinermt.synth.source import Source
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.labels import read_labels
from glinermt.tasks.task import example
from glinermt.types import Example

PASSAGE_TOKENS = 256


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    spans = entity_spans(source, reply["entities"], ledger, label_of=plain_label)
    labels = list(dict.fromkeys(span.label for span in spans))
    return [example(ENTITIES, source.text, read_labels(labels), spans)] if spans else []


PROMPTS = {
    "plain": """
Given the passage below, extract all entities and name the type of each.

"entities" lists at most {count} of them in the order of the passage: "text" is the entity as it
is written there, "label" its type in one to three words. Types are up to you; a type says
something ("none", "misc" and "other" say nothing).
""",
    "question": """
Which entities does the passage below name, and what is each of them? Answer with "entities", at
most {count}, in the order of the passage: "text" copies the entity, "label" says in one to
three words what it is, as you would ask for it ("What describes ... in the passage?").
""",
}
GERMAN = {
    "plain": """
Finde alle benannten Dinge im folgenden Abschnitt und nenne von jedem den Typ. "entities" enthält
höchstens {count} davon in der Reihenfolge des Abschnitts: "text" genau wie im Text, "label" der
Typ auf Deutsch in ein bis drei Wörtern.
""",
}

RECIPE = Recipe(
    task="entities",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(entities=quotes(MENTION, 25, label=LABEL)),
    build=_build,
    typed=True,
    passage_tokens=PASSAGE_TOKENS,
)
