"""A small local model through transformers, row by row: runs anywhere, for trying things out.

Nothing constrains the reply, so the prompt shows the schema and useless replies are frequent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glinermt.config import from_mapping
from glinermt.errors import BackendError
from glinermt.synth.backends.base import LLM, Reply, Request, with_schema


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the transformers backend."""

    dtype: str = "auto"
    """``auto`` or a torch type such as ``bfloat16``."""
    device: str = "cpu"
    max_input: int = 4096
    """Longest prompt in tokens."""


def connect(model: str, options: Mapping[str, Any]) -> LLM:
    """Load a hub id or a folder.

    Raises:
        BackendError: it cannot be loaded.
    """
    given = from_mapping(Options, options, where="transformers")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
        loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=given.dtype)
    except (OSError, ValueError) as error:
        raise BackendError(f"{model}: transformers cannot load it ({error})") from error
    return Local(loaded.to(given.device).eval(), tokenizer, given)


class Local:
    """A causal model with its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any, options: Options) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._options = options

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for i, request in enumerate(requests):
            yield i, self._reply(request)

    def _reply(self, request: Request) -> Reply:
        import torch

        given = self._tokenizer.apply_chat_template(
            with_schema(request), add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(self._options.device)
        length = given["input_ids"].shape[1]
        if length > self._options.max_input:
            return Reply("", length, 0, "prompt longer than max_input allows")
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(request.seed)
            written = self._model.generate(
                **given,
                do_sample=request.temperature > 0,
                temperature=request.temperature or None,
                top_p=request.top_p if request.temperature else None,
                max_new_tokens=request.max_tokens,
                pad_token_id=self._tokenizer.eos_token_id,
            )[0, length:]
        text = self._tokenizer.decode(written, skip_special_tokens=True)
        return Reply(text, length, len(written))
