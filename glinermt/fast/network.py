"""A network's forward for inference: a batch in, its output, no work on padding tokens."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glinermt.encoder import Batch
from glinermt.fast.encoder import FastEncoder
from glinermt.fast.heads import FastRelationHead, fast_head
from glinermt.fast.linear import MakeLinears
from glinermt.fast.rnn import fast_rnn
from glinermt.heads.relation import Pairs, RelationHead
from glinermt.network import Network, Output
from glinermt.rows import NO_TOKEN


@dataclass(frozen=True, slots=True)
class Places:
    """Where in the stream of tokens the words and labels of a batch are read.

    Arrays: so short ones take numpy a fraction of the time that torch needs to begin with them.
    """

    ids: Int[np.ndarray, " token"]
    lengths: Int[np.ndarray, " batch"]
    words: Int[np.ndarray, "batch word"]
    """Index into the stream, one beyond its end where there is nothing to read."""
    label_tokens: Int[np.ndarray, " read"]
    """Tokens that labels are read from, label after label."""
    label_counts: Int[np.ndarray, "batch label"]


class FastForward:
    """Made from a network in evaluation mode; holds packed copies of its weights."""

    def __init__(self, network: Network, encoder: FastEncoder, make: MakeLinears) -> None:
        self.encoder = encoder
        self.pooling = network.encoder.label_pooling
        projection = network.encoder.projection
        self.project = (
            make.usual(projection.weight, projection.bias, "none")
            if isinstance(projection, nn.Linear)
            else None
        )
        self.rnn = None if network.rnn is None else fast_rnn(network.rnn)
        self.head = fast_head(network.head, make)
        related = network.relation_head
        self.relation_head: Any = related
        if type(related) is RelationHead:
            self.relation_head = FastRelationHead(related, make)
        self.class_head = network.class_head
        self.compare = network.compare

    def __call__(self, batch: Batch) -> Output:
        """Read the batch; logits of padding are arbitrary."""
        places = _places(batch, whole_labels=self.pooling == "mean")
        keep, words, labels = _needed(places)
        ids, lengths = torch.from_numpy(places.ids), places.lengths.tolist()
        kept, apart = len(keep), batch.apart
        if apart is not None:  # further rows of the stream, of which every token is wanted
            alone = [row_ids[mask] for row_ids, mask in apart.rows]
            sizes = [mask.sum(1) for _, mask in apart.rows]
            keep = torch.cat([keep, torch.arange(len(ids), len(ids) + sum(map(len, alone)))])
            ids, lengths = torch.cat([ids, *alone]), lengths + torch.cat(sizes).tolist()
        tokens = self.encoder(ids, lengths, keep)
        if apart is not None:
            means = _means(tokens[kept:], torch.cat(sizes)[:, None])[:, 0]
            compared = self.compare(apart, *torch.split(means, [len(size) for size in sizes]))
            tokens = tokens[:kept]
        if self.project is not None:
            tokens = self.project(tokens).float()
        tokens = torch.cat([tokens, tokens.new_zeros(1, tokens.shape[1])])
        word_vectors = tokens[words]
        if self.rnn is not None:
            word_vectors = self.rnn(word_vectors, batch.word_mask)
        spans, relations, classes = batch.by_kind(
            _means(tokens[labels], torch.from_numpy(places.label_counts))
        )
        class_logits = classes.sum(2) if apart is None else compared
        if classes.shape[1]:
            assert self.class_head is not None
            class_logits = self.class_head(word_vectors, batch.text_mask, classes)
        span_logits = word_vectors.new_zeros(*word_vectors.shape[:2], 0, 0)
        if spans.shape[1]:
            numbers = batch.word_mask.sum(1), batch.by_kind(batch.label_mask)[0].sum(1)
            span_logits = self.head(word_vectors, spans, *(n.tolist() for n in numbers))
        return Output(span_logits, class_logits, word_vectors, relations)

    def sentences(
        self, ids: Int[Tensor, "row token"], mask: Bool[Tensor, "row token"]
    ) -> Float[Tensor, "row width"]:
        """Return the mean of the encoder's vectors over the tokens of each row."""
        lengths = mask.sum(1)
        stream = ids[mask]
        tokens = self.encoder(stream, lengths.tolist(), torch.arange(len(stream)))
        return _means(tokens, lengths[:, None])[:, 0]

    def relate(self, output: Output, pairs: Pairs) -> Float[Tensor, "pair relation"]:
        """Return the logits of pairs of mentions in a batch that was read."""
        assert self.relation_head is not None
        logits: Tensor = self.relation_head(output.words, output.relations, pairs)
        return logits


def _places(batch: Batch, *, whole_labels: bool) -> Places:
    """Find everything in the stream of the batch's real tokens.

    Args:
        batch: rows padded at the end.
        whole_labels: labels are read from their own tokens, not from the ``<<ENT>>`` before.
    """
    mask, word_position = batch.attention_mask.numpy(), batch.word_position.numpy()
    lengths = mask.sum(1)
    start = (lengths.cumsum() - lengths)[:, None]
    ids = batch.input_ids.numpy()[mask]
    words = np.where(word_position == NO_TOKEN, len(ids), word_position + start)
    own = batch.label_length.numpy() * whole_labels
    first = batch.label_position.numpy() + start + (own > 0)
    counts = np.maximum(own, 1) * batch.label_mask.numpy()
    each = counts.ravel()
    inside = np.arange(each.sum()) - (each.cumsum() - each).repeat(each)
    return Places(ids, lengths, words, first.ravel().repeat(each) + inside, counts)


def _needed(places: Places) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tokens that are read at all, then words and label tokens as indices into those."""
    total = len(places.ids)
    wanted = np.zeros(total + 1, dtype=bool)
    wanted[places.words] = True
    wanted[places.label_tokens] = True
    wanted[total] = False
    keep = np.flatnonzero(wanted)
    place = np.full(total + 1, len(keep))
    place[keep] = np.arange(len(keep))
    found = keep, place[places.words], place[places.label_tokens]
    return torch.from_numpy(found[0]), torch.from_numpy(found[1]), torch.from_numpy(found[2])


def _means(
    tokens: Float[Tensor, "read hidden"], counts: Int[Tensor, "batch label"]
) -> Float[Tensor, "batch label hidden"]:
    """Average runs of tokens, one run a label."""
    each = counts.flatten()
    owner = torch.arange(len(each)).repeat_interleave(each)
    total = tokens.new_zeros(len(each), tokens.shape[1]).index_add_(0, owner, tokens)
    return (total / each.clamp(min=1)[:, None]).view(*counts.shape, tokens.shape[1])
