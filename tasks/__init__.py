"""The six tasks: each asks the model about a text and reads the spans it finds as a result."""

from glinermt.tasks.answers import answer
from glinermt.tasks.entities import extract_entities
from glinermt.tasks.open_ie import extract_matches
from glinermt.tasks.open_ner import extract_open_entities
from glinermt.tasks.relations import extract_relations
from glinermt.tasks.summaries import summarize

TASKS = {
    "entities": extract_entities,
    "open_entities": extract_open_entities,
    "relations": extract_relations,
    "answer": answer,
    "summarize": summarize,
    "matches": extract_matches,
}

__all__ = [
    "TASKS",
    "answer",
    "extract_entities",
    "extract_matches",
    "extract_open_entities",
    "extract_relations",
    "summarize",
]
