"""What the tests of jobs share: texts, labels, files written and read."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

LABELS = {"labels": ["person", "city"], "threshold": 0.5}

TEXTS = [f"bill gates founded microsoft in paris number {i}." for i in range(23)]

SHARD = "part-00000-00000000.jsonl"


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def written(out: Path) -> list[dict[str, Any]]:
    """Return all output rows in the order of the shards."""
    rows = []
    for path in sorted(out.glob("part-*")):
        if path.suffix == ".parquet":
            rows += pq.read_table(path).to_pylist()
        else:
            rows += [json.loads(line) for line in path.read_bytes().splitlines()]
    return rows
