"""The splitter ``stanza``, through the real library, with a tokenizer that is trained here."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from glinermt.errors import BackendError
from glinermt.model import GlinerMT
from glinermt.types import Query
from tests.tiny_models import tiny_model

pytestmark = [pytest.mark.extras, pytest.mark.filterwarnings("ignore")]  # stanza's own
stanza = pytest.importorskip("stanza", reason="pip install 'glinermt[stanza]'")

TEXT = "She isn't in Paris. They don't know."
WORDS = ["She", "is", "n't", "in", "Paris", ".", "They", "do", "n't", "know", "."]


def save_tokenizer(folder: Path) -> None:
    """Write a tokenizer that has learned one text by heart, where stanza looks for English."""
    from stanza.models.tokenization.trainer import Trainer
    from stanza.models.tokenization.vocab import Vocab

    ends, place = set(), 0
    for word in WORDS:
        place = TEXT.index(word, place) + len(word)
        ends.add(place - 1)
    labels = [2 if char == "." else int(i in ends) for i, char in enumerate(TEXT)]
    vocabulary = Vocab([[(char, 0) for char in TEXT]], "en")
    arguments: dict[str, Any] = {
        "lang": "en", "vocab_size": len(vocabulary), "emb_dim": 16, "hidden_dim": 16,
        "dropout": 0.0, "feat_dropout": 0.0, "feat_dim": 1, "feat_funcs": ["capitalized"],
        "rnn_layers": 1, "conv_res": None, "use_mwt": False, "hierarchical": False,
        "tok_noise": 0.0, "unit_dropout": 0.0, "hier_invtemp": 0, "lr0": 0.02, "weight_decay": 0.0,
        "max_grad_norm": 1.0, "shorthand": "en_test", "skip_newline": False, "max_seqlen": 300,
        "batch_size": 8, "use_dictionary": False,
    }  # fmt: skip
    torch.manual_seed(0)
    trainer = Trainer(args=arguments, vocab=vocabulary, device="cpu")
    units = torch.tensor([[vocabulary.unit2id(char) for char in TEXT]])
    capitals = torch.tensor([[[float(char.isupper())] for char in TEXT]])
    for _ in range(80):
        trainer.update((units, torch.tensor([labels]), capitals, [list(TEXT)]))
    (folder / "en" / "tokenize").mkdir(parents=True)
    trainer.save(str(folder / "en" / "tokenize" / "tiny.pt"))
    models = {"tokenize": "tiny"}
    known = {"lang_name": "English", "tokenize": {"tiny": {}}}
    known |= {"default_processors": models, "packages": {"default": models}}
    (folder / "resources.json").write_text(json.dumps({"en": known}))


def test_words_are_those_of_stanza(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tokenizer(tmp_path / "stanza")
    here = partial(stanza.Pipeline, dir=str(tmp_path / "stanza"))
    monkeypatch.setattr(stanza, "Pipeline", here)
    tiny_model(tmp_path / "backbone").save_pretrained(tmp_path / "model")
    model = GlinerMT.from_pretrained(tmp_path / "model", words="stanza")
    split = model.query_encoder.split_words
    assert [TEXT[start:end] for start, end in split(TEXT)] == WORDS
    (found,) = model.extract([Query(TEXT, ("person",))], threshold=0.0)
    starts = {start for start, _ in split(TEXT)}
    assert found
    assert {span.start for span in found} <= starts
    assert all(TEXT[span.start : span.end] == span.text for span in found)


def test_a_language_without_a_model_says_what_to_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stanza, "Pipeline", partial(stanza.Pipeline, dir=str(tmp_path / "empty")))
    tiny_model(tmp_path / "backbone").save_pretrained(tmp_path / "model")
    with pytest.raises(BackendError, match=r"stanza.download\('\w+', processors='tokenize'\)"):
        GlinerMT.from_pretrained(tmp_path / "model", words="stanza").extract(
            [Query(TEXT, ("person",))]
        )
