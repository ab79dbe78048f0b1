"""The network of GLiFormer text checkpoints: entities, relations, classes and vectors of texts.

The names and rules were verified against the PyPI package ``gliformer`` 0.1.3.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glinermt.families.base import FamilyNetwork
from glinermt.families.gliformer_layers import Anchor, Modeling, two_layers
from glinermt.families.gliformer_relations import RelationHead
from glinermt.heads import TokenHead
from glinermt.layers import BiLSTM, resized

TextPooling = Literal["mean", "max", "weighted", "cls"]
Scorer = Literal["dot", "scaled-dot", "weighted-dot"]


class GliformerNetwork(FamilyNetwork):
    """Encoder, BiLSTM over words, and a head for each of the tasks that the model has."""

    family = "GLiFormer"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden_size: int,
        num_rnn_layers: int,
        dropout: float,
        entities: "EntityHead | None",
        classes: "ClassHead | None",
        embedding: "EmbeddingHead | None" = None,
        relations: RelationHead | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projection = resized(encoder, hidden_size)
        self.rnn = BiLSTM(hidden_size, num_rnn_layers, dropout) if num_rnn_layers else None
        self.entities = entities
        self.classes = classes
        self.embedding = embedding
        self.relations = relations


class EntityHead(nn.Module):
    """GLiNER's token head on anchored labels."""

    def __init__(self, size: int, modeling: Modeling, dropout: float) -> None:
        super().__init__()
        self.anchor_modeling = Anchor(size, modeling, dropout=dropout > 0)
        self.scorer = TokenHead(size, dropout)

    def forward(
        self,
        words: Float[Tensor, "word hidden"],
        group: Float[Tensor, " hidden"],
        labels: Float[Tensor, "label hidden"],
    ) -> Float[Tensor, "word label 3"]:
        anchored: Tensor = self.anchor_modeling(group[None], labels)
        logits: Tensor = self.scorer(words[None], anchored[None])[0]
        return logits


class ClassHead(nn.Module):
    """Compares anchored labels with one vector of the text."""

    def __init__(
        self, size: int, modeling: Modeling, pooling: TextPooling, scorer: Scorer, dropout: float
    ) -> None:
        super().__init__()
        self.anchor_modeling = Anchor(size, modeling, dropout=dropout > 0)
        self.pooling = _Pooling(size, pooling)
        self.scorer = _WeightedDot(size, dropout) if scorer == "weighted-dot" else None
        self.scale = math.sqrt(size) if scorer == "scaled-dot" else 1.0

    def forward(
        self,
        words: Float[Tensor, "word hidden"],
        first: Float[Tensor, " hidden"],
        group: Float[Tensor, " hidden"],
        labels: Float[Tensor, "label hidden"],
    ) -> Float[Tensor, " label"]:
        """Return a logit a label.

        Args:
            words: vectors of the text's words.
            first: the encoder's vector of the row's first token.
            group: vector of the group's marker.
            labels: vectors of the labels' markers.
        """
        text: Tensor = self.pooling(words, first)
        anchored: Tensor = self.anchor_modeling(group[None], labels)
        if self.scorer is not None:
            scored: Tensor = self.scorer(text, anchored)
            return scored
        return anchored @ text / self.scale


class EmbeddingHead(nn.Module):
    """Makes one vector of a text that is read alone."""

    def __init__(self, size: int, pooling: TextPooling, width: int | None) -> None:
        super().__init__()
        self.width = width or size
        self.projection = nn.Identity() if width is None else two_layers(size, size, width)
        self.pooling = _Pooling(self.width, pooling)

    def forward(self, tokens: Float[Tensor, "token hidden"]) -> Float[Tensor, " width"]:
        """Return the vector of a text; its first token is the row's first."""
        tokens = self.projection(tokens)
        pooled: Tensor = self.pooling(tokens, tokens[0])
        return pooled


class _Pooling(nn.Module):
    def __init__(self, size: int, kind: TextPooling) -> None:
        super().__init__()
        self.kind = kind
        if kind == "weighted":
            self.pool_weights = nn.Linear(size, 1)

    def forward(
        self, words: Float[Tensor, "word hidden"], first: Float[Tensor, " hidden"]
    ) -> Float[Tensor, " hidden"]:
        if self.kind == "cls":
            return first
        if self.kind == "max":
            return words.amax(0)
        if self.kind == "weighted":
            weights: Tensor = self.pool_weights(words).softmax(0)
            return (weights * words).sum(0)
        return words.mean(0)


class _WeightedDot(nn.Module):
    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.proj_text = nn.Linear(size, 2 * size)
        self.proj_label = nn.Linear(size, 2 * size)
        self.out_mlp = nn.Sequential(
            nn.Linear(3 * size, 4 * size), nn.Dropout(dropout), nn.ReLU(), nn.Linear(4 * size, 1)
        )

    def forward(
        self, text: Float[Tensor, " hidden"], labels: Float[Tensor, "label hidden"]
    ) -> Float[Tensor, " label"]:
        own, own_factor = self.proj_text(text).expand(len(labels), -1).chunk(2, dim=-1)
        label, label_factor = self.proj_label(labels).chunk(2, dim=-1)
        pair = torch.cat([own, label, own_factor * label_factor], dim=-1)
        logits: Tensor = self.out_mlp(pair).squeeze(-1)
        return logits
