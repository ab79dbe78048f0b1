"""The output folder: what is done, what was replied, what was made of it.

    part-N.*                 the training data, made from work/raw/part-N.jsonl
    manifest.json            settings, fingerprint, counts of the plan, the shards that are done
    work/plan.jsonl          every row that is asked for
    work/raw/part-N.jsonl    replies, appended as they come

So the folder as it is can be trained on: what is no example stands below ``work``.

A file of examples or the manifest is written beside and renamed, so at any moment a shard is done,
or what was replied to it is kept and the rest is asked for by the next run.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from glinermt.errors import DataError
from glinermt.jsonl import (
    cut_unfinished,
    pyarrow_parquet,
    read_jsonl,
    to_line,
    write_beside,
    write_jsonl,
    write_text,
)
from glinermt.synth.engines.ask import Record

MANIFEST = "manifest.json"
_SPAN = {"start": "int64", "end": "int64", "label": "string"}
COLUMNS: dict[str, Any] = {
    "text": "string",
    "labels": ["string"],
    "prompt": "string",
    "relation_labels": ["string"],
    "class_labels": ["string"],
    "across_lines": "bool",
    "entities": [_SPAN],
    "spans": [_SPAN],
    "task": "string",
    "relations": [{"head": _SPAN, "label": "string", "tail": _SPAN}],
    "classes": ["string"],
    "silent": [["int64"]],
    "judged": [["int64"]],
    "multi_label": "bool",
    "id": "string",
    "recipe": "string",
}
"""The fields of examples and their types: a list of one, or an object with its fields."""


class Store:
    """The folder of one run."""

    def __init__(self, folder: Path, format_: str) -> None:
        self.folder = folder
        self.plan = folder / "work" / "plan.jsonl"
        self._format = format_
        self._raw: dict[str, IO[bytes]] = {}
        """Files of replies that are open."""

    def read_manifest(self) -> dict[str, Any] | None:
        """Return the manifest, None where no run was begun.

        Raises:
            DataError: it is damaged.
        """
        file = self.folder / MANIFEST
        if not file.is_file():
            return None
        try:
            manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            manifest["fingerprint"], manifest["plan"], manifest["shards"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file}:0: damaged ({error}); --force begins anew") from error
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        write_text(self.folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")

    def set_aside(self, name: str) -> None:
        """Move an earlier run into the folder ``name``: replies that were paid for are kept."""
        old = self.folder / name
        number = 1
        while old.exists():
            number += 1
            old = self.folder / f"{name}-{number}"
        old.mkdir()
        # The manifest last: killed on the way, the next run knows that there is something left.
        for child in sorted(self.folder.iterdir(), key=lambda path: path.name == MANIFEST):
            if child.name != ".lock" and not child.name.startswith("old-"):
                child.rename(old / child.name)

    def has_replies(self) -> bool:
        return (self.folder / "work" / "raw").exists()

    def examples_file(self, shard: str) -> Path:
        return self.folder / f"{shard}.{self._format}"

    def raw_file(self, shard: str) -> Path:
        return self.folder / "work" / "raw" / f"{shard}.jsonl"

    def read_records(self, shard: str) -> dict[str, Record]:
        """Return the shard's records by row, the last where a row was asked again.

        A last line that was cut by a kill is removed.

        Raises:
            DataError: another line is damaged.
        """
        file = self.raw_file(shard)
        if not file.is_file():
            return {}
        cut_unfinished(file)
        records: dict[str, Record] = {}
        with file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    record = Record(**json.loads(line))
                except (ValueError, TypeError) as error:
                    raise DataError(f"{file}:{number}: damaged ({error}); delete it") from error
                records[record.id] = record
        return records

    def append_record(self, shard: str, record: Record) -> None:
        """Write down what was replied to a row of the shard; it is in the file at once."""
        if shard not in self._raw:
            file = self.raw_file(shard)
            file.parent.mkdir(parents=True, exist_ok=True)
            self._raw[shard] = file.open("ab")
        self._raw[shard].write(to_line(record.to_dict()))
        self._raw[shard].flush()

    def close(self, *shards: str) -> None:
        """Close the replies of these shards; without any, those of all."""
        for shard in shards or tuple(self._raw):
            if stream := self._raw.pop(shard, None):
                stream.close()

    def write_examples(self, shard: str, lines: list[dict[str, Any]]) -> None:
        file = self.examples_file(shard)
        file.parent.mkdir(exist_ok=True)
        if self._format == "parquet":
            _write_parquet(file, lines)
        else:
            write_jsonl(file, lines)

    def read_examples(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of all shards that the manifest names."""
        manifest = self.read_manifest()
        for shard in sorted(manifest["shards"]) if manifest else ():
            yield from self.read_shard(shard)

    def read_shard(self, shard: str) -> Iterator[dict[str, Any]]:
        return (row for _, row in read_jsonl(self.examples_file(shard)))


def _arrow(pyarrow: Any, of: Any) -> Any:
    """Return a field's type as pyarrow has it."""
    if isinstance(of, list):
        return pyarrow.list_(_arrow(pyarrow, of[0]))
    if isinstance(of, dict):
        return pyarrow.struct([(name, _arrow(pyarrow, inner)) for name, inner in of.items()])
    return pyarrow.type_for_alias(of)


def _write_parquet(file: Path, lines: list[dict[str, Any]]) -> None:
    parquet = pyarrow_parquet()
    import pyarrow  # type: ignore[import-untyped]  # ships no types

    schema = pyarrow.schema([(name, _arrow(pyarrow, of)) for name, of in COLUMNS.items()])
    unknown = {name for line in lines for name in line} - set(schema.names)
    if unknown:  # pyarrow would leave them out without a word
        raise DataError(f"{file}:0: Parquet has no column for {', '.join(sorted(unknown))}")
    with write_beside(file) as beside:
        parquet.write_table(pyarrow.Table.from_pylist(lines, schema=schema), beside)
