"""The tasks: each asks a model about a text and reads what it finds as a result."""

from typing import Any

from glinermt.tasks.entities import ENTITIES, extract_entities
from glinermt.tasks.instructions import (
    MATCHES,
    OPEN_ENTITIES,
    extract_matches,
    extract_open_entities,
)
from glinermt.tasks.questions import ANSWER, answer, answers
from glinermt.tasks.records import RECORDS, extract_records
from glinermt.tasks.redaction import PII, redact
from glinermt.tasks.relations import RELATIONS, extract_relations
from glinermt.tasks.summaries import SUMMARIZE, summarize
from glinermt.tasks.task import Task

TASKS: dict[str, Task[Any, Any]] = {
    task.name: task
    for task in (ENTITIES, OPEN_ENTITIES, RELATIONS, ANSWER, SUMMARIZE, MATCHES, RECORDS)
}

__all__ = [
    "PII",
    "TASKS",
    "Task",
    "answer",
    "answers",
    "extract_entities",
    "extract_matches",
    "extract_open_entities",
    "extract_records",
    "extract_relations",
    "redact",
    "summarize",
]
