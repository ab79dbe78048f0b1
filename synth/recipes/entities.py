"""NER as in the paper: the LLM names the types itself, and types that the text does not have."""

from typing import Any

from glinermt.synth.checks.align import Source
from glinermt.synth.checks.filters import Ledger, clean_label, label_fault
from glinermt.synth.checks.mentions import entity_spans, plain_label
from glinermt.synth.recipes.base import LABEL, MENTION, Recipe, quotes
from glinermt.synth.schema import record, several
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.labels import read_labels
from glinermt.tasks.task import example
from glinermt.types import Example


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    spans = entity_spans(source, reply["entities"], ledger, label_of=plain_label)
    labels = list(dict.fromkeys(span.label for span in spans))
    for given in reply["absent"]:
        label = clean_label(given)
        if wrong := label_fault(label, "") or _doubt(source, label, labels):
            ledger.drop(wrong, label)
        else:
            labels.append(label)
    return [example(ENTITIES, source.text, read_labels(labels), spans)] if spans else []


def _doubt(source: Source, label: str, labels: list[str]) -> str | None:
    """Say why a label may not be absent."""
    if label in labels:
        return "negative: is there"
    return "negative: its name is in the text" if source.says(label) else None


PROMPTS = {
    "fine": """
Read the text below as an expert in its subject. Mark the things it is about: people, groups,
places, works, products, events, substances, methods, dates, quantities, and whatever else its
subject has names for.

For each thing give "text" (copied) and "label": a fine-grained type in one to four words
("opera singer" rather than "person", "volcano" rather than "location"). At most {count} of
them, in the order of the text. A mention is short: a name or a noun phrase, no sentence.

"absent" lists types from the same field that an annotator would look for here and not find,
three to six of them.
""",
    "general": """
List the entities in the text below with general types such as person, organization, location,
date, event, product, work of art, law, language, number; make up a type where none of these
fits.

Give at most {count} entities in "entities", in the order of the text. "text" is the name as it
is written in the text, no more; "label" is its type.

"absent" holds three to six general types of which the text has no entity.
""",
    "paper": """
Label the named entities of the text below. Nobody gives you a list of types: for each entity
choose the type that a reader would find most telling, in one to three lower-case words, such as
"river", "football club" or "chemical compound". Do not always choose the most general type.

List up to {count} entities in "entities", in the order of the text, each as it is written
there, with its type in "label". Leave out pronouns, and never give a whole sentence.

In "absent" name three to six types of the same kind that this text mentions no entity of.
""",
}
GERMAN = {
    "general": """
Liste die Eigennamen und benannten Dinge des folgenden Textes mit allgemeinen Typen auf, etwa
Person, Organisation, Ort, Datum, Ereignis, Produkt, Kunstwerk, Gesetz, Sprache oder Zahl; erfinde
einen Typ, wo keiner passt.

Gib höchstens {count} in "entities", in der Reihenfolge des Textes. "text" ist der Name genau wie
im Text, "label" sein Typ auf Deutsch. "absent" enthält drei bis sechs Typen, von denen der Text
nichts hat.
""",
}

RECIPE = Recipe(
    task="entities",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(entities=quotes(MENTION, 25, label=LABEL), absent=several(LABEL, 8)),
    build=_build,
    typed=True,
)
