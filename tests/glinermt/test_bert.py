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
from transformers import BertConfig, BertModel

from glinermt.bert import Bert, is_plain_bert
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


def test_gradients_are_those_of_transformers() -> None:
    theirs, ours = pair()
    ids, mask = torch.tensor([[1, 2, 3, 0]]), torch.tensor([[1, 1, 1, 0]])
    for model in (theirs, ours):
        model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :3].pow(3).sum().backward()
    gradients = {name: p.grad for name, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name])


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
        "slow = {'transformers.modeling_utils', 'torch._dynamo', 'sklearn'} & set(sys.modules);"
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
