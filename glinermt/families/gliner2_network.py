"""The network of GLiNER2 span checkpoints: one encoder row, and a head for each kind of task.

The names of weights are those of the package gliner2 2.1.0, which it was checked against.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from glinermt.errors import UsageError, unknown_choice
from glinermt.families.base import FamilyNetwork
from glinermt.heads.span import projection

MAX_COUNT = 20
"""Instances of a structure or relation that the network can tell, 0 to 19."""


def mlp(size: int, inner: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, inner), nn.ReLU(), nn.Linear(inner, out))


class Gliner2Network(FamilyNetwork):
    """The encoder and the heads that read its vectors; see each method."""

    family = "GLiNER2"

    def __init__(self, encoder: nn.Module, *, max_width: int, counting: str) -> None:
        super().__init__()
        if counting not in COUNTING:
            raise UsageError(f"counting_layer: {unknown_choice('layer', counting, COUNTING)}")
        size = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.max_width = max_width
        self.encoder = encoder
        self.span_rep = SpanVectors(size)
        self.classifier = mlp(size, 2 * size, 1)
        self.count_pred = mlp(size, 2 * size, MAX_COUNT)
        self.count_embed = COUNTING[counting](size)

    def class_logits(self, labels: Float[Tensor, "label hidden"]) -> Float[Tensor, " label"]:
        """Return a logit for each label of a classification, from its marker's vector."""
        logits: Tensor = self.classifier(labels).squeeze(-1)
        return logits

    def count(self, prompt: Float[Tensor, " hidden"]) -> int:
        """Return how many instances the text has, from the vector of the group's ``[P]``."""
        return int(self.count_pred(prompt).argmax())

    def span_logits(
        self,
        words: Float[Tensor, "word hidden"],
        fields: Float[Tensor, "field hidden"],
        count: int,
    ) -> Float[Tensor, "count field word width"]:
        """Return a logit for each span and field, once for each instance.

        Spans that pass the end of the text have minus infinity.
        """
        queries = self.count_embed(fields, count)
        logits = torch.einsum("wkh,cfh->cfwk", self.span_rep(words, self.max_width), queries)
        last = torch.arange(len(words))[:, None] + torch.arange(self.max_width)
        return logits.masked_fill((last >= len(words)).to(logits.device), float("-inf"))


class SpanVectors(nn.Module):
    """GLiNER's ``markerV0``: an MLP of the first and the last word's vectors."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.project_start = projection(size, 4 * size, 0.0)
        self.project_end = projection(size, 4 * size, 0.0)
        self.out_project = projection(2 * size, 4 * size, 0.0, out=size)

    def forward(
        self, words: Float[Tensor, "word hidden"], max_width: int
    ) -> Float[Tensor, "word width hidden"]:
        first = self.project_start(words)[:, None].expand(-1, max_width, -1)
        ends = functional.pad(self.project_end(words), (0, 0, 0, max_width - 1))
        last = ends.unfold(0, max_width, 1).transpose(1, 2)
        span: Tensor = self.out_project(torch.cat([first, last], dim=-1).relu())
        return span


class _Counting(nn.Module):
    """A GRU that begins at a field's vector and is told the number of the instance."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.pos_embedding = nn.Embedding(MAX_COUNT, size)
        self.gru = nn.GRU(size, size)

    def unroll(
        self, fields: Float[Tensor, "field hidden"], count: int
    ) -> Float[Tensor, "count field hidden"]:
        steps = self.pos_embedding.weight[:count, None].expand(-1, len(fields), -1)
        output: Tensor = self.gru(steps.contiguous(), fields[None].contiguous())[0]
        return output


class CountLSTM(_Counting):
    """``count_lstm``: an MLP of the GRU's output beside the field's vector."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.projector = mlp(2 * size, 4 * size, size)

    def forward(
        self, fields: Float[Tensor, "field hidden"], count: int
    ) -> Float[Tensor, "count field hidden"]:
        output = self.unroll(fields, count)
        queries: Tensor = self.projector(torch.cat([output, fields.expand_as(output)], dim=-1))
        return queries


class CountLSTMv2(_Counting):
    """``count_lstm_v2``: a small transformer over the fields of one instance."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.transformer = _FieldTransformer(size)

    def forward(
        self, fields: Float[Tensor, "field hidden"], count: int
    ) -> Float[Tensor, "count field hidden"]:
        queries: Tensor = self.transformer(self.unroll(fields, count) + fields)
        return queries


class _FieldTransformer(nn.Module):
    def __init__(self, size: int, inner: int = 128) -> None:
        super().__init__()
        self.in_projector = nn.Linear(size, inner)
        layer = nn.TransformerEncoderLayer(inner, 4, 2 * inner, 0.0, batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out_projector = nn.Sequential(
            nn.Linear(inner + size, size),
            nn.ReLU(),
            nn.Linear(size, size),
            nn.ReLU(),
            nn.Linear(size, size),
        )

    def forward(
        self, fields: Float[Tensor, "count field hidden"]
    ) -> Float[Tensor, "count field hidden"]:
        if not len(fields):
            return fields
        mixed = self.transformer(self.in_projector(fields))
        queries: Tensor = self.out_projector(torch.cat([mixed, fields], dim=-1))
        return queries


class CountLSTMMoE(_Counting):
    """``count_lstm_moe``: four small MLPs, mixed by a router."""

    def __init__(self, size: int, experts: int = 4) -> None:
        super().__init__(size)
        inner = 2 * size
        self.w1 = nn.Parameter(torch.zeros(experts, size, inner))
        self.b1 = nn.Parameter(torch.zeros(experts, inner))
        self.w2 = nn.Parameter(torch.zeros(experts, inner, size))
        self.b2 = nn.Parameter(torch.zeros(experts, size))
        self.router = nn.Sequential(nn.Linear(size, size), nn.GELU(), nn.Linear(size, experts))

    def forward(
        self, fields: Float[Tensor, "field hidden"], count: int
    ) -> Float[Tensor, "count field hidden"]:
        output = self.unroll(fields, count)
        gates = self.router(output).softmax(-1)
        inner = functional.gelu(torch.einsum("cfh,ehi->cfei", output, self.w1) + self.b1)
        expert = torch.einsum("cfei,eih->cfeh", inner, self.w2) + self.b2
        return torch.einsum("cfe,cfeh->cfh", gates, expert)


COUNTING: dict[str, Callable[[int], nn.Module]] = {
    "count_lstm": CountLSTM,
    "count_lstm_v2": CountLSTMv2,
    "count_lstm_moe": CountLSTMMoE,
}
"""Layers by the name that ``counting_layer`` gives."""
