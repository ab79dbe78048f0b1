"""A whole job: plan, go on where it was, watch, report."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import fsspec
from filelock import FileLock, Timeout

from glinermt.annotate.job import Job, describe, differences
from glinermt.annotate.local import here, in_processes
from glinermt.annotate.ray import on_ray
from glinermt.annotate.report import Counts, Report, write_report
from glinermt.annotate.rows import Shard, check_columns, cut
from glinermt.annotate.shard import STATS, check_timeout, remove_unfinished, write_whole
from glinermt.annotate.sources import find_sources
from glinermt.errors import ConfigError, DataError, needs, unknown_choice

MANIFEST = "manifest.json"
ENGINES = ("local", "ray")
AT_ONCE = 1000
"""Files with counts that are read together."""
Watch = Callable[[Counts, int, int | None], None]
"""Told the counts so far, the shards done, and how many the job has, where that is known."""
_SHARD = re.compile(r"(part-\d{5}-\d{8})\.(?:parquet|jsonl)")


@dataclass(frozen=True, slots=True)
class Engine:
    """Where the work is done.

    Raises:
        ConfigError: there is no such engine.
    """

    name: str = "local"
    devices: tuple[str, ...] = ()
    """One process each (``local``); none = this process, on the CPU."""
    threads: int | None = None
    """Of each process; None = one of several processes has 1, this one as many as torch takes."""
    workers: tuple[int, int] = (1, 1)
    """Least and greatest number of actors (``ray``)."""
    gpus: float = 0.0
    """Of each actor (``ray``)."""

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise ConfigError(unknown_choice("engine", self.name, ENGINES))
        if self.name == "ray" and (self.devices or self.threads is not None):
            raise ConfigError(
                "processes, devices and threads are those of engine 'local'; with 'ray' say how "
                "many workers there are, and gpus of each"
            )
        if self.name == "local" and (self.workers != (1, 1) or self.gpus):
            raise ConfigError(
                "workers and gpus are those of engine 'ray'; with 'local' give devices"
            )
        if not 1 <= self.workers[0] <= self.workers[1]:
            raise ConfigError(f"workers: expected least and greatest number, got {self.workers}")

    @property
    def is_here(self) -> bool:
        """Whether the work is done in this process."""
        return self.name == "local" and not self.devices

    def annotate(
        self, shards: Iterator[Shard], job: Job, out: str, *, retry: bool
    ) -> Iterator[Shard]:
        """Annotate the shards; yield each when it is written, in any order."""
        if self.name == "ray":
            return on_ray(shards, job, out, retry=retry, workers=self.workers, gpus=self.gpus)
        if self.devices:
            return in_processes(
                shards, job, out, retry=retry, devices=self.devices, threads=self.threads or 1
            )
        return here(shards, job, out, retry=retry, threads=self.threads)


HERE = Engine()


def annotate(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    task: str,
    arguments: dict[str, Any] | None = None,
    *,
    engine: Engine = HERE,
    force: bool = False,
    retry_failed: bool = False,
    watch: Watch | None = None,
    **settings: Any,
) -> Report:
    """Annotate documents into shards below ``out``; a job that was stopped goes on where it was.

    Example::

        annotate("articles.parquet", "annotated", "entities", {"labels": ["person", "city"]})

    Args:
        inputs: files (Parquet, JSONL, JSON, CSV, TSV, text; compressed, too), folders,
            ``hf://NAME`` or addresses such as ``s3://...``.
        out: folder for the shards, the manifest and the report; may be in an object store.
        task: name of a task, such as ``entities``.
        arguments: what the task's function takes, by keyword.
        engine: where the work is done.
        force: forget what another job left in ``out``.
        retry_failed: ask again about the rows that failed.
        watch: called whenever a shard is done.
        settings: further fields of ``Job``.

    Returns:
        The counts of the whole job, as ``report.json`` has them.

    Raises:
        ConfigError: an impossible setting, an input below ``out``, or ``out`` holds another job
            (without ``force``).
        DataError: an input cannot be found or read, or another process works on ``out``.
        BackendError: a package that the job needs is not installed.
    """
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    job = Job(tuple(map(str, given)), task, dict(arguments or {}), **settings)
    if job.format == "parquet" or any(each.endswith(".parquet") for each in job.inputs):
        needs("pyarrow", extra="annotate")
    if engine.is_here:
        check_timeout(job)
    folder = Folder(str(out))
    with folder.locked():
        inputs_ = find_sources(job.inputs, out=folder.path)
        sources = inputs_.sources
        check_columns(sources, job.field, job.keep or ())
        description = describe(job, sources)
        if not force:
            folder.compare(description)
        kept = {} if force else folder.counts(folder.finished(job))
        if retry_failed:
            kept = {name: counts for name, counts in kept.items() if not counts.errors}
        total = None
        if all(source.can_be_cut for source in sources):
            total = sum(1 for i, s in enumerate(sources) for _ in cut(s, i, job.shard_rows))
        missing = (
            shard
            for i, source in enumerate(sources)
            for shard in cut(source, i, job.shard_rows)
            if shard.name not in kept
        )
        counts, done = sum(kept.values(), Counts()), len(kept)
        first = next(missing, None)
        if first is not None or not kept:  # also where no input has a row
            job.check()
        folder.begin(description, anew=force)
        if first is not None:
            shards = chain([first], missing)
            for shard in engine.annotate(shards, job, folder.path, retry=retry_failed):
                counts, done = counts + folder.counts({shard.name})[shard.name], done + 1
                if watch is not None:
                    watch(counts, done, total)
        report = Report(description, counts, inputs_.left_out)
        write_report(report, folder.path)
    return report


class Folder:
    """An output folder, here or in an object store: manifest, shards, counts, report."""

    def __init__(self, path: str) -> None:
        self.files, place = fsspec.core.url_to_fs(path)
        self.is_local = "://" not in path
        self.path = str(Path(place)) if self.is_local else path.rstrip("/")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this machine out of a local folder.

        Raises:
            DataError: another process is at work there, or the folder cannot be made.
        """
        if not self.is_local:
            yield
            return
        try:
            Path(self.path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be made: {error.strerror}") from error
        try:
            with FileLock(f"{self.path}/.lock", timeout=0):
                remove_unfinished(Path(self.path))
                yield
        except PermissionError as error:
            raise DataError(f"{self.path}: cannot be written to: {error.strerror}") from error
        except Timeout as error:
            raise DataError(
                f"{self.path}: another process writes there; wait for it or name another folder"
            ) from error

    def compare(self, description: dict[str, Any]) -> None:
        """Check that the folder holds this job, or none yet.

        Raises:
            ConfigError: it holds another one.
        """
        path = f"{self.path}/{MANIFEST}"
        if not self.files.exists(path):
            return
        if changed := differences(self._read_manifest(path), description):
            raise ConfigError(
                f"{self.path} holds another job: {'; '.join(changed)}; name another folder, "
                "or use --force to forget what it holds"
            )

    def begin(self, description: dict[str, Any], *, anew: bool) -> None:
        """Write the job's manifest; ``anew`` forgets what the folder holds."""
        if anew:
            self._empty()
        manifest = json.dumps(description, indent=2, sort_keys=True) + "\n"
        write_whole(f"{self.path}/{MANIFEST}", manifest.encode())

    def finished(self, job: Job) -> set[str]:
        """Return the names of the shards that are written."""
        found = (_SHARD.fullmatch(name.rsplit("/", 1)[-1]) for name in self._files())
        return {match[1] for match in found if match and match[0].endswith(job.format)}

    def counts(self, names: set[str]) -> dict[str, Counts]:
        """Return the counts of finished shards, by name; without those that are lost or damaged."""
        found = {}
        ordered = sorted(names)
        for start in range(0, len(ordered), AT_ONCE):
            some = ordered[start : start + AT_ONCE]
            paths = [f"{self.path}/{STATS}/{name}.json" for name in some]
            read = self.files.cat(paths, on_error="omit")  # an object store sends many at once
            for path, data in read.items():
                with suppress(ValueError, TypeError, KeyError):
                    name = path.rsplit("/", 1)[-1].removesuffix(".json")
                    found[name] = Counts.from_dict(json.loads(data))
        return found

    def _read_manifest(self, path: str) -> dict[str, Any]:
        try:
            data = json.loads(self.files.cat_file(path))
        except ValueError as error:
            raise ConfigError(f"{path}: not JSON: {error}; use --force to begin anew") from error
        if not isinstance(data, dict):
            raise ConfigError(f"{path}: expected an object; use --force to begin anew")
        return data

    def _empty(self) -> None:
        """Remove shards and counts, and nothing else."""
        for place in self._files():
            if _SHARD.fullmatch(place.rsplit("/", 1)[-1]):
                self.files.rm(place)
        if self.files.exists(f"{self.path}/{STATS}"):
            self.files.rm(f"{self.path}/{STATS}", recursive=True)

    def _files(self) -> list[str]:
        """Return the files right in the folder; none where an object store has no such prefix."""
        return list(self.files.find(self.path, maxdepth=1))
