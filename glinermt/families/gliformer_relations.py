"""How GLiFormer relates the entities of a row: all pairs, near ones, or those that slots choose.

The names and rules were verified against the PyPI package ``gliformer`` 0.1.3.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn

from glinermt.families.bi_network import SpanMarker
from glinermt.families.gliformer_slots import PairSlots
from glinermt.families.prompted_network import near_pairs, pair_logits
from glinermt.heads.span import projection


class RelationHead(nn.Module):
    """Scores pairs of entities against relations.

    Args:
        size: of all vectors.
        dropout: while training.
        adjacency: says how near two entities are, one of ``ADJACENCIES``; None = all are near.
        slots: choose the pairs instead.
        is_distmult: score relations by the product of three vectors instead of an MLP of the pair.
    """

    def __init__(
        self,
        size: int,
        dropout: float,
        adjacency: nn.Module | None = None,
        *,
        slots: PairSlots | None = None,
        is_distmult: bool = False,
    ) -> None:
        super().__init__()
        self.marker = SpanMarker(size, dropout)
        self.adjacency = adjacency
        self.slots = slots
        self.pair_rep = None
        if not is_distmult:
            self.pair_rep = projection(2 * size, 4 * size, dropout, out=size)

    def forward(
        self,
        words: Float[Tensor, "word hidden"],
        group: Float[Tensor, " hidden"],
        spans: Int[Tensor, "span 2"],
        relations: Float[Tensor, "relation hidden"],
        threshold: float,
    ) -> tuple[Int[Tensor, "pair 2"], Float[Tensor, "pair relation"]]:
        """Return the pairs that are looked at, and their logits.

        Args:
            words: vectors of a row's words.
            group: vector of the marker of the row's group of labels.
            spans: words of the entities, end exclusive, in the order of the text.
            relations: vectors of the relations' markers.
            threshold: how near the entities of a pair have to be.
        """
        vectors: Tensor = self.marker(words, spans)
        if self.slots is not None:
            pairs = self.slots(group, vectors)
        else:
            pairs = near_pairs(vectors, self.adjacency, threshold)
        return pairs, pair_logits(vectors, pairs, relations, self.pair_rep)
