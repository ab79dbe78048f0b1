"""Examples -> one batch with gold values, for training."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from glinermt.encoding import Pass, QueryEncoder, TokenizedQuery
from glinermt.heads import Head
from glinermt.network import TrainingBatch
from glinermt.types import Example
from glinermt.windows import plan_passes


def training_batch(
    encoder: QueryEncoder, head: Head, examples: Sequence[Example], *, multiple: int = 1
) -> TrainingBatch:
    """Make a training batch; shapes are padded to a ``multiple``.

    Raises:
        ValueError: not one of the examples has both a label and a word.
    """
    queries = encoder.tokenize([example.query for example in examples])
    passes = [p for i, query in enumerate(queries) for p in plan_passes(encoder, query, i)]
    if not passes:
        raise ValueError("none of the examples has both a label and a word")
    batch = encoder.collate(queries, passes, multiple=multiple)
    shape = (*batch.word_mask.shape, batch.label_mask.shape[1])
    prompt = torch.tensor(batch.num_prompt_words)[:, None]
    text_mask = batch.word_mask & (torch.arange(shape[1]) >= prompt)
    text = text_mask.reshape(*shape[:2], 1, 1)
    return TrainingBatch(
        batch,
        head.targets(_gold_spans(examples, queries, passes), shape),
        head.valid(batch.word_mask, batch.label_mask) & text,
        torch.tensor([p.query for p in passes]),
        len(examples),
    )


def _gold_spans(
    examples: Sequence[Example], queries: Sequence[TokenizedQuery], passes: Sequence[Pass]
) -> Int[Tensor, "span 4"]:
    """Return (row, first word, end word, label) of all spans that lie whole in a row's words.

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
