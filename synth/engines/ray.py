"""The same asking on Ray Data: each worker holds a copy of the LLM and takes batches of rows.

Any backend works so, whatever version of vLLM is installed. Ray's own vLLM processor is in
``ray_processor.py``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import Any

from glinermt.errors import BackendError
from glinermt.synth.backends import connect
from glinermt.synth.engines.ask import Record, Work, ask
from glinermt.synth.plan import Row


def ray_ask(work: Work, rows: Sequence[Row]) -> Iterator[Record]:
    """Yield a record for each row, as the workers finish their batches.

    Raises:
        BackendError: Ray is not installed, or a worker failed.
    """
    ray = start_ray()
    ordered = sorted(rows, key=lambda row: row.template)
    data = ray.data.from_items([asdict(row) for row in ordered]).map_batches(
        Worker,
        fn_constructor_args=[work],
        batch_size=work.batch,
        batch_format="numpy",
        concurrency=work.workers,
        num_gpus=work.gpus_per_worker or None,
    )
    try:
        for found in data.iter_rows():
            yield Record(**found)
    except ray.exceptions.RayError as error:
        raise BackendError(f"a Ray worker failed: {error}") from error


def start_ray() -> Any:
    """Return Ray, connected to the cluster of ``RAY_ADDRESS`` or to one on this machine."""
    try:
        import ray  # type: ignore[import-not-found]
        import ray.data  # type: ignore[import-not-found]
    except ImportError as error:
        raise BackendError("--engine ray needs Ray: pip install 'glinermt[ray]'") from error
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level="warning")
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


class Worker:
    """An LLM on a worker; connects when Ray starts it there."""

    def __init__(self, work: Work) -> None:
        settings = work.settings
        llm = connect(settings.llm, settings.model, work.llm_options)
        self._ask = partial(
            ask, llm, sampling=settings.sampling, retries=settings.retries, batch=work.batch
        )

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Turn columns of rows into columns of records."""
        columns = [batch[field.name].tolist() for field in fields(Row)]
        records = [
            record.to_dict()
            for record in self._ask([Row(*values) for values in zip(*columns, strict=True)])
        ]
        return {field.name: [record[field.name] for record in records] for field in fields(Record)}
