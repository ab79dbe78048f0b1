"""The tasks: each asks a model about a text and reads what it finds as a result."""

from typing import Any

from glinermt.tasks.active_learning import suggest
from glinermt.tasks.classification import CLASSIFY, classify
from glinermt.tasks.entities import ENTITIES, extract_entities
from glinermt.tasks.instructions import (
    MATCHES,
    OPEN_ENTITIES,
    extract_matches,
    extract_open_entities,
)
from glinermt.tasks.keyphrases import KEYPHRASES, extract_keyphrases
from glinermt.tasks.questions import ANSWER, answer, answers
from glinermt.tasks.reading import read
from glinermt.tasks.records import RECORDS, extract_records
from glinermt.tasks.redaction import PII, redact
from glinermt.tasks.relations import RELATIONS, extract_relations
from glinermt.tasks.summaries import SUMMARIZE, summarize
from glinermt.tasks.task import Task

_ALL: tuple[Task[Any, Any], ...] = (
    ENTITIES,
    OPEN_ENTITIES,
    RELATIONS,
    ANSWER,
    SUMMARIZE,
    MATCHES,
    CLASSIFY,
    RECORDS,
    KEYPHRASES,
)
TASKS = {task.name: task for task in _ALL}

__all__ = [
    "PII",
    "TASKS",
    "Task",
    "answer",
    "answers",
    "classify",
    "extract_entities",
    "extract_keyphrases",
    "extract_matches",
    "extract_open_entities",
    "extract_records",
    "extract_relations",
    "read",
    "redact",
    "suggest",
    "summarize",
]
