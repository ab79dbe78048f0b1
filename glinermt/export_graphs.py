"""The network as functions of tensors, which an exporter can trace; ``export.py`` writes them."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glinermt.bert import Bert, BertOutput, Rows
from glinermt.encoder import Batch
from glinermt.exported import KINDS
from glinermt.heads.class_ import ClassHead
from glinermt.heads.relation import Pairs, RelationHead
from glinermt.network import Network


def plain(network: Network) -> Network:
    """Return a copy in float32, on the processor, in which padding is read as all else is."""
    network = copy.deepcopy(network).float().cpu().eval()
    encoder = network.encoder.encoder
    if isinstance(encoder, Bert):
        network.encoder.encoder = _PaddedBert(encoder)
    elif callable(change := getattr(encoder, "set_attn_implementation", None)):
        change("eager")
    return network


class _PaddedBert(nn.Module):
    """``Bert`` without the choice of real tokens, which no graph could make."""

    def __init__(self, bert: Bert) -> None:
        super().__init__()
        self.bert = bert
        self.config = bert.config

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> BertOutput:
        rows = _AllRows(attention_mask.bool())
        position = torch.arange(input_ids.shape[1]).expand_as(input_ids)
        tokens = self.bert.embeddings(rows.take(input_ids)[None], rows.take(position)[None])[0]
        layers = self.bert.encoder["layer"]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            tokens = layer(tokens, rows)
        return BertOutput(rows.put(tokens))


class _AllRows(Rows):
    """The flat batch, padding included, as the stream."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self.shape = mask.shape
        self.place = None
        self.all_real = False


class NetworkGraph(nn.Module):
    """The network as a function of tensors, one for each of ``names``; see ``Network.forward``."""

    def __init__(self, network: Network, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names = names

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(self.names, values, strict=True))
        kinds = [kind for kind in KINDS if f"{kind}_label_position" in given]
        positions = [given[f"{kind}_label_position"] for kind in kinds]
        position = torch.cat(positions, 1)
        lengths = [given.get(f"{kind}_label_length") for kind in kinds]
        length = (
            position if None in lengths else torch.cat([n for n in lengths if n is not None], 1)
        )
        place = torch.arange(given["word_position"].shape[1])[None]
        mask = place < given["num_words"][:, None]
        words, labels = self.network.encoder(
            Batch(
                given["input_ids"],
                given["attention_mask"].bool(),
                given["word_position"],
                mask,
                position,
                length,
                position >= 0,
                (0, 0, 0),
                (),
            )
        )
        if self.network.rnn is not None:
            words = self.network.rnn(words, mask)
        vectors, start = {}, 0
        for kind, own in zip(kinds, positions, strict=True):
            vectors[kind] = labels[:, start : start + own.shape[1]]
            start = start + own.shape[1]
        found = [self.network.head(words, vectors["span"]), words]
        if "relation" in kinds:
            found.append(vectors["relation"])
        if isinstance(self.network.class_head, ClassHead):
            text = mask & (place >= given["num_prompt_words"][:, None])
            found.append(self.network.class_head(words, text, vectors["class"]))
        return tuple(found)


class SentenceGraph(nn.Module):
    """Vectors of texts and of class labels that are read apart."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.encoder = network.encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.encoder.sentence_vectors(input_ids, attention_mask.bool())


class RelationGraph(nn.Module):
    """``RelationHead`` without a cut by rows: pairs meet all relations and keep theirs."""

    def __init__(self, head: RelationHead) -> None:
        super().__init__()
        self.head = head

    def forward(
        self, words: Tensor, relations: Tensor, mentions: Tensor, first: Tensor, second: Tensor
    ) -> Tensor:
        pairs = Pairs(mentions, first, second)
        factors, offset = self.head.factors(relations)  # batch relation inner
        scores = self.head.hidden(words, pairs) @ factors.flatten(0, 1).T
        number = torch.arange(relations.shape[1])
        own = pairs.row[:, None] * relations.shape[1] + number  # pair relation
        return scores.gather(1, own) + offset[pairs.row]


def kinds_in_rows(network: Network) -> list[str]:
    """Return the kinds of labels that stand in the rows of the network's graph."""
    related = ["relation"] if network.relation_head is not None else []
    return ["span", *related, *(["class"] if isinstance(network.class_head, ClassHead) else [])]
