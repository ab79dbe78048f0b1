"""A BERT in DeBERTa's architecture begins with BERT's outputs and can learn relative positions."""

import pytest
import torch
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from glinermt.errors import ConfigError
from glinermt.training.shipped.bert_as_deberta import bert_as_deberta

SIZES = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 40,
}


def test_outputs_are_those_of_the_bert() -> None:
    torch.manual_seed(0)
    bert = BertModel(BertConfig(**SIZES)).eval()
    deberta = bert_as_deberta(bert)
    ids = torch.randint(1, 50, (3, 30))
    mask = torch.ones_like(ids)
    mask[1, 20:] = 0
    with torch.no_grad():
        expected = bert(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]
        found = deberta(input_ids=ids, attention_mask=mask).last_hidden_state[mask.bool()]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_relative_positions_are_learned_from_the_first_step() -> None:
    torch.manual_seed(0)
    deberta = bert_as_deberta(BertModel(BertConfig(**SIZES)))
    states = deberta(input_ids=torch.randint(1, 50, (1, 12))).last_hidden_state
    (states * torch.randn_like(states)).sum().backward()
    for side in ("pos_key_proj", "pos_query_proj"):
        gradient = getattr(deberta.encoder.layer[0].attention.self, side).weight.grad
        assert gradient.abs().max() > 0


def test_other_encoders_are_refused() -> None:
    with pytest.raises(ConfigError, match="roberta"):
        bert_as_deberta(RobertaModel(RobertaConfig(**SIZES)))
