"""The shards on a Ray cluster, and ``Extract`` for the ``map_batches`` of anybody's data set."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from glinermt.annotate.job import Job
from glinermt.annotate.rows import Row, Shard
from glinermt.annotate.shard import annotate_rows, annotate_shard, beside
from glinermt.errors import BackendError, DataError, unknown_choice

WINDOW = 256
"""Least number of shards that one Ray pipeline is begun for, and the most that bring their rows."""
SHARDS_A_WORKER = 16
"""Shards of a pipeline for each of the most workers: at its end some wait, and models load anew."""


class Extract:
    """A callable class for ``ray.data.Dataset.map_batches``; each actor holds one model.

    Example::

        ds.map_batches(
            Extract,
            fn_constructor_kwargs={"task": "entities", "arguments": {"labels": ["person"]}},
            concurrency=(1, 8),
            batch_size=256,
        )

    Adds the columns ``result`` (lists and dicts as ``to_dict`` of the results gives), ``status``
    (``ok`` or ``error``) and ``error``; a column of one of these names, which the data set has, is
    then called ``input_NAME``.

    Raises:
        ConfigError: an unknown task, or arguments that are not the task's.
        DataError: the data set has no such ``field``.
        Exception: what the task or the model says of the arguments.
    """

    def __init__(
        self,
        task: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        field: str = "text",
        model: str | None = None,
        precision: Literal["exact", "bf16", "int8"] = "exact",
        device: str | None = None,
    ) -> None:
        self.job = Job(
            ("ray",), task, dict(arguments or {}), model=model, precision=precision, field=field
        )
        self.model = self.job.load_model(device)
        self.job.check(self.model)

    def __call__(self, batch: Any) -> dict[str, Any]:
        """Annotate a batch, which may be of any ``batch_format`` of Ray's."""
        columns = batch.to_pydict() if hasattr(batch, "to_pydict") else dict(batch)
        if self.job.field not in columns:
            raise DataError(unknown_choice("field", self.job.field, map(str, columns)))
        texts = columns[self.job.field]
        rows = [Row(i, {self.job.field: _python(text)}) for i, text in enumerate(texts)]
        outcomes = list(annotate_rows(rows, self.job, self.model))
        own = {self.job.result, "status", "error"}
        return {
            **beside(own, columns),
            self.job.result: [outcome.result for outcome in outcomes],
            "status": ["error" if outcome.error else "ok" for outcome in outcomes],
            "error": [outcome.error for outcome in outcomes],
        }


class _ShardWorker:
    """Annotates the shards whose descriptions come in; the rows never pass through the driver."""

    def __init__(self, job: Job, out: str, retry: bool, device: str | None) -> None:
        self.job, self.out, self.retry = job, out, retry
        self.model = job.load_model(device)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        for shard in batch["shard"]:
            annotate_shard(shard, self.job, self.out, self.model, retry=self.retry)
        return {"number": batch["number"]}


def on_ray(
    shards: Iterable[Shard],
    job: Job,
    out: str,
    *,
    retry: bool,
    workers: tuple[int, int],
    gpus: float,
) -> Iterator[Shard]:
    """Annotate on a Ray cluster; yield each shard when it is written, in any order.

    ``RAY_ADDRESS`` names the cluster; without it one is begun here. Shards are written by the
    actors, so inputs and output must be where all of them can reach. An actor that dies is
    replaced, and its shard is done again.

    Args:
        shards: read as many ahead as one pipeline takes; see ``windows``.
        job: what is done.
        out: output folder.
        retry: see ``annotate_shard``.
        workers: least and greatest number of actors; Ray chooses between them.
        gpus: of each actor; 0 = on the processor.

    Raises:
        BackendError: Ray is not installed or not to be reached.
    """
    try:
        import ray  # type: ignore[import-not-found]
    except ImportError as error:
        raise BackendError("engine 'ray' needs Ray: pip install 'glinermt[ray]'") from error
    if not ray.is_initialized():
        try:
            ray.init(log_to_driver=False)
        except Exception as error:  # Ray raises a bare one where its processes do not come up
            raise BackendError(f"no Ray cluster could be reached or begun: {error}") from error
    if (there := ray.cluster_resources().get("GPU", 0)) < gpus:
        warnings.warn(
            f"a worker asks for {gpus:g} GPUs and the Ray cluster has {there:g} in all: the job "
            "waits for machines that have them; without, stop it and give --gpus 0",
            stacklevel=2,
        )
    for window in windows(shards, max(WINDOW, SHARDS_A_WORKER * workers[1])):
        items = [{"number": i, "shard": shard} for i, shard in enumerate(window)]
        data = ray.data.from_items(items, override_num_blocks=len(items))
        done = data.map_batches(
            _ShardWorker,
            fn_constructor_args=(job, out, retry, "cuda" if gpus else None),
            batch_size=1,
            concurrency=workers,
            num_gpus=gpus or None,
        )
        for row in done.iter_rows():
            yield window[row["number"]]


def windows(shards: Iterable[Shard], size: int) -> Iterator[list[Shard]]:
    """Cut into lists of ``size`` shards, or of ``WINDOW`` where these bring their rows."""
    window: list[Shard] = []
    heavy = 0
    for shard in shards:
        window.append(shard)
        heavy += shard.rows is not None
        if len(window) == size or heavy == WINDOW:
            yield window
            window, heavy = [], 0
    if window:
        yield window


def _python(value: Any) -> Any:
    """Return a scalar of numpy as Python's own."""
    return value.item() if hasattr(value, "item") else value
