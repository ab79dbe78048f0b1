"""Rows of documents, and the shards that sources are cut into.

A shard is a run of consecutive rows of one input. Parquet, and plain JSONL and text lines, are cut
by place, so that a worker reads its own part; what cannot be cut (CSV, lists in JSON, what is
compressed, data sets of the hub) is read once, by the driver, which hands each shard its rows.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import islice
from typing import IO, Any

import fsspec

from glinermt.annotate.sources import Source, hub_parts
from glinermt.csv_tables import csv_rows
from glinermt.errors import ConfigError, DataError, unknown_choice
from glinermt.jsonl import DAMAGED, check_header, unpacked_zstd

_LOOKED_AT = 1000
"""Rows of JSON that are looked at before a job begins."""
MOST_JSON = 100 << 20
"""Bytes of a list in JSON, which is read whole; its rows take some times as much."""


@dataclass(frozen=True, slots=True)
class Row:
    """One document: its place, the fields it came with, and what is wrong with it, if anything."""

    number: int
    """In its input, from 0 on."""
    fields: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive rows of one source."""

    name: str
    """Of its output file, without the ending: ``part-00002-00000017``, input and shard of it."""
    source: Source
    first: int
    """Number of the first row."""
    count: int
    offset: int = 0
    """Byte at which the first row begins, of plain lines."""
    rows: tuple[Row, ...] | None = field(default=None, compare=False)
    """The rows themselves, of a source that cannot be cut."""


def check_columns(sources: Sequence[Source], field: str, keep: Sequence[str]) -> None:
    """Check that an input has the column of the texts, and one each column to keep.

    Rows of JSON may have any, so that of these the first 1,000 are asked for the texts.

    Raises:
        ConfigError: no input has it.
    """
    _check_columns(sources, [field], "column of texts", _keys)
    _check_columns(sources, keep, "column to keep", _columns)


def _check_columns(
    sources: Sequence[Source],
    wanted: Sequence[str],
    what: str,
    columns: Callable[[Source], Collection[str] | None],
) -> None:
    missing, there = set(wanted), set[str]()
    for source in sources:
        if not missing:
            return
        names = columns(source)
        if names is None:
            return
        there.update(names)
        missing -= there
    if missing and there:  # else all inputs are empty
        raise ConfigError(unknown_choice(what, min(missing), there))


def _keys(source: Source) -> Collection[str] | None:
    """Return the names that a source's first rows have, None where none of them can be read."""
    if source.kind == "json":
        rows = list(islice(_json_rows(source), _LOOKED_AT))
    elif source.kind == "jsonl":
        with _opened(source) as file:
            rows = [_json_row(number, line) for number, line in enumerate(_lines(file, _LOOKED_AT))]
    else:
        return _columns(source)
    return {name for row in rows for name in row.fields} or None


def _columns(source: Source) -> Collection[str] | None:
    """Return the names of a source's columns, None where rows may differ."""
    if source.kind == "parquet":
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        with _opened(source) as file:
            return list(pq.read_schema(file).names)
    if source.kind in ("csv", "tsv"):
        with _table(source) as table:
            return _header(table)
    return ("text",) if source.kind == "text" else None


def cut(source: Source, index: int, shard_rows: int) -> Iterator[Shard]:
    """Yield the source's shards, in order, with at most so many rows each."""
    if source.kind == "parquet":
        yield from _cut_parquet(source, index, shard_rows)
    elif source.can_be_cut:
        yield from _cut_lines(source, index, shard_rows)
    else:
        rows = _all_rows(source)
        number = 0
        while chunk := tuple(islice(rows, shard_rows)):
            yield Shard(_name(index, number), source, chunk[0].number, len(chunk), rows=chunk)
            number += 1


def read(shard: Shard) -> Iterator[Row]:
    """Yield the rows of a shard."""
    if shard.rows is not None:
        yield from shard.rows
    elif shard.source.kind == "parquet":
        yield from _parquet_rows(shard)
    else:
        with _opened(shard.source) as file:
            file.seek(shard.offset)
            for number, line in enumerate(_lines(file, shard.count), start=shard.first):
                yield _json_row(number, line)


def _name(index: int, number: int) -> str:
    return f"part-{index:05d}-{number:08d}"


def _cut_lines(source: Source, index: int, shard_rows: int) -> Iterator[Shard]:
    with _opened(source) as file:
        offset = first = number = 0
        while True:
            count, size = 0, 0
            for line in _lines(file, shard_rows):
                count, size = count + 1, size + len(line)
            if not count:
                return
            yield Shard(_name(index, number), source, first, count, offset)
            offset, first, number = offset + size, first + count, number + 1


def _lines(file: IO[bytes], count: int) -> Iterator[bytes]:
    """Yield up to so many lines, blank ones too: they count as rows, so that places stay."""
    for _ in range(count):
        line = file.readline()
        if not line:
            return
        yield line


def _cut_parquet(source: Source, index: int, shard_rows: int) -> Iterator[Shard]:
    import pyarrow.parquet as pq

    with _opened(source) as file:
        parquet = pq.ParquetFile(file)
        check_header(parquet.schema_arrow.names, source.path)
        total = parquet.metadata.num_rows
    for number, first in enumerate(range(0, total, shard_rows)):
        count = min(shard_rows, total - first)
        yield Shard(_name(index, number), source, first, count)


def _parquet_rows(shard: Shard) -> Iterator[Row]:
    """Read only the row groups that hold the shard."""
    table = parquet_table(shard)
    try:
        rows = table.to_pylist()
    except UnicodeDecodeError:  # Parquet does not check its strings; which rows are they in?
        for i in range(table.num_rows):
            yield _checked_row(shard.first + i, table.slice(i, 1))
        return
    for i, fields in enumerate(rows):
        yield Row(shard.first + i, fields)


def _checked_row(number: int, table: Any) -> Row:
    """Return the only row of a table; strings that are not UTF-8 are bytes."""
    import pyarrow as pa

    fields = {}
    for name in table.column_names:
        column = table.column(name)
        try:
            (fields[name],) = column.to_pylist()
        except UnicodeDecodeError as error:
            if pa.types.is_nested(column.type):
                return Row(number, {}, f"column {name!r} is not UTF-8 text: {error}")
            (fields[name],) = column.cast(pa.large_binary()).to_pylist()
    return Row(number, fields)


def parquet_table(shard: Shard) -> Any:
    """Return the shard's rows as they stand in the file, types and all (a ``pyarrow.Table``)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _opened(shard.source) as file:
        parquet = pq.ParquetFile(file)
        begin, skip = 0, 0
        groups: list[int] = []
        for group in range(parquet.num_row_groups):
            size = parquet.metadata.row_group(group).num_rows
            if begin + size > shard.first and begin < shard.first + shard.count:
                if not groups:
                    skip = shard.first - begin
                groups.append(group)
            begin += size
        # A row group can be large; only the wanted batches of it are kept.
        parts, seen, end = [], 0, skip + shard.count
        for batch in parquet.iter_batches(batch_size=1024, row_groups=groups):
            low, high = max(skip - seen, 0), min(end - seen, batch.num_rows)
            if low < high:
                parts.append(batch.slice(low, high - low))
            seen += batch.num_rows
            if seen >= end:
                break
        return pa.Table.from_batches(parts, schema=parquet.schema_arrow)


def _all_rows(source: Source) -> Iterator[Row]:
    if source.kind == "hub":
        yield from (Row(i, fields) for i, fields in enumerate(_hub_rows(source)))
    elif source.kind == "text":
        with _opened(source) as file:
            yield _text_row(file.read())
    elif source.kind in ("csv", "tsv"):
        yield from _csv_rows(source)
    elif source.kind == "json":
        yield from _json_rows(source)
    else:
        with _opened(source) as file:
            for number, line in enumerate(iter(file.readline, b"")):
                yield _json_row(number, line)


def _json_row(number: int, line: bytes) -> Row:
    if not line.strip():
        return Row(number, {}, "the line is empty")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:  # bytes that are not UTF-8, too
        return Row(number, {}, f"not JSON: {type(error).__name__}: {str(error)[:200]}")
    if not isinstance(fields, dict):
        return Row(number, {}, f"expected a JSON object, got {type(fields).__name__}")
    return Row(number, fields)


def _json_rows(source: Source) -> Iterator[Row]:
    """Yield the objects of a list; or the lines, as some write JSON lines under this name, too.

    Raises:
        DataError: it is larger than ``MOST_JSON``, or no JSON.
    """
    with _opened(source) as file:
        data = file.read(MOST_JSON + 1)
    if len(data) > MOST_JSON:
        raise DataError(
            f"{source.path}: larger than {MOST_JSON >> 20} MiB, and a list in JSON is read whole; "
            "write its objects as JSON lines, which are not: jq -c '.[]'"
        )
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        if _json_row(0, data.lstrip().partition(b"\n")[0]).error:
            raise DataError(f"{source.path}: not JSON: {error}; check that it is whole") from error
        yield from (_json_row(number, line) for number, line in enumerate(data.splitlines()))
        return
    for number, fields in enumerate(found if isinstance(found, list) else [found]):
        if isinstance(fields, dict):
            yield Row(number, fields)
        else:
            yield Row(number, {}, f"expected a JSON object, got {type(fields).__name__}")


def _text_row(data: bytes) -> Row:
    try:
        return Row(0, {"text": data.decode("utf-8-sig")})
    except UnicodeDecodeError as error:
        return Row(0, {}, f"not UTF-8 text: {error}")


def _csv_rows(source: Source) -> Iterator[Row]:
    with _table(source) as table:
        header = _header(table)
        check_header(header, f"{source.path}:1")
        for number, (_, values, is_open) in enumerate(table):
            fields = {name: values[i] if i < len(values) else None for i, name in enumerate(header)}
            more = values[len(header) :]
            error = f"more fields than the header names: {more!r:.80}" if more else ""
            if is_open:
                error = "a quote is opened in it that nothing closes up to the end of the file"
            yield Row(number, fields, error)


def _header(table: Iterator[tuple[int, list[str], bool]]) -> list[str]:
    """Take the names of the columns; none of an empty file. Pandas leaves its index without one."""
    return next((names for _, names, _ in table), [])


@contextmanager
def _table(source: Source) -> Iterator[Iterator[tuple[int, list[str], bool]]]:
    with (
        _opened(source) as file,
        TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        yield csv_rows(text, "\t" if source.kind == "tsv" else None)


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    """Open an input, unpacked.

    Raises:
        DataError: it cannot be read, or what is read of it while it is open is damaged.
    """
    packed = None if source.compression == "zstd" else source.compression
    try:
        with fsspec.open(source.path, "rb", compression=packed) as file:
            if source.compression == "zstd":
                file = unpacked_zstd(file, source.path)
            yield file
    except _damage(source) as error:
        why = str(error) or type(error).__name__
        raise DataError(
            f"{source.path}: cannot be read ({why}); check that the file is whole"
        ) from error


def _damage(source: Source) -> tuple[type[Exception], ...]:
    """Return what is raised where a file of this kind is not whole."""
    if source.kind != "parquet":
        return DAMAGED
    import pyarrow as pa

    return (OSError, pa.ArrowException)


def _hub_rows(source: Source) -> Iterator[dict[str, Any]]:
    try:
        from datasets import load_dataset  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            "hf:// inputs need the package datasets: pip install 'glinermt[annotate]'"
        ) from error
    name, config, split = hub_parts(source)
    try:
        yield from load_dataset(name, config, split=split, streaming=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{source.path}: cannot be loaded: {error}") from error
