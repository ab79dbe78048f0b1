"""Files of rows: JSON lines, plain or packed, and Parquet; read with file and line in every error.

    for number, row in read_jsonl(Path("train.jsonl.xz")):
        ...
    write_jsonl(Path("out.jsonl.zst"), rows)

Importing this module costs nothing: pyarrow and zstandard are imported when a file needs them.
"""

import contextlib
import gzip
import io
import json
import lzma
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

from glinermt.errors import BackendError, DataError

PACKED = ("", ".gz", ".xz", ".zst")
JSONL_ENDS = tuple(f".jsonl{packed}" for packed in PACKED)
TEXT_ENDS = tuple(f".txt{packed}" for packed in PACKED)
ENDS = (*JSONL_ENDS, ".parquet")
"""How the names of files end that ``read_jsonl`` reads."""
DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a packed file raises where it is not whole."""
_LINE_MARKS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}
"""Ends of lines to some programs; in JSON they may stand escaped."""


def data_files(path: Path, ends: Sequence[str] = ENDS) -> list[Path]:
    """Return the file itself, or the files of a folder whose names end so, sorted.

    Raises:
        DataError: there is no such file, or the folder has none.
    """
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"{path}: there is no such file; check the path")
        return [path]
    found = [child for child in sorted(path.iterdir()) if has_end(child, ends)]
    if not found:
        raise DataError(f"{path}: the folder has no file that ends in {', '.join(ends)}")
    return found


def has_end(path: Path, ends: Sequence[str]) -> bool:
    """Whether a file's name ends in one of these, in capitals too: ``SCAN.PDF``."""
    return path.name.casefold().endswith(tuple(ends))


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row with its number, from 1; blank lines are counted and passed over.

    The name says how the file is read: ``.parquet`` (what is null in a row is not in it), else JSON
    lines, unpacked where it ends in
    ``.gz``, ``.xz`` or ``.zst``.

    Raises:
        DataError: the file cannot be read, or a line is no JSON object; begins ``file:line:``.
        BackendError: the package that reads it is not installed.
    """
    if has_end(path, [".parquet"]):
        yield from _parquet_rows(path)
        return
    for number, line in read_lines(path):
        yield number, parse_row(line, f"{path}:{number}")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank with their numbers, from 1.

    A byte order mark at the beginning is left out. Lines end at newlines only, as in JSON lines.

    Raises:
        DataError: the file cannot be read, is damaged or is not UTF-8; begins ``file:line:``.
    """
    number = 0
    try:
        with _open(path) as stream:
            for number, raw in enumerate(stream, start=1):
                line = decoded(raw, f"{path}:{number}", first=number == 1)
                if line.strip():
                    yield number, line
    except DAMAGED as error:
        raise _unreadable(path, number, error) from error


def cut_unfinished(path: Path) -> None:
    """Remove a last line that a kill has left without an end; there need be no such file."""
    if path.is_file():
        with path.open("rb+") as stream:
            whole = sum(len(line) for line in stream if line.endswith(b"\n"))
            stream.truncate(whole)


def read_text(path: Path) -> str:
    """Return the whole file, unpacked.

    Raises:
        DataError: it cannot be read, is damaged or is not UTF-8; begins ``file:line:``.
    """
    try:
        with _open(path) as stream:
            content = stream.read()
    except DAMAGED as error:
        raise _unreadable(path, 0, error) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 text ({error}); convert it first") from error


def _unreadable(path: Path, number: int, error: Exception) -> DataError:
    """Return the error that says why a file cannot be read on from a line, and what to do."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: there is no such file; check the path")
    if path.is_dir():
        return DataError(f"{path}: it is a folder; name a file in it")
    return DataError(f"{path}:{number}: cannot be read ({error}); check that the file is whole")


def parse_row(line: str | bytes, where: str) -> dict[str, Any]:
    """Return the JSON object of a line.

    Raises:
        DataError: it is none; begins with ``where``.
    """
    try:
        row = json.loads(line)
    except RecursionError as error:
        raise DataError(f"{where}: nested too deeply to be read") from error
    except ValueError as error:  # bytes that are not UTF-8, too
        raise DataError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object, got {row!r:.80}")
    return row


def decoded(line: bytes, where: str, *, first: bool = False) -> str:
    """Return a line's text; a byte order mark is dropped from the first.

    Raises:
        DataError: it is not UTF-8; begins with ``where``.
    """
    try:
        return line.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text ({error}); convert it first") from error


def to_line(row: Any) -> bytes:
    """Return a value as one line of JSON in UTF-8, newline included.

    What UTF-8 cannot hold (lone surrogates) and what some programs take for the end of a line is
    escaped, so reading gives the same value.
    """
    text = json.dumps(row, ensure_ascii=False).translate(_LINE_MARKS)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write the rows as the name says, beside ``path`` first; return their number.

    Parquet has the columns of all rows; what a row does not have is null there.

    Raises:
        BackendError: the package that writes it is not installed.
        DataError: Parquet cannot hold the rows, such as a field of two types.
    """
    number = 0
    with write_beside(path) as beside:
        if has_end(path, [".parquet"]):
            return _write_parquet(beside, rows, path)
        with _open(beside, path.suffix.casefold(), "wb") as stream:
            for row in rows:
                stream.write(to_line(row))
                number += 1
    return number


@contextlib.contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """Write into the path given; if nothing goes wrong it takes the place of ``path`` at once.

    Whoever reads ``path``, at any moment, sees the old or the new file, whole. Its folder is made
    where it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    beside.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a whole text in place of ``path`` at once."""
    with write_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")


def check_header(names: Sequence[str], where: str) -> None:
    """Check that each column of a table has a name of its own: rows are read by these.

    Raises:
        DataError: two have one name, or none; begins with ``where``, counts columns from 1.
    """
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        other = first.setdefault(name, number)
        if other != number:
            what = f"are both called {name!r}" if name else "have no name"
            raise DataError(
                f"{where}: columns {other} and {number} {what}, so that one would be lost; rename "
                "it in the header"
            )


def pyarrow_parquet() -> Any:
    """Return the module ``pyarrow.parquet``.

    Raises:
        BackendError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # type: ignore[import-untyped]  # ships no types
    except ImportError as error:
        raise BackendError("Parquet needs pyarrow: pip install 'glinermt[synth]'") from error
    return pyarrow.parquet


def _open(path: Path, suffix: str | None = None, mode: str = "rb") -> IO[bytes]:
    suffix = path.suffix.casefold() if suffix is None else suffix
    if suffix == ".zst":
        return _open_zstd(path, mode)
    if suffix == ".xz":
        return cast("IO[bytes]", lzma.open(path, mode))
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, mode))
    return cast("IO[bytes]", path.open(mode))


def _open_zstd(path: Path, mode: str) -> IO[bytes]:
    if mode == "wb":
        return cast("IO[bytes]", _zstandard(str(path)).open(path, mode))
    return unpacked_zstd(path.open(mode), str(path))


def unpacked_zstd(stream: IO[bytes], name: str) -> IO[bytes]:
    """Return what a stream of zstd unpacks to; closing it closes the stream.

    Raises:
        BackendError: zstandard is not installed; begins with ``name``.
    """
    reader = _ZstdReader(stream, _zstandard(name))
    return cast("IO[bytes]", io.BufferedReader(reader, 1 << 16))


def _zstandard(name: str) -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise BackendError(f"{name}: needs zstandard: pip install 'glinermt[synth]'") from error
    return zstandard


class _ZstdReader(io.RawIOBase):
    """Frames of zstd, unpacked; raises where the last one breaks off, as zstandard does not."""

    def __init__(self, stream: IO[bytes], zstandard: Any) -> None:
        self._zstandard = zstandard
        self._file = stream
        self._frame: Any = None
        self._packed = b""
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            self._packed = self._packed or self._file.read(1 << 16)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the file ends within a zstd frame")
                return 0
            self._unpack()
        size = min(len(buffer), len(self._unpacked))
        buffer[:size], self._unpacked = self._unpacked[:size], self._unpacked[size:]
        return size

    def _unpack(self) -> None:
        self._frame = self._frame or self._zstandard.ZstdDecompressor().decompressobj()
        try:
            self._unpacked = memoryview(self._frame.decompress(self._packed))
        except self._zstandard.ZstdError as error:
            raise OSError(str(error)) from error
        self._packed = self._frame.unused_data
        if self._frame.eof:
            self._frame = None

    def close(self) -> None:
        self._file.close()
        super().close()


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    parquet = pyarrow_parquet()
    import pyarrow

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            check_header(file.schema_arrow.names, str(path))
            for batch in file.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {key: value for key, value in row.items() if value is not None}
    except (OSError, pyarrow.ArrowException) as error:
        raise _unreadable(path, number, error) from error


def _write_parquet(beside: Path, rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write rows with the columns of them all, which are known when the last one has been seen."""
    parquet = pyarrow_parquet()
    import pyarrow

    number, schema = 0, pyarrow.schema([])
    with tempfile.TemporaryFile(dir=path.parent) as seen:
        try:
            for chunk in _chunks(rows, 1000):
                seen.writelines(map(to_line, chunk))
                columns = dict.fromkeys(name for row in chunk for name in row)
                found = pyarrow.Table.from_pylist([columns | row for row in chunk]).schema
                schema = pyarrow.unify_schemas([schema, found], promote_options="permissive")
                number += len(chunk)
            seen.seek(0)
            with parquet.ParquetWriter(beside, schema) as writer:
                for chunk in _chunks(map(json.loads, seen), 1000):
                    writer.write_table(pyarrow.Table.from_pylist(chunk, schema=schema))
        except (pyarrow.ArrowException, UnicodeEncodeError) as error:
            raise DataError(
                f"{path}: Parquet cannot hold these rows ({error}); write JSON lines"
            ) from error
    return number


def _chunks(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(dict(row))
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
