"""What families with a prompt of their own share: network, rows for the encoder, choice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from glinermt.decode import Candidates, best_apart, choose
from glinermt.encoder import token_vectors
from glinermt.errors import UntrainableError, UsageError
from glinermt.fast.choose import Remade
from glinermt.fast.encoder import FastEncoder, fast_encoder
from glinermt.fast.linear import linears_for
from glinermt.network import GoldRows, Losses, Network
from glinermt.reader import lines_of
from glinermt.rows import Pass, TokenizedWords
from glinermt.types import Ask, Query
from glinermt.windows import MIN_ROOM, merge_windows, windows


class FamilyNetwork(Network):
    """A network whose rows are made by its family's ``Reader``."""

    family: str
    encoder: Any  # as transformers makes it, not a ``WordEncoder``

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def check_trainable(self) -> None:
        raise UntrainableError(
            f"{self.family} models are read by their own prompt, and cannot be fine-tuned here; "
            "fine-tune a GLiNER, bi-encoder or relex checkpoint, or the shipped model"
        )

    def forward(self, *_: object) -> NoReturn:
        raise TypeError(f"{self.family} models score rows one by one; read queries with the model")

    def losses(self, batch: GoldRows, **_: float) -> Losses:  # noqa: ARG002
        self.check_trainable()
        raise NotImplementedError

    def encoders(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder}


@dataclass(frozen=True, slots=True)
class TextRow:
    """One row: some words of a text, and the labels that stand before them, if any do."""

    window: Pass
    token_ids: list[int]
    words: list["TokenRange"]
    """Tokens of each word, prompt words first."""
    num_prompt: int
    labels_at: list[int] = field(default_factory=list)
    """Positions that the vectors of labels are read from."""
    relations_at: list[int] = field(default_factory=list)
    relations: range = range(0)
    """Which of the query's relations the row asks for."""
    stored: tuple[list[int], list[int]] | None = None
    """Which of the network's own vectors are those of labels and relations; None = they are read
    from the row."""


def text_rows(
    text: TokenizedWords,
    max_tokens: int,
    *,
    asked: tuple[int, range],
    head: Sequence[int],
    prompt: TokenizedWords,
    suffix: Sequence[int] = (),
) -> Iterator[TextRow]:
    """Yield a row for each window of a text.

    Args:
        text: the words to cut into windows.
        max_tokens: of a row.
        asked: the query's number, and which of its labels the rows ask for.
        head: what begins each row.
        prompt: words between ``head`` and the text.
        suffix: what ends each row.

    Raises:
        ValueError: head and prompt leave no room for the text.
    """
    fixed = [*head, *prompt.token_ids]
    room = max_tokens - len(fixed) - len(suffix)
    if room < min(MIN_ROOM, len(text.token_ids)):
        raise UsageError(
            f"prompt and labels take {len(fixed)} of the {max_tokens} tokens the model reads at "
            "a time, which leaves no room for the text; shorten them"
        )
    before = _ranges(prompt.first_token, len(head), len(fixed))
    for first, last in windows(text.first_token, room):
        starts = text.first_token[first : last + 1]
        own = text.token_ids[starts[0] : starts[-1]][:room]
        words = _ranges(starts, len(fixed) - starts[0], len(fixed) + len(own))
        ids = [*fixed, *own, *suffix]
        window = Pass(*asked, first, last, len(ids))
        yield TextRow(window, ids, [*before, *words], len(before))


def _ranges(first_token: Sequence[int], by: int, end: int) -> list["TokenRange"]:
    """Return the tokens of words in a row, moved and cut at ``end``."""
    return [(min(a + by, end), min(b + by, end)) for a, b in pairwise(first_token)]


class RowEncoder:
    """An encoder for inference: rows of token ids in, the vectors of some of their tokens out."""

    def __init__(self, encoder: nn.Module, pad_token_id: int) -> None:
        self.encoder = encoder
        self.pad_token_id = pad_token_id
        self._fast = Remade[FastEncoder]()

    @torch.inference_mode()
    def __call__(
        self, rows: Sequence[Sequence[int]], keep: Sequence[Sequence[int]]
    ) -> list[Float[Tensor, "kept hidden"]]:
        """Return, row by row, the last hidden states at the positions ``keep``."""
        fast = self._fast.of(self.encoder, lambda: fast_encoder(self.encoder, linears_for("exact")))
        if fast is None:
            return encoded(self.encoder, rows, keep, self.pad_token_id)
        ids = torch.tensor([token for row in rows for token in row])
        lengths = [len(row) for row in rows]
        wanted, places, start = torch.zeros(len(ids), dtype=torch.bool), [], 0
        for row, positions in zip(rows, keep, strict=True):
            places.append(torch.tensor(positions, dtype=torch.long) + start)
            wanted[places[-1]] = True
            start += len(row)
        kept = wanted.nonzero().squeeze(1)
        index = torch.cumsum(wanted, 0) - 1
        vectors = fast(ids, lengths, kept)
        return [vectors[index[place]] for place in places]

    def __deepcopy__(self, memo: dict[int, Any]) -> "RowEncoder":
        from copy import deepcopy

        return RowEncoder(deepcopy(self.encoder, memo), self.pad_token_id)


def encoded(
    encoder: nn.Module,
    rows: Sequence[Sequence[int]],
    keep: Sequence[Sequence[int]],
    pad_token_id: int,
) -> list[Float[Tensor, "kept hidden"]]:
    """Return what ``RowEncoder`` does, by the encoder's own forward, through which it can learn."""
    device = next(encoder.parameters()).device
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    ids = pad_sequence(tensors, batch_first=True, padding_value=pad_token_id)
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(ids.shape[1]) < lengths[:, None]
    hidden = token_vectors(encoder, ids.to(device), mask.to(device))
    return [
        vectors[torch.tensor(positions, dtype=torch.long, device=device)]
        for vectors, positions in zip(hidden, keep, strict=True)
    ]


def by_length(sizes: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield groups of indices of similar size, each within ``budget`` with its padding."""
    group: list[int] = []
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if group and (len(group) + 1) * sizes[group[0]] > budget:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


Pooling = Literal["first", "last", "mean", "max"]
TokenRange = tuple[int, int]


def tokens_read(words: Sequence[TokenRange], pooling: Pooling) -> list[int]:
    """Return the positions of the tokens that ``pool_words`` needs, word after word."""
    if pooling in ("first", "last"):
        return [start if pooling == "first" else end - 1 for start, end in words if start < end]
    return [position for start, end in words for position in range(start, end)]


def pool_words(
    tokens: Float[Tensor, "read hidden"], words: Sequence[TokenRange], pooling: Pooling
) -> Float[Tensor, "word hidden"]:
    """Return a vector for each word from those of its tokens; zeros where it has none."""
    lengths = torch.tensor([end - start for start, end in words])
    if pooling in ("first", "last"):
        pooled = tokens.new_zeros(len(words), tokens.shape[1])
        pooled[(lengths > 0).to(tokens.device)] = tokens
        return pooled
    owner = torch.arange(len(words)).repeat_interleave(lengths).to(tokens.device)
    reduce = "mean" if pooling == "mean" else "amax"
    index = owner[:, None].expand_as(tokens)
    empty = tokens.new_zeros(len(words), tokens.shape[1])
    return empty.scatter_reduce(0, index, tokens, reduce, include_self=False)


def chosen_of(
    parts: Sequence[Candidates], query: Query, offsets: Sequence[tuple[int, int]], ask: Ask
) -> Candidates:
    """Return the spans that stay, in the order of the text.

    Args:
        parts: at least one, counted from the text's first word.
        query: says whether spans may run across lines.
        offsets: characters of each word.
        ask: how to choose.
    """
    together = within_lines(Candidates.concatenate(parts), query, offsets)
    if len(parts) > 1:
        together = merge_windows(together)
    chosen = choose(
        together, num_words=len(offsets), overlap=ask.overlap, multi_label=ask.multi_label
    )
    return best_apart(chosen, query.best.count if query.best else None)


def within_lines(
    candidates: Candidates, query: Query, offsets: Sequence[tuple[int, int]]
) -> Candidates:
    """Return the candidates that the query allows: those of one line, or all."""
    lines = lines_of(query, offsets)
    return candidates.take(lines[candidates.start] == lines[candidates.end - 1])
