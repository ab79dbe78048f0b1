"""The span heads of other published layouts: how a span's vector is made from its words'.

Each layout turns word vectors into ``batch word width hidden``; scores are dot products with the
labels', as in ``heads.span``. The names of weights are the package gliner's, its spelling too.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from glinermt.heads.span import SpanHead, projection

_SEGMENT = 128
"""Width of the learned vector of a span's width in the layout ``cat``."""


class VectorSpanHead(SpanHead):
    """A span head whose span vectors come from ``SPAN_VECTORS[mode]``."""

    def __init__(self, hidden_size: int, max_width: int, dropout: float, mode: str) -> None:
        nn.Module.__init__(self)
        self.max_width = max_width
        self.vectors = SPAN_VECTORS[mode](hidden_size, max_width, dropout)
        self.prompt_rep = projection(hidden_size, 4 * hidden_size, dropout)

    def forward(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
        word_mask: Bool[Tensor, "batch word"] | None = None,
    ) -> Float[Tensor, "batch word label width"]:
        if word_mask is None:
            word_mask = torch.ones(words.shape[:2], dtype=torch.bool, device=words.device)
        vectors = self.vectors(words * word_mask[:, :, None], word_mask)
        return torch.einsum("bwkh,blh->bwlk", vectors, self.prompt_rep(labels))


class Marker(nn.Module):
    """First and last word, and a third vector of the whole text.

    ``markerV1`` takes the mean of the words, ``markerV2`` the last word projected. The mean and
    the last word are of the text's own words, never of padding.
    """

    def __init__(self, hidden_size: int, max_width: int, dropout: float, third: str) -> None:
        super().__init__()
        inner = 4 * hidden_size
        self.max_width = max_width
        self.third = third
        self.project_start = projection(hidden_size, inner, dropout)
        self.project_end = projection(hidden_size, inner, dropout)
        if third == "last":
            self.project_context = projection(hidden_size, inner, dropout)
        else:  # in the files, read by nothing
            self.project_first = projection(hidden_size, inner, dropout)
        self.out_project = projection(3 * hidden_size, inner, dropout, out=hidden_size)

    def forward(
        self, words: Float[Tensor, "batch word hidden"], mask: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word width hidden"]:
        count = mask.sum(1).clamp(min=1)
        if self.third == "mean":
            context = words.sum(1) / count[:, None]
        else:
            last = (count - 1)[:, None, None].expand(-1, 1, words.shape[2])
            context = self.project_context(words.gather(1, last)[:, 0])
        start = self.project_start(words)[:, :, None].expand(-1, -1, self.max_width, -1)
        end = _last_words(self.project_end(words), self.max_width)
        whole = context[:, None, None].expand_as(start)
        span: Tensor = self.out_project(torch.cat([start, end, whole], dim=-1).relu())
        return span


class Query(nn.Module):
    """The first word times a learned vector of the width."""

    def __init__(self, hidden_size: int, max_width: int, _dropout: float) -> None:
        super().__init__()
        self.query_seg = nn.Parameter(torch.empty(hidden_size, max_width).uniform_(-1, 1))
        self.project = nn.Sequential(nn.Linear(hidden_size, hidden_size), nn.ReLU())

    def forward(
        self, words: Float[Tensor, "batch word hidden"], _mask: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word width hidden"]:
        span: Tensor = self.project(words[:, :, None] * self.query_seg.T)
        return span


class MLP(nn.Module):
    """The first word, projected once for each width."""

    def __init__(self, hidden_size: int, max_width: int, _dropout: float) -> None:
        super().__init__()
        self.max_width = max_width
        self.mlp = nn.Linear(hidden_size, hidden_size * max_width)

    def forward(
        self, words: Float[Tensor, "batch word hidden"], _mask: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word width hidden"]:
        flat: Tensor = self.mlp(words).relu()
        return flat.view(*words.shape[:2], self.max_width, -1)


class Cat(nn.Module):
    """The first word beside a learned vector of the width."""

    def __init__(self, hidden_size: int, max_width: int, _dropout: float) -> None:
        super().__init__()
        self.query_seg = nn.Parameter(torch.randn(_SEGMENT, max_width))
        self.project = nn.Sequential(nn.Linear(hidden_size + _SEGMENT, hidden_size), nn.ReLU())

    def forward(
        self, words: Float[Tensor, "batch word hidden"], _mask: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word width hidden"]:
        # The package reads the stored matrix in this order; it is not a transposition.
        width = self.query_seg.reshape(-1, _SEGMENT)[None, None]
        shape = (*words.shape[:2], width.shape[2])
        pair = [words[:, :, None].expand(*shape, -1), width.expand(*shape, -1)]
        span: Tensor = self.project(torch.cat(pair, dim=-1))
        return span


class Window(nn.Module):
    """All words of the span, put together by ``pool``: max, mean or sum."""

    def __init__(self, hidden_size: int, max_width: int, _dropout: float, pool: str) -> None:
        super().__init__()
        self.max_width = max_width
        self.pool = pool
        self.project = nn.Sequential(nn.ReLU(), nn.Linear(hidden_size, hidden_size))

    def forward(
        self, words: Float[Tensor, "batch word hidden"], _mask: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word width hidden"]:
        padded = functional.pad(words, (0, 0, 0, self.max_width - 1))
        windows = [padded.unfold(1, k + 1, 1)[:, : words.shape[1]] for k in range(self.max_width)]
        pooled = [
            window.amax(-1) if self.pool == "max" else getattr(window, self.pool)(-1)
            for window in windows
        ]
        span: Tensor = self.project(torch.stack(pooled, dim=2))
        return span


class _Convolution(nn.Module):
    def __init__(self, hidden_size: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(hidden_size, hidden_size, kernel_size)

    def forward(
        self, columns: Float[Tensor, "batch hidden padded"]
    ) -> Float[Tensor, "batch hidden word"]:
        found: Tensor = self.conv(columns)
        return found


class Convolutions(nn.Module):
    """All words of the span, by a convolution of the span's width."""

    def __init__(self, hidden_size: int, max_width: int, _dropout: float) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            _Convolution(hidden_size, width) for width in range(2, max_width + 1)
        )
        self.project = nn.Sequential(nn.ReLU(), nn.Linear(hidden_size, hidden_size))

    def forward(
        self, words: Float[Tensor, "batch word hidden"], _mask: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word width hidden"]:
        columns = words.transpose(1, 2)
        spans = [words]
        for width, block in enumerate(self.convs, start=1):
            assert isinstance(block, _Convolution)
            spans.append(block(functional.pad(columns, (0, width))).transpose(1, 2))
        span: Tensor = self.project(torch.stack(spans, dim=2))
        return span


class SharedConvolution(nn.Module):
    """The same by one kernel, of which a narrow span uses the first columns."""

    def __init__(self, hidden_size: int, max_width: int, _dropout: float) -> None:
        super().__init__()
        self.max_width = max_width
        self.conv_weigth = nn.Parameter(torch.empty(hidden_size, hidden_size, max_width))
        nn.init.kaiming_uniform_(self.conv_weigth, nonlinearity="relu")
        self.project = nn.Sequential(nn.ReLU(), nn.Linear(hidden_size, hidden_size))

    def forward(
        self, words: Float[Tensor, "batch word hidden"], _mask: Bool[Tensor, "batch word"]
    ) -> Float[Tensor, "batch word width hidden"]:
        columns = words.transpose(1, 2)
        spans = [
            functional.conv1d(functional.pad(columns, (0, k)), self.conv_weigth[:, :, : k + 1])
            for k in range(self.max_width)
        ]
        span: Tensor = self.project(torch.stack(spans, dim=-1).permute(0, 2, 3, 1))
        return span


def _last_words(
    words: Float[Tensor, "batch word hidden"], max_width: int
) -> Float[Tensor, "batch word width hidden"]:
    """Return, for each first word and width, the vector of the last word; zeros past the text."""
    padded = functional.pad(words, (0, 0, 0, max_width - 1))
    return padded.unfold(1, max_width, 1).transpose(2, 3)


SPAN_VECTORS: dict[str, Callable[[int, int, float], nn.Module]] = {
    "markerV1": lambda size, width, dropout: Marker(size, width, dropout, "mean"),
    "markerV2": lambda size, width, dropout: Marker(size, width, dropout, "last"),
    "query": Query,
    "mlp": MLP,
    "cat": Cat,
    "conv_conv": Convolutions,
    "conv_max": lambda size, width, dropout: Window(size, width, dropout, "max"),
    "conv_mean": lambda size, width, dropout: Window(size, width, dropout, "mean"),
    "conv_sum": lambda size, width, dropout: Window(size, width, dropout, "sum"),
    "conv_share": SharedConvolution,
}
"""Layouts by the name that a published configuration gives in ``span_mode``."""
