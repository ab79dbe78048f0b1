"""The same asking on Ray Data: with any backend on the workers, or with Ray's own vLLM processor.

``ray_ask``: each worker holds a copy of the LLM and takes batches of rows, whatever version of
vLLM is installed. ``RayProcessor`` loads vLLM on the workers and batches by itself, with the
version of vLLM that Ray was made for (``pip install 'ray[llm]'``).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from itertools import islice
from typing import Any

from glinermt.config import from_mapping
from glinermt.errors import BackendError
from glinermt.synth.backends import connect
from glinermt.synth.backends.base import Reply, Request
from glinermt.synth.backends.vllm import Options
from glinermt.synth.engines.ask import Record, Work, ask
from glinermt.synth.plan import Row


def ray_ask(work: Work, many: int, rows: Iterable[Row]) -> Iterator[Record]:
    """Yield a record for each row, as the workers finish their batches; ``many`` rows at a time.

    Raises:
        BackendError: Ray is not installed, or a worker failed.
    """
    ray = start_ray()
    given = iter(rows)
    while some := list(islice(given, many)):
        data = ray.data.from_items([asdict(row) for row in some]).map_batches(
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


OURS = ("dtype", "tensor_parallel_size", "pipeline_parallel_size", "max_model_len", "max_num_seqs")
"""Options that are given on; the others keep the processor's values."""
ERROR = "__inference_error__"


class RayProcessor:
    """Asks through a pipeline that is built anew for each call, so calls should be large."""

    def __init__(self, work: Work) -> None:
        self._ray = start_ray()
        options = from_mapping(Options, work.llm_options, where="vllm")
        try:
            import ray.data.llm  # type: ignore[import-not-found]

            config = ray.data.llm.vLLMEngineProcessorConfig(
                model_source=work.settings.model,
                engine_kwargs={name: getattr(options, name) for name in OURS},
                concurrency=work.workers,
                batch_size=work.batch,
                should_continue_on_error=True,
            )
            self._pipeline = ray.data.llm.build_processor(
                config, preprocess=to_engine, postprocess=from_engine
            )
        except ImportError as error:
            raise BackendError(
                f"--engine ray-vllm needs {error.name}: pip install 'ray[llm]'"
            ) from error

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        rows = [to_row(i, request) for i, request in enumerate(requests)]
        try:
            for row in self._pipeline(self._ray.data.from_items(rows)).iter_rows():
                yield row["number"], to_reply(row)
        except self._ray.exceptions.RayError as error:
            raise BackendError(f"a Ray worker failed: {error}") from error


def to_row(number: int, request: Request) -> dict[str, Any]:
    """Return a request as a row; the schema as a string, since Arrow would mix up two objects."""
    return {
        "number": number,
        "system": request.system,
        "user": request.user,
        "schema": json.dumps(request.schema),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
    }


def to_engine(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat and the sampling parameters as the processor wants them."""
    sampling = {name: row[name] for name in ("temperature", "top_p", "max_tokens", "seed")}
    return {
        "messages": [
            {"role": "system", "content": row["system"]},
            {"role": "user", "content": row["user"]},
        ],
        "sampling_params": {**sampling, "structured_outputs": {"json": row["schema"]}},
    }


def from_engine(row: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a reply needs."""
    return {
        "number": row["number"],
        "generated_text": row["generated_text"],
        "num_input_tokens": row["num_input_tokens"],
        "num_generated_tokens": row["num_generated_tokens"],
    }


def to_reply(row: Mapping[str, Any]) -> Reply:
    """Return the reply; a row that failed in the engine has an error."""
    if row.get(ERROR):
        return Reply("", error=f"engine: {row[ERROR]:.100}")
    return Reply(
        row["generated_text"], int(row["num_input_tokens"]), int(row["num_generated_tokens"])
    )
