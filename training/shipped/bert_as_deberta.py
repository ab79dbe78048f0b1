"""Puts a BERT encoder's weights into DeBERTa-v2's architecture, with the same outputs.

``python -m glinermt.training.shipped.bert_as_deberta BERT OUT``: the projections of relative
positions begin at zero, so that training starts where BERT stood and learns them on the way.
"""

import math
import re
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from glinermt.errors import ConfigError
from glinermt.exits import run_script

_SAME = (
    "hidden_size intermediate_size num_hidden_layers num_attention_heads hidden_act vocab_size "
    "max_position_embeddings type_vocab_size layer_norm_eps hidden_dropout_prob "
    "attention_probs_dropout_prob pad_token_id initializer_range"
).split()
_RELATIVE: dict[str, Any] = {
    "relative_attention": True,
    "position_biased_input": True,
    "pos_att_type": "p2c|c2p",
    "share_att_key": False,
    "norm_rel_ebd": "layer_norm",
    "position_buckets": 256,
}
TERMS = 3
"""Content-content, content-position, position-content: DeBERTa divides by sqrt(TERMS * size)."""


def bert_as_deberta(bert: Any) -> Any:
    """Return a ``DebertaV2Model`` whose outputs are those of ``bert``, a ``BertModel``.

    Raises:
        ConfigError: the encoder is not a BERT.
    """
    from transformers import DebertaV2Config, DebertaV2Model

    if bert.config.model_type != "bert":
        raise ConfigError(f"the encoder is a {bert.config.model_type!r}, not a BERT")
    same = {name: getattr(bert.config, name) for name in _SAME}
    deberta: Any = DebertaV2Model(DebertaV2Config(**same, **_RELATIVE))  # type: ignore[no-untyped-call]
    weights = dict(deberta.state_dict())
    for name, weight in bert.state_dict().items():
        if name.startswith("pooler."):
            continue
        scale = math.sqrt(TERMS) if ".self.query." in name else 1.0
        weights[re.sub(r"\.self\.(query|key|value)\.", r".self.\1_proj.", name)] = weight * scale
    for name, weight in weights.items():
        if ".pos_key_proj." in name or ".pos_query_proj." in name:
            weights[name] = torch.zeros_like(weight)
    deberta.load_state_dict(weights)
    return deberta.eval()


def main(
    bert: Annotated[str, typer.Argument(help="Folder or hub id of a BERT encoder.")],
    out: Annotated[Path, typer.Argument(help="Folder for the DeBERTa-v2 encoder.")],
) -> None:
    """Convert an encoder; its tokenizer comes along."""
    from transformers import AutoModel, AutoTokenizer

    bert_as_deberta(AutoModel.from_pretrained(bert, dtype=torch.float32)).save_pretrained(out)
    AutoTokenizer.from_pretrained(bert).save_pretrained(out)
    typer.echo(f"wrote {out}")


if __name__ == "__main__":
    run_script(main)
