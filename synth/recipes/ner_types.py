"""UniversalNER's types: short passages, every entity with an open type, nothing else asked.

Zhou et al. 2023, "UniversalNER", section 3: passages of at most 256 tokens.
"""

from typing import Any

from glinermt.synth.checks.ledger import Ledger
from glinermt.synth.checks.mentions import entity_spans, plain_label
from glinermt.synth.recipes.base import LABEL, MENTION, Recipe, quotes
from glinermt.synth.schema import record
from glinermt.synth.source import Source
from glinermt.tasks.entities import example
from glinermt.types import Example

PASSAGE_TOKENS = 256


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    spans = entity_spans(source, reply["entities"], ledger, label_of=plain_label)
    labels = list(dict.fromkeys(span.label for span in spans))
    return [example(source.text, spans, labels)] if spans else []


RECIPE = Recipe(
    "ner_types", record(entities=quotes(MENTION, 25, label=LABEL)), _build, PASSAGE_TOKENS
)
