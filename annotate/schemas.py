"""What a result looks like in a column: one Arrow type a task, offsets as 32-bit numbers."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import glinermt
from glinermt.errors import ConfigError, unknown_choice

FUNCTIONS = {
    "entities": "extract_entities",
    "open_entities": "extract_open_entities",
    "relations": "extract_relations",
    "answer": "answer",
    "summarize": "summarize",
    "matches": "extract_matches",
    "classify": "classify",
    "records": "extract_records",
    "redact": "redact",
    "keyphrases": "extract_keyphrases",
}
"""Task -> the public function that does it."""


def function_of(task: str) -> Callable[..., Any]:
    """Return the public function of a task.

    Raises:
        ConfigError: there is no such task.
    """
    if task not in FUNCTIONS:
        raise ConfigError(unknown_choice("task", task, FUNCTIONS))
    function: Callable[..., Any] = getattr(glinermt, FUNCTIONS[task])
    return function


def result_type(task: str) -> Any:
    """Return the ``pyarrow.DataType`` of a task's result column."""
    import pyarrow as pa  # type: ignore[import-untyped]

    span = pa.struct(
        [
            ("start", pa.int32()),
            ("end", pa.int32()),
            ("text", pa.string()),
            ("label", pa.string()),
            ("score", pa.float32()),
        ]
    )
    spans = pa.list_(span)
    relation = [("head", span), ("label", pa.string()), ("tail", span), ("score", pa.float32())]
    record = [
        ("value", pa.string()),  # JSON of the validated value
        ("spans", pa.map_(pa.string(), spans)),
        ("score", pa.float32()),
    ]
    return {
        "entities": spans,
        "open_entities": spans,
        "matches": spans,
        "keyphrases": spans,
        "relations": pa.list_(pa.struct(relation)),
        "answer": pa.struct(
            [("span", span), ("score", pa.float32()), ("no_answer_score", pa.float32())]
        ),
        "summarize": pa.struct([("spans", spans), ("text", pa.string())]),
        "classify": pa.struct(
            [
                ("label", pa.string()),
                ("labels", pa.list_(pa.string())),
                ("scores", pa.map_(pa.string(), pa.float32())),
            ]
        ),
        "records": pa.list_(pa.struct(record)),
        "redact": pa.struct(
            [("text", pa.string()), ("spans", spans), ("replacements", pa.list_(pa.string()))]
        ),
    }[task]


def plain(result: Any) -> Any:
    """Return a result in lists, dicts and numbers, as JSON and the column take it."""
    if isinstance(result, list | tuple):
        return [plain(item) for item in result]
    data = dict(result.to_dict())
    if isinstance(data.get("value"), Mapping):  # a record: its fields differ from job to job
        data["value"] = json.dumps(data["value"], ensure_ascii=False, default=str)
    return data


def labels_and_scores(task: str, result: Any) -> list[tuple[str, float]]:
    """Return each thing found with its score, for the report's histograms; ``result`` is plain."""
    if result is None:
        return []
    if task == "answer":
        return [("answer", result["score"])] if result["span"] else [("no answer", 0.0)]
    if task == "classify":
        return [(label, result["scores"][label]) for label in result["labels"]]
    found = result["spans"] if isinstance(result, dict) else result
    return [(item.get("label", "record"), item["score"]) for item in found]
