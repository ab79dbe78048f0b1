"""glinermt: entities, relations, answers and summaries from one model.

The model and the task functions are imported on first use, so that ``import glinermt`` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glinermt.config import ModelConfig, TaskSettings
from glinermt.errors import (
    BackendError,
    CheckpointError,
    ConfigError,
    DataError,
    GlinerMTError,
    UntrainableError,
    UsageError,
)
from glinermt.types import (
    Answer,
    Ask,
    Classification,
    Example,
    Extractor,
    Found,
    Query,
    Reading,
    Record,
    Redaction,
    Relation,
    Span,
    Summary,
    to_json,
)

if TYPE_CHECKING:
    from glinermt.model import GlinerMT
    from glinermt.tasks import (
        answer,
        answers,
        classify,
        extract_entities,
        extract_keyphrases,
        extract_matches,
        extract_open_entities,
        extract_records,
        extract_relations,
        read,
        redact,
        suggest,
        summarize,
    )
    from glinermt.tasks.active_learning import Suggestion
    from glinermt.training.adapt.fine_tuning import Tuning, fine_tune

__version__ = "0.2.0"

_LAZY = {
    "GlinerMT": "glinermt.model",
    "Suggestion": "glinermt.tasks.active_learning",
    "Tuning": "glinermt.training.adapt.fine_tuning",
    "answer": "glinermt.tasks",
    "answers": "glinermt.tasks",
    "classify": "glinermt.tasks",
    "extract_entities": "glinermt.tasks",
    "extract_keyphrases": "glinermt.tasks",
    "extract_matches": "glinermt.tasks",
    "extract_open_entities": "glinermt.tasks",
    "extract_records": "glinermt.tasks",
    "extract_relations": "glinermt.tasks",
    "fine_tune": "glinermt.training.adapt.fine_tuning",
    "read": "glinermt.tasks",
    "redact": "glinermt.tasks",
    "suggest": "glinermt.tasks",
    "summarize": "glinermt.tasks",
}

__all__ = [
    "Answer",
    "Ask",
    "BackendError",
    "CheckpointError",
    "Classification",
    "ConfigError",
    "DataError",
    "Example",
    "Extractor",
    "Found",
    "GlinerMT",
    "GlinerMTError",
    "ModelConfig",
    "Query",
    "Reading",
    "Record",
    "Redaction",
    "Relation",
    "Span",
    "Suggestion",
    "Summary",
    "TaskSettings",
    "Tuning",
    "UntrainableError",
    "UsageError",
    "answer",
    "answers",
    "classify",
    "extract_entities",
    "extract_keyphrases",
    "extract_matches",
    "extract_open_entities",
    "extract_records",
    "extract_relations",
    "fine_tune",
    "read",
    "redact",
    "suggest",
    "summarize",
    "to_json",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'glinermt' has no attribute {name!r}")
    try:
        return getattr(import_module(_LAZY[name]), name)
    except ModuleNotFoundError as error:
        if name != "GlinerMT" or error.name != "torch":
            raise
        from glinermt.exported import ExportedModel  # all that can be loaded without torch

        return ExportedModel


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
