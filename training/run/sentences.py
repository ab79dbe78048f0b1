"""Keeps what an encoder knows about whole sentences while it learns to find spans.

A sentence encoder compares texts by the mean of their tokens (Sentence-BERT, Reimers and Gurevych
2019). Training for spans alone destroys that, and with it the zero-shot classes of a model with
``class_reading="apart"``. So some texts and labels of every batch are read apart, and the cosine of
their vectors to those of the encoder as it was is kept high: a distillation that needs no labels.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from glinermt import checkpoints
from glinermt.build import count_distances_once, load_tokenizer
from glinermt.checkpoints.native import CONFIG
from glinermt.encoder import Apart, sentence_vectors
from glinermt.errors import ConfigError
from glinermt.network import Network
from glinermt.training.data.mixture import Item
from glinermt.types import Example, Query


class SentenceTeacher(nn.Module):
    """The encoder as it was; it does not learn.

    Args:
        name: Hugging Face id or folder of a sentence encoder whose vectors are means over tokens,
            or the folder of a model of ours, whose encoder is taken.
        vocabulary: of the model that learns; ids must be the teacher's.
        share: of a batch's examples whose text and labels are compared.

    Raises:
        ConfigError: the vocabularies differ.
    """

    def __init__(self, name: str, vocabulary: dict[str, int], *, share: float) -> None:
        super().__init__()
        own, encoder = _read(name)
        other = next((token for token, i in own.items() if vocabulary.get(token) != i), None)
        if other is not None:
            raise ConfigError(
                f"sentences.teacher: {name} has another vocabulary than the model (its token "
                f"{other!r} is not the model's); name the encoder that the model began as"
            )
        self.encoder = count_distances_once(encoder.eval())
        self.share = share

    def class_examples(self, items: Sequence[Item]) -> list[Example]:
        """Return some texts of a batch, each with all its labels as classes.

        Which ones hangs on the batch alone, so that any process may ask.
        """
        number = max(1, round(len(items) * self.share))
        rng = random.Random("\n".join(item.example.query.text for item in items))
        queries = [item.example.query for item in rng.sample(items, number)]
        names = [(*q.labels, *q.relations, *q.classes) for q in queries]
        return [
            Example(Query(query.text, classes=labels), (), task="classify")
            for query, labels in zip(queries, names, strict=True)
            if query.text.strip() and labels
        ]

    @torch.no_grad()
    def vectors(self, rows: Apart) -> Tensor:
        """Return the teacher's vectors of the texts, then of the labels."""
        return torch.cat([sentence_vectors(self.encoder, *part) for part in rows.rows])


def _read(name: str) -> tuple[dict[str, int], nn.Module]:
    """Return vocabulary and encoder."""
    if Path(name, CONFIG).is_file():
        parts = checkpoints.load(name)
        return parts.query_encoder.tokenizer.get_vocab(), parts.network.encoder.encoder
    from transformers import AutoModel

    encoder: nn.Module = AutoModel.from_pretrained(name, dtype=torch.float32)
    return load_tokenizer(name).get_vocab(), encoder


def sentence_loss(network: Network, rows: Apart, wanted: Tensor) -> Tensor:
    """Return the mean of 1 - cosine between the network's vectors and those wanted."""
    own = [network.encoder.sentence_vectors(*part) for part in rows.rows]
    return 1 - functional.cosine_similarity(torch.cat(own).float(), wanted, dim=-1).mean()
