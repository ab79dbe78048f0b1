"""Where the asking runs: here, or on the workers of a Ray cluster. Plan, store and report stay."""

import math
from functools import partial

from glinermt.errors import ConfigError, unknown_choice
from glinermt.synth.backends import connect
from glinermt.synth.engines.ask import Ask, Work, ask
from glinermt.synth.engines.ray import RayProcessor, ray_ask

ROUNDS = 25
"""Rows given at once to an LLM for each request that it has under way: at the end of a batch some
of its places stand empty, and this keeps that to a few per cent."""
RAY_WINDOW = 40
"""Shards that a Ray pipeline is begun for; the replies of that many are held by the cluster."""


def asking(engine: str, work: Work) -> tuple[Ask, int]:
    """Return how rows are asked, and for how many shards together.

    Raises:
        ConfigError: there is no such engine.
        BackendError: the LLM, or Ray, cannot be used.
    """
    settings = work.settings
    if engine == "local":
        llm = connect(settings.llm, settings.model, work.llm_options)
        batch = max(work.batch, ROUNDS * getattr(llm, "at_once", 0))
        return partial(
            ask,
            llm,
            sampling=settings.sampling,
            retries=settings.retries,
            batch=batch,
            patience=work.batch,
        ), (1 if batch == work.batch else math.ceil(batch / settings.shard_rows))
    if engine == "ray":
        return partial(ray_ask, work), RAY_WINDOW
    if engine == "ray-vllm":
        processor = RayProcessor(work)
        return partial(
            ask,
            processor,
            sampling=settings.sampling,
            retries=settings.retries,
            batch=RAY_WINDOW * settings.shard_rows,
        ), RAY_WINDOW
    raise ConfigError(unknown_choice("engine", engine, ("local", "ray", "ray-vllm")))
