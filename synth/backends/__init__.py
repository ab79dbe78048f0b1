"""The LLM backends. A new one is a file and a line; what they need is imported when connecting."""

from collections.abc import Callable, Mapping
from typing import Any

from glinermt.errors import ConfigError, unknown_choice
from glinermt.synth.backends import openai, scripted, transformers, vllm
from glinermt.synth.backends.base import LLM

Connect = Callable[[str, Mapping[str, Any]], LLM]
"""(model, options of the backend) -> the LLM."""

LLMS: dict[str, Connect] = {
    "vllm": vllm.connect,
    "openai": openai.connect,
    "transformers": transformers.connect,
    "scripted": scripted.connect,
}


def connect(llm: str, model: str, options: Mapping[str, Any]) -> LLM:
    """Connect to a model through the backend with this name.

    Raises:
        ConfigError: there is no such backend, or it has no such option.
        BackendError: it cannot be used.
    """
    if llm not in LLMS:
        raise ConfigError(unknown_choice("llm", llm, LLMS))
    return LLMS[llm](model, options)
