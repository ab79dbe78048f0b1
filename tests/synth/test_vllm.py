"""The vLLM backend: what it asks an engine for."""

import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from glinermt.errors import BackendError
from glinermt.synth.backends import connect
from glinermt.synth.backends.base import Request
from glinermt.synth.backends.vllm import Vllm
from glinermt.synth.recipes import RECIPES


class Engine:
    """An engine that replies to each prompt with its length."""

    def get_tokenizer(self) -> "Engine":
        return self

    def apply_chat_template(self, messages: list[dict[str, str]], **_: Any) -> list[int]:
        return list(range(len(messages[1]["content"])))

    def generate(
        self, prompts: Sequence[dict[str, list[int]]], params: Sequence[Any], use_tqdm: bool
    ) -> list[Any]:
        assert not use_tqdm
        self.params = list(params)
        texts = [str(len(prompt["prompt_token_ids"])) for prompt in prompts]
        return [
            SimpleNamespace(
                outputs=[SimpleNamespace(text=text, token_ids=[1, 2], finish_reason="length")]
            )
            for text in texts
        ]


def request(user: str) -> Request:
    return Request("r", "entities", "s", user, RECIPES["entities"].schema, 0.7, 0.9, 50, seed=3)


def test_each_request_has_its_own_schema_and_seed_and_long_ones_are_left_out() -> None:
    params = SimpleNamespace(SamplingParams=dict, StructuredOutputsParams=dict)
    engine = Engine()
    llm = Vllm(engine, SimpleNamespace(sampling_params=params), 100, seeded=True)
    replies = dict(llm.generate([request("x" * 10), request("x" * 99), request("x" * 20)]))
    assert [replies[i].text for i in range(3)] == ["10", "", "20"]
    assert replies[1].error == "prompt longer than max_model_len allows"
    assert (replies[0].tokens_in, replies[0].tokens_out, replies[0].cut) == (10, 2, True)
    assert engine.params[0]["structured_outputs"] == {"json": RECIPES["entities"].schema}
    assert (engine.params[0]["seed"], engine.params[0]["max_tokens"]) == (3, 50)


def test_vllm_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(BackendError, match=r"pip install 'glinermt\[vllm\]'"):
        connect("vllm", "any", {})
