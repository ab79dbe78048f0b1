"""NER as in the paper: the LLM names the types itself, and types that the text does not have."""

from typing import Any

from glinermt.synth.checks.filters import clean_label, label_fault
from glinermt.synth.checks.ledger import Ledger
from glinermt.synth.checks.mentions import entity_spans, plain_label
from glinermt.synth.recipes.base import LABEL, MENTION, Recipe, quotes
from glinermt.synth.schema import record, several
from glinermt.synth.source import Source
from glinermt.tasks.entities import example
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
    return [example(source.text, spans, labels)] if spans else []


def _doubt(source: Source, label: str, labels: list[str]) -> str | None:
    """Say why a label may not be absent."""
    if label in labels:
        return "negative: is there"
    return "negative: its name is in the text" if source.says(label) else None


RECIPE = Recipe(
    "ner",
    record(entities=quotes(MENTION, 25, label=LABEL), absent=several(LABEL, 8)),
    _build,
)
