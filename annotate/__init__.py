"""Annotation jobs over millions of documents: resumable, on one machine or a Ray cluster.

    inputs -> shards of rows -> task function -> part-*.parquet | .jsonl, each whole or not there

The driver plans and watches; workers read their part of the input and write their shard, so that
a job that is killed loses the shards it was at, and doubles none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glinermt.annotate.job import Job
    from glinermt.annotate.report import Counts, Report
    from glinermt.annotate.run import Engine, annotate

__all__ = ["Counts", "Engine", "Job", "Report", "annotate"]

_LAZY = {"Job": "job", "Counts": "report", "Report": "report", "Engine": "run", "annotate": "run"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'glinermt.annotate' has no attribute {name!r}")
    return getattr(import_module(f"glinermt.annotate.{_LAZY[name]}"), name)
