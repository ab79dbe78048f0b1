"""Records: a form that the LLM makes up for texts of a kind, and what the text fills in."""

import zlib
from collections import Counter
from typing import Any

from glinermt.synth.checks.align import Source, normal
from glinermt.synth.checks.filters import Ledger, clean_label, label_fault, piece_fault
from glinermt.synth.checks.mentions import matched_spans
from glinermt.synth.recipes.base import BEFORE, LABEL, MENTION, Recipe
from glinermt.synth.schema import record, several, text
from glinermt.tasks.labels import read_labels
from glinermt.types import Example, Query, Span

LEAST_FILLED = 2
"""Fields with a value that a form needs to say anything."""
MOST_SHARED = 2
"""Fields of which one piece of the text may be a value."""


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    fields: dict[str, str] = {}
    spans: list[Span] = []
    for item in reply["fields"]:
        name = clean_label(item["name"])
        wrong = label_fault(name, "")
        if any(normal(name) == normal(other) for other in fields):
            wrong = "field: repeated"
        if wrong:
            ledger.drop(wrong, name)
            continue
        own = matched_spans(source, item["values"], ledger, label=name, fault=piece_fault)
        if item["values"] and not own:
            ledger.drop("field: no value could be placed", name)
            continue
        fields[name] = " ".join(item["description"].split()).rstrip(".")
        spans += own
    if len({span.label for span in spans}) < LEAST_FILLED:
        ledger.drop("record: too few fields have a value", ", ".join(fields))
        return []
    shared = Counter((span.start, span.end) for span in spans)
    if max(shared.values()) > MOST_SHARED:
        ledger.drop("record: one piece for many fields", ", ".join(fields))
        return []
    described = zlib.crc32(source.text.encode()) % 2 == 0
    spec = {name: about if described else "" for name, about in fields.items()}
    asked = {label.name: label.asked for label in read_labels(spec)}
    labelled = sorted(
        (Span(s.start, s.end, s.text, asked[s.label]) for s in spans),
        key=lambda span: (span.start, span.end),
    )
    return [Example(Query(source.text, tuple(asked.values())), tuple(labelled), task="records")]


PROMPTS = {
    "form": """
Imagine a program that reads many texts of the same kind as the one below into a table. Make up
the columns of the table: "fields", four to {count}, each with a "name" of one to three words (such
as "invoice number", "date of birth", "main ingredient") and a "description" of one sentence.

In "values" copy what this text has for the field, each as short as a table cell would hold it,
with the few words right before it in "before". A field may have several values. Two or three
fields are usual for such texts and left open by this one: their "values" are empty.
""",
    "data": """
Design a data class for the thing that the text below is about (a person, product, event, case,
order, study, place, ...). "fields" lists at most {count} attributes with a "name" in plain words
and a "description" of what stands in it.

"values" holds the attribute's value or values, copied from the text letter by letter, and
"before" the words right before each. Include at least two attributes about which the text says
nothing, with empty "values".
""",
}
GERMAN = {
    "form": """
Stelle dir ein Programm vor, das viele Texte der Art des folgenden in eine Tabelle einliest.
Denke dir die Spalten aus: "fields", vier bis {count}, jede mit "name" (ein bis drei Wörter,
deutsch) und "description" (ein Satz).

Kopiere in "values", was der Text dafür enthält, so kurz wie in einer Tabelle, und in "before" die
Wörter unmittelbar davor. Zwei oder drei Felder sind bei solchen Texten üblich und bleiben hier
offen: ihre "values" sind leer.
""",
}

RECIPE = Recipe(
    task="records",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(
        fields=several(
            record(
                name=LABEL,
                description=text(200),
                values=several(record(before=BEFORE, text=MENTION), 6),
            ),
            12,
        )
    ),
    build=_build,
    counts=(6, 8, 12),
)
