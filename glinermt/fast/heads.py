"""The heads text by text, in pieces that stay in the processor's cache."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from glinermt.fast.attention import PIECE_BYTES
from glinermt.fast.linear import Activation, Linear, MakeLinear, MakeLinears
from glinermt.heads import Head, SpanHead, TokenHead
from glinermt.heads.relation import Pairs, RelationHead, between, distance_bucket, range_means

FastHead = Callable[[Tensor, Tensor, Sequence[int], Sequence[int]], Tensor]


class FastTokenHead:
    """``TokenHead`` over real words and labels only."""

    def __init__(self, head: TokenHead, linears: MakeLinears) -> None:
        make = linears.usual
        first, last = head.out_mlp[0], head.out_mlp[3]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        self.size = last.weight.shape[1]
        for_word, for_label, for_pair = first.weight.chunk(3, dim=1)
        self.proj_token = make(head.proj_token.weight, head.proj_token.bias, "none")
        self.proj_label = make(head.proj_label.weight, head.proj_label.bias, "none")
        self.for_word = make(for_word, first.bias, "none")
        self.for_label = make(for_label, None, "none")
        self.for_pair = make(for_pair, None, "none")
        self.last = linears.outer(last.weight, last.bias, "none")

    def __call__(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
        num_words: Sequence[int],
        num_labels: Sequence[int],
    ) -> Float[Tensor, "batch word label 3"]:
        """Return the logits; those of padding are zero."""
        word, word_factor = _halves(self.proj_token, words)
        label, label_factor = _halves(self.proj_label, labels)
        word, label = _apply(self.for_word, word), _apply(self.for_label, label)
        logits = words.new_zeros(*words.shape[:2], labels.shape[1], 3)
        for row, (length, wide) in enumerate(zip(num_words, num_labels, strict=True)):
            for part in _pieces(length if wide else 0, 4 * wide * self.size):
                pair = word_factor[row, part, None] * label_factor[row, None, :wide]
                hidden = self.for_pair(pair.flatten(0, 1)).view(-1, wide, self.size)
                hidden.add_(word[row, part, None]).add_(label[row, None, :wide]).relu_()
                logits[row, part, :wide] = _apply(self.last, hidden)
        return logits


class FastSpanHead:
    """``SpanHead`` over real words and labels only."""

    def __init__(self, head: SpanHead, linears: MakeLinears) -> None:
        make = linears.usual
        mlp = list(head.out_project) if isinstance(head.out_project, nn.Sequential) else []
        first = mlp[0] if mlp else head.out_project
        assert isinstance(first, nn.Linear)
        for_start, for_end = first.weight.chunk(2, dim=1)
        self.max_width = head.max_width
        self.size = first.weight.shape[0]
        self.start = [*_mlp(head.project_start, make, "relu"), make(for_start, first.bias, "none")]
        self.end = [*_mlp(head.project_end, make, "relu"), make(for_end, None, "none")]
        self.label = _mlp(head.prompt_rep, make, "none")
        self.fold: tuple[Tensor, Tensor] | None = None
        if mlp:
            assert isinstance(mlp[3], nn.Linear)
            second = mlp[3].weight.detach(), mlp[3].bias.detach()
            self.fold = second[0].to(linears.result), second[1].to(linears.result)

    def __call__(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
        num_words: Sequence[int],
        num_labels: Sequence[int],
    ) -> Float[Tensor, "batch word label width"]:
        """Return the logits; those of padding and of spans beyond the text are zero."""
        start, end = _chain(self.start, words), _chain(self.end, words)
        label = _chain(self.label, labels)
        logits = words.new_zeros(*words.shape[:2], labels.shape[1], self.max_width)
        for row, (length, wide) in enumerate(zip(num_words, num_labels, strict=True)):
            factors, bias = label[row, :wide], label.new_zeros(wide)
            if self.fold is not None:
                weight, offset = self.fold
                factors, bias = factors @ weight, factors @ offset
            for part in _pieces(length, 4 * self.size):
                for width in range(min(self.max_width, length - part.start)):
                    stop = min(part.stop, length - width)
                    span = (
                        start[row, part.start : stop] + end[row, part.start + width : stop + width]
                    )
                    if self.fold is not None:
                        span.relu_()
                    logits[row, part.start : stop, :wide, width] = torch.addmm(
                        bias, span, factors.t()
                    )
        return logits


class FastRelationHead:
    """``RelationHead`` with what head and tail share computed once for both orders of a pair."""

    def __init__(self, head: RelationHead, linears: MakeLinears) -> None:
        make = linears.usual
        self.plain = head
        self.size = head.head.weight.shape[0]
        self.head = make(head.head.weight, head.head.bias, "none")
        self.tail = make(head.tail.weight, None, "none")
        self.product = make(head.product.weight, None, "none")
        self.between = make(head.between.weight, None, "none")

    def __call__(
        self,
        words: Float[Tensor, "batch word hidden"],
        relations: Float[Tensor, "batch relation hidden"],
        pairs: Pairs,
    ) -> Float[Tensor, "pair relation"]:
        """Return the logits."""
        row, start, end = pairs.mentions.unbind(1)
        mentions = range_means(words, row, start, end)
        head, tail = self.head(mentions).float(), self.tail(mentions).float()
        shared, which = self._shared(words, mentions, pairs)
        distance, bucket = self.plain.distance.weight, distance_bucket(pairs)
        factors, offset = self.plain.factors(relations)
        logits = words.new_empty(len(pairs), relations.shape[1])
        edges = torch.searchsorted(pairs.row, torch.arange(len(words) + 1)).tolist()
        for row_, (first, stop) in enumerate(itertools.pairwise(edges)):
            for piece in _pieces(stop - first, 4 * self.size):
                part = slice(first + piece.start, first + piece.stop)
                hidden = shared[which[part]]
                hidden += head[pairs.head[part]]
                hidden += tail[pairs.tail[part]]
                hidden += distance[bucket[part]]
                logits[part] = torch.addmm(offset[row_], hidden.relu_(), factors[row_].T)
        return logits

    def _shared(
        self,
        words: Float[Tensor, "batch word hidden"],
        mentions: Float[Tensor, "mention hidden"],
        pairs: Pairs,
    ) -> tuple[Float[Tensor, "both inner"], Int[Tensor, " pair"]]:
        """Return the parts of the product and the words between, and which of them a pair uses."""
        low, high = torch.minimum(pairs.head, pairs.tail), torch.maximum(pairs.head, pairs.tail)
        both, which = torch.unique(low * len(mentions) + high, return_inverse=True)
        low, high = both // len(mentions), both % len(mentions)
        once = Pairs(pairs.mentions, low, high)
        part = _apply(self.between, words).float()
        shared = range_means(part, once.row, *between(once))
        shared += self.product(mentions[low] * mentions[high])
        return shared, which


class PlainHead:
    """A head's own forward."""

    def __init__(self, head: Head) -> None:
        self.head = head

    def __call__(
        self,
        words: Float[Tensor, "batch word hidden"],
        labels: Float[Tensor, "batch label hidden"],
        num_words: Sequence[int],  # noqa: ARG002  padding is scored too
        num_labels: Sequence[int],  # noqa: ARG002
    ) -> Float[Tensor, "batch word label axis"]:
        logits: Tensor = self.head(words, labels)
        return logits


def fast_head(head: Head, make: MakeLinears) -> FastHead:
    """Return the fast form of a head, or its own forward where no fast form is known."""
    if type(head) is TokenHead:
        return FastTokenHead(head, make)
    if type(head) is SpanHead:
        return FastSpanHead(head, make)
    return PlainHead(head)


def _pieces(length: int, bytes_each: int) -> Iterator[slice]:
    """Cut ``length`` words into slices of near-equal length, none wider than the cache."""
    most = max(1, PIECE_BYTES // max(1, bytes_each))
    count = -(-length // most)
    size = -(-length // max(1, count))
    for first in range(0, length, max(1, size)):
        yield slice(first, min(first + size, length))


def _apply(linear: Linear, rows: Tensor) -> Tensor:
    return linear(rows.flatten(0, 1)).view(*rows.shape[:2], -1)


def _halves(linear: Linear, rows: Tensor) -> tuple[Tensor, Tensor]:
    first, second = _apply(linear, rows).chunk(2, dim=-1)
    return first, second


def _chain(linears: Sequence[Linear], rows: Tensor) -> Tensor:
    for linear in linears:
        rows = _apply(linear, rows)
    return rows


def _mlp(layers: nn.Module, make: MakeLinear, then: Activation) -> list[Linear]:
    assert isinstance(layers, nn.Sequential)
    first, last = layers[0], layers[3]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    return [make(first.weight, first.bias, "relu"), make(last.weight, last.bias, then)]
