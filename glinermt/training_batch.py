"""Examples -> one batch with gold values, for training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glinermt.encoding import Batch, Pass, TokenizedQuery
from glinermt.types import Example


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Rows for the network with their gold values; a long example has several rows."""

    batch: Batch
    targets: Float[Tensor, "row word label axis"]
    valid: Bool[Tensor, "row word label axis"]
    """The places that count in the loss: no padding, no prompt."""
    example: Int[Tensor, " row"]
    """Index of the example each row belongs to."""
    num_examples: int

    @property
    def num_tokens(self) -> int:
        """Tokens, without padding."""
        return int(self.batch.attention_mask.sum())

    def to(self, device: torch.device | str) -> "TrainingBatch":
        return TrainingBatch(
            self.batch.to(device),
            self.targets.to(device),
            self.valid.to(device),
            self.example.to(device),
            self.num_examples,
        )


def gold_spans(
    examples: Sequence[Example], queries: Sequence[TokenizedQuery], passes: Sequence[Pass]
) -> Int[Tensor, "span 4"]:
    """Give (row, first word, end word, label) of all spans that lie whole in a row's words.

    Words are those of the row: the prompt's, then the text's. A span whose characters begin or
    end inside a word takes the whole word.
    """
    located: dict[int, list[tuple[int, int, int]]] = {}
    for i in {p.query for p in passes}:
        query = queries[i]
        index = {label: k for k, label in enumerate(query.labels)}
        offsets = np.array(query.text.offsets).reshape(-1, 2)
        located[i] = [
            (
                int(np.searchsorted(offsets[:, 1], span.start, side="right")),
                int(np.searchsorted(offsets[:, 0], span.end)),
                index[span.label],
            )
            for span in examples[i].spans
        ]
    rows = []
    for row, p in enumerate(passes):
        shift = len(queries[p.query].prompt.offsets) - p.start
        for start, end, label in located[p.query]:
            if start < end and p.start <= start and end <= p.end and label in p.labels:
                rows.append((row, start + shift, end + shift, label - p.labels.start))
    return torch.tensor(rows, dtype=torch.long).reshape(-1, 4)
