"""Where documents come from: files of many kinds, here or in an object store, and data sets."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from glinermt.errors import ConfigError, DataError

COMPRESSIONS = {".gz": "gzip", ".xz": "xz", ".bz2": "bz2", ".zst": "zstd"}
_HASHED = 1 << 20
"""Bytes that are hashed at a time."""
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
    ".md": "text",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One input file or data set."""

    path: str
    kind: str
    """``jsonl``, ``json`` (one list), ``parquet``, ``csv``, ``tsv``, ``text`` (the file is one
    document) or ``hub``."""
    compression: str | None = None

    @property
    def can_be_cut(self) -> bool:
        """Whether a worker can read a shard of it without all that stands before."""
        return self.kind == "parquet" or (self.kind == "jsonl" and self.compression is None)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a job reads."""

    sources: tuple[Source, ...]
    left_out: tuple[str, ...] = ()
    """Files in folders whose names say no kind that is known."""


def find_sources(inputs: Sequence[str], out: str) -> Inputs:
    """Return the inputs' files in a fixed order; a folder stands for all readable files below it.

    What lies in the output folder ``out`` is not read, nor are files whose names begin with a dot
    or an underscore. Nor is ``.json`` unless it is named itself: in a folder it may be anything.

    Raises:
        ConfigError: there is no input, one is the output folder or lies in it, or a file is given
            twice.
        DataError: an input is not there, holds nothing, or is of a kind that is not known.
    """
    if not inputs:
        raise ConfigError("annotating needs at least one input: a file, a folder, or hf://NAME")
    found = [_sources_of(given, out) for given in inputs]
    sources = tuple(source for each in found for source in each.sources)
    seen = set[str]()
    for source in sources:
        place = source.path if source.kind == "hub" else _file_system(source.path)[1]
        if place in seen:
            raise ConfigError(f"{source.path} is given twice; name it, or its folder, once")
        seen.add(place)
    return Inputs(sources, tuple(name for each in found for name in each.left_out))


def _sources_of(given: str, out: str) -> Inputs:
    if given.startswith("hf://") and not given.startswith("hf://datasets/"):
        return Inputs((Source(given, "hub"),))
    files, path = _file_system(given)
    out_files, out_path = _file_system(out)
    written = f"{out_path.rstrip('/')}/" if type(files) is type(out_files) else None
    if written and f"{path.rstrip('/')}/".startswith(written):
        raise ConfigError(f"{given} lies in the output folder {out}; name another one for it")
    if files.isdir(path):
        inside = sorted(p for p in files.find(path) if not (written and p.startswith(written)))
        shown = [p for p in inside if not p.rsplit("/", 1)[-1].startswith((".", "_"))]
        named = [files.unstrip_protocol(p) if "://" in given else p for p in shown]
        kinds = {p: _source(p) for p in named}
        found = tuple(source for source in kinds.values() if source and source.kind != "json")
        if not found:
            raise DataError(
                f"{given}: no .jsonl, .parquet, .csv, .tsv or .txt file in this folder; name .json "
                "files themselves"
            )
        read = {source.path for source in found}
        return Inputs(found, tuple(p for p in named if p not in read))
    if not files.exists(path):
        raise DataError(f"{given}: no such file or folder")
    source = _source(given if "://" in given else str(Path(given)))
    if source is None:
        raise DataError(
            f"{given}: not known by its name; expected .jsonl, .json, .parquet, .csv, .tsv or "
            f".txt, all but .parquet also with {', '.join(COMPRESSIONS)}"
        )
    return Inputs((source,))


def _file_system(path: str) -> tuple[Any, str]:
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error
    return found


def _source(path: str) -> Source | None:
    name, compression = path.lower(), None
    for ending, kind in COMPRESSIONS.items():
        if name.endswith(ending):
            name, compression = name.removesuffix(ending), kind
    for ending, kind in _SUFFIXES.items():
        if name.endswith(ending) and not (kind == "parquet" and compression):
            return Source(path, kind, compression)
    return None


def fingerprint(source: Source) -> dict[str, Any]:
    """Return what tells this input from another: path, size and SHA-256 of its bytes."""
    if source.kind == "hub":
        return {"path": source.path, **_hub_fingerprint(source)}
    digest, size = hashlib.sha256(), 0
    with fsspec.open(source.path, "rb") as file:  # as it is, packed or not
        while block := file.read(_HASHED):
            digest.update(block)
            size += len(block)
    return {"path": source.path, "size": size, "sha256": digest.hexdigest()}


def hub_parts(source: Source) -> tuple[str, str | None, str]:
    """Split ``hf://NAME[:CONFIG][@SPLIT]``."""
    name, _, split = source.path.removeprefix("hf://").partition("@")
    name, _, config = name.partition(":")
    return name, config or None, split or "train"


def _hub_fingerprint(source: Source) -> dict[str, Any]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    name, _, _ = hub_parts(source)
    try:
        return {"revision": HfApi().dataset_info(name).sha}
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise DataError(f"{source.path}: the hub does not answer for it: {error}") from error
