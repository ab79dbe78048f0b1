"""The recipes by name: the paper's six, named as their tasks are, and more. A new one is a file and
a line here.
"""

import warnings

from glinermt.synth.recipes import (
    answer,
    classify,
    entities,
    keyphrases,
    matches,
    open_entities,
    records,
    redact,
    relation_pairs,
    relations,
    summarize,
    universal_ner,
)
from glinermt.synth.recipes.base import Recipe

RECIPES: dict[str, Recipe] = {
    "entities": entities.RECIPE,
    "open_entities": open_entities.RECIPE,
    "relations": relations.RECIPE,
    "summarize": summarize.RECIPE,
    "answer": answer.RECIPE,
    "matches": matches.RECIPE,
    "classify": classify.RECIPE,
    "records": records.RECIPE,
    "relation_pairs": relation_pairs.RECIPE,
    "keyphrases": keyphrases.RECIPE,
    "redact": redact.RECIPE,
    "entity_types": universal_ner.TYPES,
    "entity_definitions": universal_ner.DEFINITIONS,
}

PAPERS = ("entities", "open_entities", "relations", "summarize", "answer", "matches")
OLD_NAMES = {
    "ner": "entities",
    "open_ner": "open_entities",
    "summarization": "summarize",
    "qa": "answer",
    "open_ie": "matches",
    "ner_types": "entity_types",
    "ner_definitions": "entity_definitions",
}
"""What recipes were called before each took the name of its task."""


def renamed(name: str) -> str:
    """Return a recipe's name of today, with a warning where an old one was given."""
    if name not in OLD_NAMES:
        return name
    warnings.warn(f"recipe {name!r} is now called {OLD_NAMES[name]!r}", FutureWarning, stacklevel=3)
    return OLD_NAMES[name]
