"""Key phrases: the noun phrases that say what a text is about."""

from typing import Any

from glinermt.synth.checks.align import Source, normal
from glinermt.synth.checks.filters import Ledger, mention_fault
from glinermt.synth.checks.mentions import matched_spans
from glinermt.synth.recipes.base import MENTION, Recipe, quotes
from glinermt.synth.schema import record
from glinermt.tasks.keyphrases import KEYPHRASES, LABEL, Phrases
from glinermt.tasks.task import example
from glinermt.types import Example, Span

LEAST = 2
"""Phrases that a text needs; who finds fewer has not read it."""


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    spans = matched_spans(source, reply["phrases"], ledger, label=LABEL, fault=mention_fault)
    kept: list[Span] = []
    for span in spans:
        if any(normal(span.text) == normal(other.text) for other in kept):
            ledger.drop("phrase: repeated", span.text)
        else:
            kept.append(span)
    if len(kept) < LEAST:
        ledger.drop("phrases: too few", ", ".join(span.text for span in kept))
        return []
    return [example(KEYPHRASES, source.text, Phrases(len(kept)), kept)]


PROMPTS = {
    "index": """
Make the index entries of the text below: the terms under which a librarian would file it. Copy at
most {count} noun phrases into "phrases", the ones without which the text would be about something
else, in the order of the text and each once. A phrase has one to five words; no sentences, no
words that any text has.
""",
    "search": """
Which words would somebody type to find exactly the text below? Copy them from it: at most {count}
short noun phrases in "phrases" (names, technical terms, things and topics), most telling ones only,
in the order of the text, none twice, with the few words right before each in "before".
""",
}
GERMAN = {
    "index": """
Erstelle die Registereinträge des folgenden Textes: die Begriffe, unter denen man ihn ablegen
würde. Kopiere höchstens {count} Nominalphrasen in "phrases", die ohne die der Text von etwas
anderem handeln würde, in der Reihenfolge des Textes, jede einmal; ein bis fünf Wörter, keine Sätze.
""",
}

RECIPE = Recipe(
    task="keyphrases",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(phrases=quotes(MENTION, 15)),
    build=_build,
    counts=(5, 8, 12),
)
