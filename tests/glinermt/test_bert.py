"""Our BERT is transformers' BERT; the shipped model starts without the latter."""

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel

from glinermt.bert import Bert, is_plain_bert
from glinermt.build import empty_encoder
from glinermt.model import GlinerMT
from glinermt.types import Query

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "initializer_range": 0.3,
}


def pair(**settings: Any) -> tuple[BertModel, Bert]:
    torch.manual_seed(0)
    config = BertConfig(**SIZES, **settings)
    theirs = BertModel(config, add_pooling_layer=False).eval()  # type: ignore[no-untyped-call]
    ours = Bert(config.to_dict()).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_vectors_are_those_of_transformers(activation: str, lengths: list[int], seed: int) -> None:
    theirs, ours = pair(hidden_act=activation)
    torch.manual_seed(seed)
    width = max(lengths)
    ids = torch.randint(0, 50, (len(lengths), width))
    mask = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
    expected = theirs(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    got = ours(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(got[mask], expected[mask])


def test_dropout_acts_in_training_only() -> None:
    _, ours = pair()
    ids, mask = torch.tensor([[1, 2, 3]]), torch.ones(1, 3)
    still = ours(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.equal(ours(input_ids=ids, attention_mask=mask).last_hidden_state, still)
    ours.train()
    assert not torch.equal(ours(input_ids=ids, attention_mask=mask).last_hidden_state, still)


@pytest.mark.parametrize("lengths", [[4], [3, 1, 4], [40, 7]])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_are_those_of_transformers(lengths: list[int], dtype: torch.dtype) -> None:
    theirs, ours = (model.to(dtype) for model in pair())
    width = max(lengths)
    ids = torch.arange(len(lengths) * width).reshape(len(lengths), width) % 50
    mask = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
    weights = torch.randn(int(mask.sum()), 32, dtype=dtype)
    for model in (theirs, ours):
        vectors = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        (vectors[mask] * weights).sum().backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    close = {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-4}
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], **close)


def test_padding_gets_no_vector() -> None:
    _, ours = pair()
    ids, mask = torch.ones(2, 3, dtype=torch.long), torch.tensor([[1, 1, 1], [1, 0, 0]])
    vectors = ours(input_ids=ids, attention_mask=mask).last_hidden_state
    assert vectors[1, 1:].abs().sum() == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "roberta"},
        {"is_decoder": True},
        {"position_embedding_type": "relative_key"},
        {"hidden_act": "gelu_new"},
    ],
)
def test_other_encoders_are_left_to_transformers(settings: dict[str, Any]) -> None:
    assert is_plain_bert({"model_type": "bert"})
    assert not is_plain_bert({"model_type": "bert"} | settings)


def test_the_shipped_model_answers_without_transformers_modelling_code() -> None:
    program = (
        "import sys, glinermt; assert 'torch' not in sys.modules;"
        "found = glinermt.extract_entities('Bill Gates founded Microsoft.', ['person']);"
        "slow = {'transformers', 'huggingface_hub', 'torch._dynamo', 'sklearn'} & set(sys.modules);"
        "sys.exit(f'{slow}' if slow else 0)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_copy_and_a_pickle_of_the_shipped_model_answer_as_it_does() -> None:
    model = GlinerMT.from_pretrained()
    queries = [Query("Bill Gates founded Microsoft in Albuquerque.", ("person", "city"))]
    expected = model.extract(queries, threshold=0.3)
    assert expected[0]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.extract(queries, threshold=0.3) == expected


def test_vectors_and_gradients_of_mpnet_are_those_of_transformers() -> None:
    torch.manual_seed(0)
    config = MPNetConfig(**SIZES | {"max_position_embeddings": 320})
    theirs = MPNetModel(config, add_pooling_layer=False).eval()  # type: ignore[no-untyped-call]
    ours = copy.deepcopy(empty_encoder(config.to_diff_dict(), config.vocab_size)).eval()
    ours.load_state_dict(theirs.state_dict(), strict=False)
    ids, mask = torch.randint(2, 50, (2, 300)), torch.ones(2, 300)
    with torch.inference_mode():
        ours(input_ids=ids, attention_mask=mask)
    results = []
    for encoder in (theirs, ours):
        vectors = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        (vectors**2).sum().backward()
        gradient = encoder.encoder.relative_attention_bias.weight.grad  # type: ignore[union-attr]
        results.append((vectors, gradient))
    torch.testing.assert_close(results[1], results[0])
