"""UniversalNER's two: open types, and definitions that are trained as labels; nothing else asked.

Zhou et al. 2023, "UniversalNER", section 3: passages of at most 256 tokens.
"""

from collections.abc import Mapping
from typing import Any

from glinermt.synth.checks.align import Source, normal
from glinermt.synth.checks.filters import MOST_DEFINITION_WORDS, Ledger, label_fault
from glinermt.synth.checks.mentions import entity_spans, plain_label
from glinermt.synth.recipes.base import LABEL, MENTION, Recipe, quotes
from glinermt.synth.schema import record, text
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.labels import read_labels
from glinermt.tasks.task import example
from glinermt.types import Example

PASSAGE_TOKENS = 256


def _build_types(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    spans = entity_spans(source, reply["entities"], ledger, label_of=plain_label)
    labels = list(dict.fromkeys(span.label for span in spans))
    return [example(ENTITIES, source.text, read_labels(labels), spans)] if spans else []


TYPE_PROMPTS = {
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
TYPE_GERMAN = {
    "plain": """
Finde alle benannten Dinge im folgenden Abschnitt und nenne von jedem den Typ. "entities" enthält
höchstens {count} davon in der Reihenfolge des Abschnitts: "text" genau wie im Text, "label" der
Typ auf Deutsch in ein bis drei Wörtern.
""",
}

TYPES = Recipe(
    task="entities",
    prompts={"en": TYPE_PROMPTS, "de": TYPE_GERMAN},
    schema=record(entities=quotes(MENTION, 25, label=LABEL)),
    build=_build_types,
    typed=True,
    passage_tokens=PASSAGE_TOKENS,
)


def _definition(item: Mapping[str, Any], mention: str) -> tuple[str, str | None]:
    words = item["definition"].strip(" .").split()
    label = " ".join(words)
    if words and words[0] in ("A", "An", "The"):
        label = label[0].lower() + label[1:]
    if f" {normal(mention)} " in f" {normal(label)} ":
        return label, "label: contains the mention"
    return label, label_fault(label, mention, MOST_DEFINITION_WORDS)


def _build_definitions(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    spans = entity_spans(source, reply["entities"], ledger, label_of=_definition)
    labels = list(dict.fromkeys(span.label for span in spans))
    return [example(ENTITIES, source.text, read_labels(labels), spans)] if spans else []


DEFINITION_PROMPTS = {
    "dictionary": """
Write dictionary definitions for the kinds of entities that the passage below names. "entities"
lists at most {count} entities in the order of the passage: "text" copies the entity;
"definition" is one sentence of at most 15 words that is true of every entity of its kind and
does not mention this one. Use the same sentence for entities of the same kind.
""",
    "plain": """
Given the passage below, extract all entities. Instead of a type, define the kind of each in one
short sentence, such as "a person who rules a state" or "a body of water that flows into the
sea".

"entities" lists at most {count} of them in the order of the passage: "text" is the entity as it
is written there; "definition" says what kind of thing it is, for any passage, without naming
the entity.
""",
}
DEFINITION_GERMAN = {
    "plain": """
Finde alle benannten Dinge im folgenden Abschnitt. Statt eines Typs gib von jedem in einem kurzen
deutschen Satz an, was für eine Art von Ding es ist ("eine Person, die einen Staat regiert").
"entities" enthält höchstens {count} davon: "text" genau wie im Text, "definition" der Satz, ohne
das Ding zu nennen.
""",
}

DEFINITIONS = Recipe(
    task="entities",
    prompts={"en": DEFINITION_PROMPTS, "de": DEFINITION_GERMAN},
    schema=record(entities=quotes(MENTION, 20, definition=text(200))),
    build=_build_definitions,
    typed=True,
    passage_tokens=PASSAGE_TOKENS,
)
