"""The class heads: each class label is scored against the text as a whole."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from glinermt.config import ModelConfig


class ClassHead(nn.Module):
    """Scores ``[label, text, label * text]`` with an MLP; the text is the mean of its words.

    The label vector has read the text in the encoder. The first layer is applied by parts, as in
    ``TokenHead``. Logits of different passes are comparable: each class has its own, and softmax
    or sigmoid is applied to all of them together by who reads them.
    """

    @classmethod
    def from_config(cls, hidden_size: int, config: ModelConfig) -> "ClassHead":
        return cls(hidden_size, config.dropout)

    def __init__(self, hidden_size: int, dropout: float = 0.1) -> None:
        super().__init__()
        inner = 2 * hidden_size
        self.label = nn.Linear(hidden_size, inner)
        self.text = nn.Linear(hidden_size, inner, bias=False)
        self.product = nn.Linear(hidden_size, inner, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(inner, 1)

    def forward(
        self,
        words: Float[Tensor, "batch word hidden"],
        text_mask: Bool[Tensor, "batch word"],
        classes: Float[Tensor, "batch label hidden"],
    ) -> Float[Tensor, "batch label"]:
        """Return the logits; those of padding are arbitrary.

        Args:
            words: vectors of the prompt's and the text's words.
            text_mask: the words of the text; a row without any counts as a zero vector.
            classes: vectors of the class labels.
        """
        weight = text_mask.to(words.dtype)[:, None]  # batch 1 word
        text = (weight @ words) / weight.sum(-1, keepdim=True).clamp(min=1)  # batch 1 hidden
        hidden = self.label(classes) + self.text(text) + self.product(classes * text)
        logits: Tensor = self.out(self.dropout(hidden.relu())).squeeze(-1)
        return logits


SCALE, BIAS = 20.0, -8.0
"""Where ``ClassSimilarity`` begins: cosines of sentence encoders of a text and a name that fits it
lie around 0.4, others around 0.1."""


class ClassSimilarity(nn.Module):
    """Scores ``scale * cosine(text, label) + bias``; text and label are read apart.

    Both vectors are means over the tokens of a row of their own, as in Sentence-BERT (Reimers and
    Gurevych 2019), so an encoder that was pretrained to compare sentences tells classes apart
    before it has seen one, and the cost of a text does not grow with the number of labels.
    """

    @classmethod
    def from_config(cls, _: int, __: ModelConfig) -> "ClassSimilarity":
        return cls()

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))
        self.bias = nn.Parameter(torch.tensor(BIAS))

    def forward(
        self,
        texts: Float[Tensor, "batch hidden"],
        classes: Float[Tensor, "batch label hidden"],
    ) -> Float[Tensor, "batch label"]:
        """Return the logits; those of padding are arbitrary."""
        cosine = functional.cosine_similarity(texts[:, None], classes, dim=-1)
        return self.log_scale.exp() * cosine + self.bias


def class_loss(
    logits: Float[Tensor, "batch label"],
    targets: Float[Tensor, "batch label"],
    valid: Bool[Tensor, "batch label"],
    one_of: Bool[Tensor, " batch"],
    *,
    smoothing: float = 0.0,
) -> Float[Tensor, " batch"]:
    """Return each row's loss: cross-entropy where one class holds, else the sum over classes.

    Args:
        logits: scores before softmax or sigmoid.
        targets: 1 where a class holds, else 0.
        valid: the labels that are there.
        one_of: rows whose classes shut each other out: softmax over them. A row that says so and
            has no class that holds (all its candidates are wrong) is scored by sigmoids.
        smoothing: the a of ``t (1 - a) + a / 2`` (sigmoid) or ``a / classes`` (softmax).
    """
    smooth = targets * (1 - smoothing) + 0.5 * smoothing
    each = functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
    sigmoid = (each * valid).sum(1)
    softmax = choice_loss(logits, targets, valid, smoothing=smoothing)
    return torch.where(one_of & (targets * valid).any(1), softmax, sigmoid)


def choice_loss(
    logits: Float[Tensor, "row label"],
    targets: Float[Tensor, "row label"],
    valid: Bool[Tensor, "row label"],
    *,
    smoothing: float = 0.0,
) -> Float[Tensor, " row"]:
    """Return each row's cross-entropy over its valid labels, by softmax.

    Without smoothing that of a row in which no label holds is 0; see ``class_loss``.
    """
    chosen = torch.log_softmax(logits.masked_fill(~valid, -torch.inf), dim=1)
    number = valid.sum(1, keepdim=True).clamp(min=1)
    holding = targets * valid
    wanted = holding / holding.sum(1, keepdim=True).clamp(min=1)
    wanted = (wanted * (1 - smoothing) + smoothing / number) * valid
    return -(wanted * chosen.masked_fill(~valid, 0.0)).sum(1)
