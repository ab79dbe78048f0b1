"""The factory's run, resumable at any moment: plan, ask, make examples, store, shard by shard."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

from glinermt.errors import ConfigError, DataError
from glinermt.outputs import locked
from glinermt.synth.checks.align import Source
from glinermt.synth.checks.filters import Ledger
from glinermt.synth.checks.passages import Benchmarks
from glinermt.synth.engines.ask import CUT, Ask, Record
from glinermt.synth.label_merges import SYNONYMS, merge_labels, read_synonyms
from glinermt.synth.plan import SYSTEM, PlanCounts, Row, planned, read_plan, write_plan
from glinermt.synth.recipes import RECIPES
from glinermt.synth.schema import ReplyError, parse
from glinermt.synth.settings import PIPELINE, Settings, fingerprint
from glinermt.synth.store import Store
from glinermt.synth.texts import text_files
from glinermt.types import Example

MANIFEST_SHARE = 0.01
"""Most part of a run's time that is spent on writing its manifest before the end."""
Progress = Callable[[int, int], None]
"""(rows done, rows planned) -> None."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run does that does not change what it makes."""

    force: bool = False
    """Set an earlier run with another fingerprint aside instead of refusing."""
    retry_failed: bool = False
    """Ask again for rows that failed in an earlier run."""
    window: int = 1
    """Shards in which the rows of a template are asked together: more for an engine that is slow to
    start."""


def generate(
    settings: Settings,
    out: Path,
    ask: Ask,
    *,
    options: Options | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make everything that is planned and not yet done; give the manifest.

    Args:
        settings: what to make.
        out: the folder; see ``store.py`` for what is in it.
        ask: gives the records of rows, such as ``ask.ask`` with an LLM.
        options: forcing and retrying.
        progress: called after every reply.

    Raises:
        ConfigError: the folder holds a run with another fingerprint, and it is not forced.
        DataError: a source or a file of the folder cannot be read.
        BackendError: the LLM gives no answers.
    """
    options = options or Options()
    store = Store(out, settings.format)
    with locked(out):
        benchmarks = Benchmarks(map(Path, settings.benchmarks))
        manifest = _begin(settings, store, benchmarks, force=options.force)
        _forget_damaged(store, manifest)
        under_way = _UnderWay(store, manifest, benchmarks, settings.shard_rows, options)
        total = manifest["plan"]["rows"]
        with closing(store):
            try:
                for record in ask(under_way.rows()):
                    under_way.take(record)
                    if progress:
                        progress(under_way.done, total)
            finally:
                store.write_manifest(manifest)
        if settings.merge_labels:
            table = read_synonyms(Path(settings.synonyms)) if settings.synonyms else SYNONYMS
            many = settings.shared_mentions
            merge_labels(store, manifest, synonyms=table, shared_mentions=many)
            store.write_manifest(manifest)
    return manifest


def is_finished(settings: Settings, out: Path, options: Options) -> bool:
    """Whether the folder holds this run and all its rows are answered, so that no LLM is needed.

    Raises:
        DataError: the manifest is damaged, and the run is not forced.
    """
    store = Store(out, settings.format)
    manifest = _earlier(store, options.force)
    if not manifest or manifest.get("pipeline") != PIPELINE:
        return False
    _forget_damaged(store, manifest)
    finished = _finished(manifest, options.retry_failed)
    rows = sum(manifest["shards"][name]["rows"] for name in finished)
    if rows != manifest["plan"]["rows"]:
        return False
    return bool(manifest["fingerprint"] == run_fingerprint(settings))


class _UnderWay:
    """The shards that are begun: a shard is finished as soon as its last row is answered."""

    def __init__(
        self,
        store: Store,
        manifest: dict[str, Any],
        benchmarks: Benchmarks,
        shard_rows: int,
        options: Options,
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._size = shard_rows
        self._options = options
        self._benchmarks = benchmarks
        self._finished = _finished(manifest, options.retry_failed)
        self._rows: dict[str, list[Row]] = {}
        self._records: dict[str, dict[str, Record]] = {}
        self._shard_of: dict[str, str] = {}
        self._next_save = 0.0
        self.done = sum(manifest["shards"][name]["rows"] for name in self._finished)

    def rows(self) -> Iterator[Row]:
        """Yield the rows that are not answered, those of a template together in each window."""
        windows = _windows(self._store, self._size, self._options.window, self._finished)
        for shards in windows:
            missing = [row for name, rows in shards.items() for row in self._begin(name, rows)]
            yield from sorted(missing, key=lambda row: row.template)

    def _begin(self, name: str, rows: list[Row]) -> list[Row]:
        known = _known(self._store, name, self._options.retry_failed)
        records = {row.id: known[row.id] for row in rows if row.id in known}
        self.done += len(records)
        self._rows[name], self._records[name] = rows, records
        missing = [row for row in rows if row.id not in records]
        self._shard_of |= {row.id: name for row in missing}
        if not missing:
            self._finish(name)
        return missing

    def take(self, record: Record) -> None:
        """Write a reply down; finish its shard where it was the last one."""
        name = self._shard_of.pop(record.id)
        self._store.append_record(name, record)
        self._records[name][record.id] = record
        self.done += 1
        if len(self._records[name]) == len(self._rows[name]):
            self._finish(name)

    def _finish(self, name: str) -> None:
        self._store.close(name)
        rows, records = self._rows.pop(name), self._records.pop(name)
        entry = _finish(self._store, name, rows, records, self._benchmarks)
        self._manifest["shards"][name] = entry
        self._save()

    def _save(self) -> None:
        """Write the manifest, unless that would take more than a share of the time.

        It grows with each shard. After a kill, shards that it lacks are made again of the replies.
        """
        began = time.perf_counter()
        if began >= self._next_save:
            self._store.write_manifest(self._manifest)
            self._next_save = began + (time.perf_counter() - began) / MANIFEST_SHARE


def run_fingerprint(settings: Settings) -> str:
    """Return the fingerprint of the settings with their templates and files."""
    bodies = [str(SYSTEM), *(str(RECIPES[name].prompts) for name in settings.tasks)]
    files = [*text_files(settings.texts), *map(Path, settings.benchmarks)]
    if settings.synonyms:
        read_synonyms(Path(settings.synonyms))  # a fault in it is told before anything is asked
        files.append(Path(settings.synonyms))
    return fingerprint(settings, bodies, files)


def _begin(
    settings: Settings, store: Store, benchmarks: Benchmarks, *, force: bool
) -> dict[str, Any]:
    """Return the manifest to go on with, after writing the plan of a new run."""
    name = run_fingerprint(settings)
    manifest = _earlier(store, force)
    if manifest and manifest["fingerprint"] == name:
        if manifest.get("pipeline") != PIPELINE:  # all is made again of the same replies
            manifest.update(pipeline=PIPELINE, shards={}, merges={})
        manifest["settings"] = settings.to_dict()  # max_tokens and names of files may differ
        return manifest
    if manifest and not force:
        raise ConfigError(
            f"{store.folder} holds a run with other settings, templates or texts "
            f"({_difference(manifest['settings'], settings)}); choose another folder, or use "
            "--force to set that run aside and begin anew"
        )
    if manifest or store.has_replies():
        store.set_aside(f"old-{manifest['fingerprint'] if manifest else 'without-manifest'}")
    counts = PlanCounts()
    write_plan(planned(settings, benchmarks, counts), store.plan)
    check_rows(counts, settings)
    manifest = {
        "fingerprint": name,
        "pipeline": PIPELINE,
        "settings": settings.to_dict(),
        "plan": {**vars(counts), "drops": dict(counts.drops)},
        "shards": {},
    }
    store.write_manifest(manifest)
    return manifest


def check_rows(counts: PlanCounts, settings: Settings) -> None:
    """Check that something is planned.

    Raises:
        DataError: the texts give nothing to ask about.
    """
    if not counts.rows:
        causes = ", ".join(f"{number} {cause}" for cause, number in counts.drops.items())
        left_out = f" (left out: {causes})" if causes else ""
        raise DataError(
            f"none of {counts.texts} texts gives a passage of at least {settings.least_tokens} "
            f"words and marks that is new{left_out}; give longer or other texts"
        )


def _earlier(store: Store, force: bool) -> dict[str, Any] | None:
    try:
        return store.read_manifest()
    except DataError:
        if not force:
            raise
        return {"fingerprint": "damaged"}


def _difference(old: dict[str, Any], settings: Settings) -> str:
    new = settings.to_dict()
    names = ("texts", "benchmarks", "synonyms")
    changed = [key for key in new if key not in names and old.get(key) != new[key]]
    shown = [f"{key}: {old.get(key)} -> {new[key]}" for key in changed]
    return "; ".join(shown) or "templates or contents of files"


def _windows(
    store: Store, size: int, window: int, finished: Collection[str]
) -> Iterator[dict[str, list[Row]]]:
    """Yield the shards that are not finished, so many at a time, with their rows."""
    plan = read_plan(store.plan)
    pending: dict[str, list[Row]] = {}
    for number in count():
        rows = list(islice(plan, size))
        name = f"part-{number:05}"
        if rows and name not in finished:
            pending[name] = rows
        if pending and (not rows or len(pending) == window):
            yield pending
            pending = {}
        if not rows:
            return


def _finish(
    store: Store,
    name: str,
    rows: Sequence[Row],
    records: Mapping[str, Record],
    benchmarks: Benchmarks,
) -> dict[str, Any]:
    """Write the shard's examples and give its entry of the manifest."""
    ledger = Ledger()
    lines: list[dict[str, Any]] = []
    failed: Counter[str] = Counter()
    recipes: dict[str, Counter[str]] = {}
    for row in rows:
        record = records[row.id]
        made = make_examples(row, record, benchmarks, ledger)
        lines.extend(made)
        tally = recipes.setdefault(row.recipe, Counter())
        tally["rows"] += 1
        tally["examples"] += len(made)
        tally["failed"] += bool(record.error)
        tally["cut"] += record.error == CUT
        tally["empty"] += not made and not record.error
        if record.error:
            failed[record.error] += 1
    store.write_examples(name, lines)
    asked = [records[row.id] for row in rows]
    return {
        "rows": len(rows),
        "examples": len(lines),
        "bytes": store.examples_file(name).stat().st_size,
        "failed": dict(failed),
        "recipes": {recipe: dict(tally) for recipe, tally in recipes.items()},
        "statuses": dict(ledger.statuses),
        "drops": dict(ledger.drops),
        "tokens_in": sum(record.tokens_in for record in asked),
        "tokens_out": sum(record.tokens_out for record in asked),
        "attempts": sum(record.attempts for record in asked),
        "seconds": round(sum(record.seconds for record in asked), 3),
    }


def make_examples(
    row: Row, record: Record, benchmarks: Benchmarks, ledger: Ledger
) -> list[dict[str, Any]]:
    """Return a row's examples as the training reads them, ``id``, ``task`` and ``recipe`` added.

    Pure: shards can be made again from what was replied.
    """
    recipe = RECIPES[row.recipe]
    if record.error:
        return []
    try:
        reply = parse(record.reply, recipe.schema, ledger.drop)
    except ReplyError as error:
        ledger.drop(str(error), record.reply[:100])
        return []
    found: list[dict[str, Any]] = []
    for example in recipe.build(Source(row.text), reply, ledger):
        if benchmarks.hold(example.query.prompt):
            ledger.drop("prompt: in a benchmark", example.query.prompt)
            continue
        line = example.to_dict()
        if Example.from_dict(line) != example:
            ledger.drop("example: does not read back", example.query.prompt)
            continue
        number = len(found)
        found.append(
            {**line, "task": recipe.task, "id": f"{row.id}-{number}", "recipe": row.recipe}
        )
    return found


def _forget_damaged(store: Store, manifest: dict[str, Any]) -> None:
    """Take shards whose file is missing or has another size for not done: they are made again."""
    for name, entry in list(manifest["shards"].items()):
        file = store.examples_file(name)
        if not file.is_file() or file.stat().st_size != entry["bytes"]:
            del manifest["shards"][name]


def _finished(manifest: Mapping[str, Any], retry_failed: bool) -> set[str]:
    """Return the shards to leave as they are; one with failed rows stands until it is replaced."""
    shards = manifest["shards"].items()
    return {name for name, entry in shards if not (retry_failed and entry["failed"])}


def _known(store: Store, name: str, retry_failed: bool) -> dict[str, Record]:
    """Return what was replied to a shard, where asked without the failures."""
    records = store.read_records(name)
    return {id_: r for id_, r in records.items() if not (retry_failed and r.error)}
