"""vLLM's offline engine: constrained to the schema, prefixes cached, on one device or many."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from glinermt.config import from_mapping
from glinermt.errors import BackendError
from glinermt.synth.backends.base import LLM, Reply, Request

ROOM_FOR_REPLY = 64
"""Tokens that a prompt must leave free of the model's length."""

COMPACT = {"backend": "xgrammar", "disable_any_whitespace": True}
"""No white space between the parts of the JSON: small models would never stop writing it."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of vLLM's engine, by its names."""

    dtype: str = "auto"
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    max_model_len: int = 4096
    max_num_seqs: int = 256
    """Rows that are written at the same time."""
    gpu_memory_utilization: float = 0.9
    enforce_eager: bool = False
    """No compiled graphs: slower, and starts sooner."""
    enable_prefix_caching: bool = True
    trust_remote_code: bool = False


def connect(model: str, options: Mapping[str, Any]) -> LLM:
    """Load the model.

    Raises:
        BackendError: vLLM is not installed, or too old.
    """
    given = from_mapping(Options, options, where="vllm")
    try:
        import vllm  # type: ignore[import-not-found]
        import vllm.sampling_params  # type: ignore[import-not-found]

        vllm.sampling_params.StructuredOutputsParams  # noqa: B018  came with 0.12
    except ImportError as error:
        raise BackendError("generating needs vLLM: pip install 'glinermt[vllm]'") from error
    except AttributeError as error:
        raise BackendError(
            f"vLLM {vllm.__version__} is too old: 0.12 or newer is needed"
        ) from error
    from vllm.platforms import current_platform  # type: ignore[import-not-found]

    # On a CPU vLLM dies of a request's own seed: "CPU Generator does not use offset".
    seeded = not current_platform.is_cpu()
    engine = vllm.LLM(model, structured_outputs_config=dict(COMPACT), **asdict(given))
    return Vllm(engine, vllm, given.max_model_len, seeded=seeded)


class Vllm:
    """The engine with what it is asked through."""

    def __init__(self, engine: Any, vllm: Any, longest: int, *, seeded: bool) -> None:
        self._engine = engine
        self._vllm = vllm
        self._longest = longest
        self._seeded = seeded
        self._tokenizer = engine.get_tokenizer()

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """Yield all replies when the last one is written."""
        tokens = [self._tokens(request) for request in requests]
        fitting = [i for i, ids in enumerate(tokens) if len(ids) + ROOM_FOR_REPLY <= self._longest]
        for i in sorted(set(range(len(requests))) - set(fitting)):
            yield i, Reply("", len(tokens[i]), 0, "prompt longer than max_model_len allows")
        if not fitting:
            return
        outputs = self._engine.generate(
            [{"prompt_token_ids": tokens[i]} for i in fitting],
            [self._params(requests[i]) for i in fitting],
            use_tqdm=False,
        )
        for i, output in zip(fitting, outputs, strict=True):
            written = output.outputs[0]
            cut = written.finish_reason == "length"
            yield i, Reply(written.text, len(tokens[i]), len(written.token_ids), cut=cut)

    def _tokens(self, request: Request) -> list[int]:
        ids: list[int] = self._tokenizer.apply_chat_template(
            request.messages, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        return ids

    def _params(self, request: Request) -> Any:
        params = self._vllm.sampling_params
        return params.SamplingParams(
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            seed=request.seed if self._seeded else None,
            structured_outputs=params.StructuredOutputsParams(json=request.schema),
        )
