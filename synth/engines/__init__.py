"""Where the asking runs: here, or on the workers of a Ray cluster. Plan, store and report stay."""

from functools import partial

from glinermt.errors import ConfigError, unknown_choice
from glinermt.synth.backends import connect
from glinermt.synth.engines.ask import Ask, Work, ask
from glinermt.synth.engines.ray import RayProcessor, ray_ask

RAY_WINDOW = 40
"""Shards that a Ray pipeline is begun for; the replies of that many are held by the cluster."""


def asking(engine: str, work: Work) -> tuple[Ask, int]:
    """Return how rows are asked, and of how many shards those of one template stand together.

    Raises:
        ConfigError: there is no such engine.
        BackendError: the LLM, or Ray, cannot be used.
    """
    settings = work.settings
    many = RAY_WINDOW * settings.shard_rows
    how = partial(ask, sampling=settings.sampling, retries=settings.retries)
    if engine == "local":
        llm = connect(settings.llm, settings.model, work.llm_options)
        return partial(how, llm, batch=work.batch), 1
    if engine == "ray":
        return partial(ray_ask, work, many), RAY_WINDOW
    if engine == "ray-vllm":
        return partial(how, RayProcessor(work), batch=many), RAY_WINDOW
    raise ConfigError(unknown_choice("engine", engine, ("local", "ray", "ray-vllm")))
