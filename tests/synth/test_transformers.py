"""The transformers backend with a tiny untrained model."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from glinermt.errors import BackendError
from glinermt.synth.backends import connect
from glinermt.synth.backends.base import Request
from glinermt.synth.recipes import RECIPES

TEMPLATE = "{% for m in messages %}{{ m['content'] }} {% endfor %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = {word: i for i, word in enumerate(("[UNK]", "</s>", "a", "b", "c", "entities"))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="</s>", chat_template=TEMPLATE
    )
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=None,
        eos_token_id=1,
    )
    made = tmp_path_factory.mktemp("llama")
    LlamaForCausalLM(config).save_pretrained(made)  # type: ignore[no-untyped-call]
    fast.save_pretrained(made)
    return made


def request(user: str, temperature: float = 0.7) -> Request:
    return Request(
        "r", "entities", "a", user, RECIPES["entities"].schema, temperature, 0.9, 6, seed=3
    )


def test_replies_depend_on_the_seed_only_and_tokens_are_counted(folder: Path) -> None:
    llm = connect("transformers", str(folder), {})
    requests = [request("a b"), request("c", temperature=0.0), request("a b")]
    replies = [reply for _, reply in llm.generate(requests)]
    assert replies[0] == replies[2]
    assert all(1 <= reply.tokens_out <= 6 and reply.tokens_in > 20 for reply in replies)


def test_a_prompt_that_is_too_long_costs_its_row(folder: Path) -> None:
    llm = connect("transformers", str(folder), {"max_input": 300})
    replies = dict(llm.generate([request("a " * 300), request("a")]))
    assert replies[0].error == "prompt longer than max_input allows"
    assert not replies[1].error


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="transformers cannot load it"):
        connect("transformers", str(tmp_path), {})
