"""GLiNER's span head: every span up to a maximum width is scored against every label."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glinermt.config import ModelConfig
from glinermt.decode import Candidates, span_candidates
from glinermt.heads.base import Head
from glinermt.types import SpanScore


def projection(size: int, inner: int, dropout: float, out: int | None = None) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, out or size)
    )


class SpanHead(Head):
    """Zaratiana et al. 2023, section 2.2; ``markerV0`` as published since 2024, or ``marker``.

    A span's vector is an MLP of its first and last word's vectors, its score the dot product with
    the label's. The MLP's first layer is applied to first and last words before they are paired,
    and its last layer to the labels: the same sums at a sixth of the cost.
    """

    def __init__(
        self,
        hidden_size: int,
        max_width: int = 12,
        dropout: float = 0.4,
        mode: Literal["markerV0", "marker"] = "markerV0",
    ) -> None:
        super().__init__()
        self.max_width = max_width
        inner = (4 if mode == "markerV0" else 2) * hidden_size
        self.project_start = projection(hidden_size, inner, dropout)
        self.project_end = projection(hidden_size, inner, dropout)
        self.out_project: nn.Module = nn.Linear(2 * hidden_size, hidden_size)
        if mode == "markerV0":
            self.out_project = projection(2 * hidden_size, inner, dropout, out=hidden_size)
        self.prompt_rep = projection(hidden_size, 4 * hidden_size, dropout)

    @classmethod
    def from_config(cls, hidden_size: int, config: ModelConfig) -> "SpanHead":
        return cls(hidden_size, config.max_width, config.dropout, config.span_mode)

    def forward(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
    ) -> Float[Tensor, "batch word label width"]:
        layers = list(self.out_project) if isinstance(self.out_project, nn.Sequential) else []
        first = layers[0] if layers else self.out_project
        assert isinstance(first, nn.Linear)
        for_start, for_end = first.weight.chunk(2, dim=1)
        start = functional.linear(self.project_start(words).relu(), for_start, first.bias)
        end = functional.linear(self.project_end(words).relu(), for_end)
        label = self.prompt_rep(labels)
        bias = label.new_zeros(1)
        if layers:
            bias = (label @ layers[3].bias)[:, None]  # batch 1 label
            label = label @ layers[3].weight
        columns = []
        num_words = end.shape[1]
        end = functional.pad(end, (0, 0, 0, self.max_width))
        for k in range(self.max_width):
            span = start + end[:, k : k + num_words]
            for layer in layers[1:3]:
                span = layer(span)
            columns.append(span @ label.transpose(1, 2) + bias)
        return torch.stack(columns, dim=-1)

    def targets(
        self, spans: Int[Tensor, "span 4"], shape: tuple[int, int, int]
    ) -> Float[Tensor, "batch word label width"]:
        """Spans wider than the maximum have no place and are left out."""
        target = torch.zeros(*shape, self.max_width)
        row, start, end, label = spans.unbind(1)
        fits = end - start <= self.max_width
        target[row[fits], start[fits], label[fits], (end - start - 1)[fits]] = 1
        return target

    def valid(
        self, word_mask: Bool[Tensor, "batch word"], label_mask: Bool[Tensor, "batch label"]
    ) -> Bool[Tensor, "batch word label width"]:
        width = torch.arange(self.max_width, device=word_mask.device)
        word = torch.arange(word_mask.shape[1], device=word_mask.device)
        last = word[:, None] + width  # word width
        fits = last[None] < word_mask.sum(1)[:, None, None]  # batch word width
        return fits[:, :, None] & label_mask[:, None, :, None]

    def touches(self, words: Bool[Tensor, "batch word"]) -> Bool[Tensor, "batch word 1 width"]:
        before = functional.pad(words.long().cumsum(1), (1, self.max_width))
        before[:, -self.max_width :] = before[:, -self.max_width - 1, None]
        columns = [before[:, k + 1 :][:, : words.shape[1]] for k in range(self.max_width)]
        return (torch.stack(columns, 2) > before[:, : words.shape[1], None])[:, :, None]

    def candidates(
        self,
        probabilities: Float[np.ndarray, "word label width"],
        threshold: Float[np.ndarray, " label"],
        span_score: SpanScore,  # noqa: ARG002  a span has one score here, whatever the rule
    ) -> Candidates:
        return span_candidates(probabilities, threshold)
