"""A job: what is done to which inputs, what tells it from others, and how its results look."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import glinermt
from glinermt.annotate.sources import Source, fingerprint
from glinermt.config import check_count
from glinermt.default_model import load_model
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
FORMATS = ("parquet", "jsonl")
OWN_COLUMNS = ("source", "row", "status", "error")
"""Columns that every output has, beside the result and what is kept of the input."""
_HASHED = 1 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """All that decides what an output row holds.

    Raises:
        ConfigError: an unknown task or format, or names of columns that contradict each other.
    """

    inputs: tuple[str, ...]
    task: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the task's function takes, by keyword, such as ``{"labels": ["person"]}``."""
    model: str | None = None
    """Folder or hub id; None = the shipped model."""
    precision: Literal["exact", "bf16", "int8"] = "exact"
    field: str = "text"
    """Column or key that holds the text."""
    keep: tuple[str, ...] | None = None
    """Input columns written beside the result, as ``input_NAME`` where the output has a NAME of its
    own; None = all."""
    result: str = "result"
    """Name of the result column."""
    format: str = "parquet"
    shard_rows: int = 1000
    max_chars: int = 2_000_000
    """A longer text is recorded as failed."""
    timeout: float = 0.0
    """Seconds that a row may take before it is recorded as failed; 0 = any time."""

    def __post_init__(self) -> None:
        if self.task not in FUNCTIONS:
            raise ConfigError(unknown_choice("task", self.task, FUNCTIONS))
        if self.format not in FORMATS:
            raise ConfigError(unknown_choice("format", self.format, FORMATS))
        check_count("shard_rows", self.shard_rows)
        check_count("max_chars", self.max_chars)
        if self.timeout < 0:
            raise ConfigError(f"timeout: expected seconds from 0 on, got {self.timeout}")
        if self.result in OWN_COLUMNS:
            raise ConfigError(f"result: {self.result!r} is a column of every output; name another")
        unknown = {"text", "model"} & self.arguments.keys()
        if unknown:
            raise ConfigError(f"arguments: {sorted(unknown)[0]!r} is not the task's to be given")

    def run(self, texts: list[str], model: Any) -> list[Any]:
        """Return the task's result for each text."""
        found: list[Any] = function_of(self.task)(text=texts, model=model, **self.arguments)
        return found

    def check(self, model: Any = None) -> None:
        """Try the task on a short text: arguments that it refuses would fail every row.

        Args:
            model: a loaded one; None = it is loaded for this.

        Raises:
            ConfigError: an argument that the task needs is missing, or one is not the task's.
            Exception: what the task or the model says of them.
        """
        function = function_of(self.task)
        try:
            inspect.signature(function).bind(text=[], model=None, **self.arguments)
        except TypeError as error:
            raise ConfigError(f"task {self.task!r}: arguments: {error}") from error
        self.run(["A text."], self.load_model() if model is None else model)

    def load_model(self, device: str | None = None, *, threads: int | None = None) -> Any:
        """Return the model that the job asks, loaded for inference; exports run without torch."""
        return load_model(self.model, device=device, precision=self.precision, threads=threads)


def function_of(task: str) -> Callable[..., Any]:
    """Return the public function of a task.

    Raises:
        ConfigError: there is no such task.
    """
    if task not in FUNCTIONS:
        raise ConfigError(unknown_choice("task", task, FUNCTIONS))
    function: Callable[..., Any] = getattr(glinermt, FUNCTIONS[task])
    return function


def describe(job: Job, sources: Sequence[Source]) -> dict[str, Any]:
    """Return what must be equal for two runs to be the same job: inputs, model, arguments.

    Reads every input once, for its hash.
    """
    data = {**asdict(job), "inputs": [fingerprint(source) for source in sources]}
    data["model"] = _model_fingerprint(job.model)
    data["glinermt"] = glinermt.__version__
    described: dict[str, Any] = json.loads(json.dumps(data, default=str))
    return described


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a line for each thing in which two descriptions differ."""
    return [
        f"{key} was {json.dumps(old.get(key))[:120]}, now {json.dumps(new.get(key))[:120]}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _model_fingerprint(model: str | None) -> str:
    folder = Path(glinermt.__file__).parent / "weights" if model is None else Path(model)
    if not folder.is_dir():
        return str(model)  # a hub id
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder)}\n".encode())
        with path.open("rb") as file:
            while block := file.read(_HASHED):
                digest.update(block)
    return digest.hexdigest()


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
        ("error", pa.string()),  # of on_invalid="keep"; null where the value is valid
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
