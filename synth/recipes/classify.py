"""Classification: label sets that the LLM makes up, with near misses, and texts that none fits."""

import zlib
from typing import Any

from glinermt.synth.checks.align import Source, normal
from glinermt.synth.checks.filters import (
    NOTHING_KEPT,
    Ledger,
    clean_label,
    label_fault,
    stands_in,
)
from glinermt.synth.recipes.base import LABEL, Recipe
from glinermt.synth.schema import record, several, text
from glinermt.tasks.classification import CLASSIFY, Classes
from glinermt.tasks.labels import read_labels
from glinermt.tasks.task import example
from glinermt.types import Example

LEAST_CLASSES = 2


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    found: list[Example] = []
    described = zlib.crc32(source.text.encode()) % 2 == 0
    for item in reply["label_sets"]:
        classes = _classes(item["classes"], ledger)
        holding = [clean_label(name) for name in item["holding"]]
        if wrong := _fault(list(classes), holding):
            ledger.drop(wrong, ", ".join(classes))
            continue
        spec = {name: about if described else "" for name, about in classes.items()}
        gold = list(dict.fromkeys(holding))
        asked = Classes(tuple(read_labels(spec)), multi_label=len(gold) != 1)
        found.append(example(CLASSIFY, source.text, asked, gold))
    if found and not any(one.classes for one in found):
        ledger.drop(NOTHING_KEPT)
        return []
    return found


def _classes(items: list[dict[str, str]], ledger: Ledger) -> dict[str, str]:
    """Return the classes with their descriptions, those with a fault left out."""
    classes: dict[str, str] = {}
    for item in items:
        name = clean_label(item["name"])
        wrong = label_fault(name, "")
        if any(normal(name) == normal(other) for other in classes):
            wrong = "class: repeated"
        if wrong:
            ledger.drop(wrong, name)
        else:
            classes[name] = " ".join(item["description"].split()).rstrip(".")
    return classes


def _fault(classes: list[str], holding: list[str]) -> str | None:
    if len(classes) < LEAST_CLASSES:
        return "classes: too few"
    if 2 * sum(any(stands_in(name, one) for one in ASKED) for name in classes) > len(classes):
        return "classes: copied from the recipe"
    if any(name not in classes for name in holding):
        return "classes: what holds is none of them"
    if len(set(holding)) == len(classes):
        return "classes: all hold"
    return None


PROMPTS = {
    "schemes": """
Make up two or three ways to sort texts like the one below, as a user of such texts would want
them sorted: by subject, kind of text, intention, opinion, urgency, audience, or whatever suits.

Each way is an item of "label_sets". Its "classes" are three to seven classes, each with a "name"
of one to four words and a "description" of one sentence; most are tempting for this text and
wrong, so that only careful reading tells them apart. "holding" lists the names of those that
hold, which is one in most ways.

In one of the ways nothing holds: its classes fit texts of this kind, not this text, and
"holding" is empty.
""",
    "questions": """
Think of two or three questions about the text below whose answer is one of a few fixed choices,
such as "What is it about?", "How does the writer feel?", "What should be done with it?".

For each question give the choices in "classes": three to seven, with a short "name" and a
"description" that says in one sentence when it is chosen. Make the wrong choices hard: near the
right one, and all plausible. "holding" names the right choice, or all that are right.

For the last question no choice is right, and "holding" is empty.
""",
}
GERMAN = {
    "schemes": """
Denke dir zwei oder drei Arten aus, Texte wie den folgenden zu sortieren, so wie es jemand
brauchen würde, der mit solchen Texten arbeitet: nach Thema, Textsorte, Absicht, Haltung,
Dringlichkeit oder Zielgruppe.

Jede Art ist ein Eintrag in "label_sets". "classes" sind drei bis sieben Klassen mit "name" (ein
bis vier Wörter, deutsch) und "description" (ein Satz); die meisten liegen nahe und sind falsch.
"holding" nennt die Namen der zutreffenden, meist eine.

Bei einer der Arten trifft keine Klasse zu, und "holding" ist leer.
""",
}

ASKED = (*PROMPTS.values(), *GERMAN.values())

RECIPE = Recipe(
    task="classify",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(
        label_sets=several(
            record(
                classes=several(record(name=LABEL, description=text(200)), 7),
                holding=several(LABEL, 4),
            ),
            3,
        )
    ),
    build=_build,
    category="text-classification",
)
