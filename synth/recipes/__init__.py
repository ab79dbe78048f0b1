"""The recipes: the paper's six tasks and UniversalNER's two. A new one is a file and a line."""

from glinermt.synth.recipes import (
    ner,
    ner_definitions,
    ner_types,
    open_ie,
    open_ner,
    qa,
    relations,
    summarization,
)
from glinermt.synth.recipes.base import Recipe

RECIPES: dict[str, Recipe] = {
    "ner": ner.RECIPE,
    "open_ner": open_ner.RECIPE,
    "relations": relations.RECIPE,
    "summarization": summarization.RECIPE,
    "qa": qa.RECIPE,
    "open_ie": open_ie.RECIPE,
    "ner_types": ner_types.RECIPE,
    "ner_definitions": ner_definitions.RECIPE,
}

PAPERS = ("ner", "open_ner", "relations", "summarization", "qa", "open_ie")
