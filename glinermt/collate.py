"""Examples -> one batch with gold values, for training."""

import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glinermt.encoder import Batch
from glinermt.encoding import QueryEncoder
from glinermt.errors import UsageError
from glinermt.heads import Head
from glinermt.heads.relation import Pairs
from glinermt.network import ClassTargets, RelationTargets, TrainingBatch
from glinermt.pairing import Mentions, pairs_of_rows, words_of
from glinermt.rows import Pass, TokenizedQuery
from glinermt.types import Example
from glinermt.windows import plan_passes

NO_SPANS = torch.zeros(0, 4, dtype=torch.long)


def training_batch(
    encoder: QueryEncoder, head: Head, examples: Sequence[Example], *, multiple: int = 1
) -> TrainingBatch:
    """Make a training batch; shapes are padded to a ``multiple``.

    Raises:
        ValueError: not one of the examples has both a label and a word, or an example's judged
            pairs are not of its given entities.
    """
    queries = encoder.tokenize([example.query for example in examples])
    passes = [p for i, query in enumerate(queries) for p in plan_passes(encoder, query, i)]
    if not passes:
        raise UsageError("none of the examples has both a label and a word")
    batch = Batch.from_rows(encoder.collate(queries, passes, multiple=multiple))
    label_mask, relation_mask, _ = batch.by_kind(batch.label_mask)
    shape = (*batch.word_mask.shape, batch.num_labels[0])
    targets = span_targets(head, gold_spans(examples, queries, passes, encoder.same), shape)
    valid = head.valid(batch.word_mask, label_mask) & batch.text_mask[:, :, None, None]
    if any(example.silent for example in examples):
        silent = _silent(examples, queries, passes, batch)
        valid = valid & (~head.touches(silent) | (targets > 0).any(-1, keepdim=True))
    return TrainingBatch(
        batch,
        targets,
        valid,
        torch.tensor([p.query for p in passes]),
        len(examples),
        related_pairs(examples, queries, passes, batch.num_prompt_words, relation_mask),
        _classes(examples, queries, passes, batch.class_mask),
    )


def span_targets(
    head: Head, by_score: Mapping[float, Int[Tensor, "span 4"]], shape: tuple[int, int, int]
) -> Float[Tensor, "row word label axis"]:
    """Return the gold values of a head's logits; those of a span are its score."""
    targets = head.targets(by_score.get(1.0, NO_SPANS), shape)
    for score, spans in by_score.items():
        if score != 1.0:
            targets = torch.maximum(targets, score * head.targets(spans, shape))
    return targets


def gold_spans(
    examples: Sequence[Example],
    queries: Sequence[TokenizedQuery],
    passes: Sequence[Pass],
    same: Callable[[str], str],
) -> dict[float, Int[Tensor, "span 4"]]:
    """Return (row, first word, end word, label) of all spans that lie whole in a row's words.

    They are put together by their score. Words are those of the row: the prompt's, then the text's.
    """
    located: dict[int, list[tuple[int, int, int, float]]] = {}
    for i in {p.query for p in passes}:
        index = {same(label): k for k, label in enumerate(queries[i].labels)}
        labels = [index[same(span.label)] for span in examples[i].spans]
        first, last = words_of(queries[i].text, examples[i].spans)
        scores = [span.score for span in examples[i].spans]
        located[i] = list(zip(first.tolist(), last.tolist(), labels, scores, strict=True))
    rows: dict[float, list[tuple[int, int, int, int]]] = {}
    for row, p in enumerate(passes):
        shift = len(queries[p.query].prompt.offsets) - p.start
        for start, end, label, score in located[p.query]:
            if start < end and p.start <= start and end <= p.end and label in p.labels:
                place = row, start + shift, end + shift, label - p.labels.start
                rows.setdefault(score, []).append(place)
    return {score: torch.tensor(places) for score, places in rows.items()}


def _silent(
    examples: Sequence[Example],
    queries: Sequence[TokenizedQuery],
    passes: Sequence[Pass],
    batch: Batch,
) -> Bool[Tensor, "row word"]:
    """Return the words of silent ranges."""
    silent = torch.zeros_like(batch.word_mask)
    for row, p in enumerate(passes):
        prompt = batch.num_prompt_words[row]
        silent[row, prompt : prompt + p.end - p.start] = silent_words(examples, queries, p)
    return silent


def silent_words(
    examples: Sequence[Example], queries: Sequence[TokenizedQuery], window: Pass
) -> Bool[Tensor, " word"]:
    """Return the words of a window that lie in silent ranges."""
    offsets = np.array(queries[window.query].text.offsets[window.start : window.end])
    start, end = offsets.reshape(-1, 2).T
    silent = np.zeros(len(start), dtype=bool)
    for first, last in examples[window.query].silent:
        silent |= (end > first) & (start < last)
    return torch.from_numpy(silent)


def related_pairs(
    examples: Sequence[Example],
    queries: Sequence[TokenizedQuery],
    passes: Sequence[Pass],
    num_prompt_words: Sequence[int],
    relation_mask: Bool[Tensor, "row relation"],
) -> RelationTargets | None:
    """Return the pairs of mentions of all rows with what holds between them; None without any."""
    gold = {p.query: _GoldPairs(examples[p.query], queries[p.query]) for p in passes if p.relations}
    mentions = {i: here.mentions for i, here in gold.items()}
    found = pairs_of_rows(passes, mentions, num_prompt_words, max_pairs=sys.maxsize)
    if not len(found.row):
        return None
    targets = torch.zeros(len(found.row), relation_mask.shape[1])
    judged = torch.ones(len(found.row), dtype=torch.bool)
    columns = (found.row.tolist(), found.head.tolist(), found.tail.tolist())
    for pair, (row, head, tail) in enumerate(zip(*columns, strict=True)):
        here, asked = gold[passes[row].query], passes[row].relations
        holding = here.holding.get((head, tail), set())
        for relation in holding.intersection(asked):
            targets[pair, relation - asked.start] = 1
        judged[pair] = here.judged is None or bool(holding) or (head, tail) in here.judged
    pairs = Pairs.from_arrays(found.mentions, found.first, found.second)
    return RelationTargets(pairs, targets, relation_mask[pairs.row] & judged[:, None])


class _GoldPairs:
    """Mentions of an example, the relations that hold between them, and which pairs are judged.

    Mentions are the given entities; else all gold spans, and the heads and tails of relations.
    """

    def __init__(self, example: Example, query: TokenizedQuery) -> None:
        given = example.query.entities
        ends = [span for relation in example.relations for span in (relation.head, relation.tail)]
        spans = [*(example.spans if given is None else given), *ends]
        self.mentions, index = Mentions.distinct(*words_of(query.text, spans))
        which = index.tolist()
        names = {relation: i for i, relation in enumerate(query.relations)}
        self.holding: dict[tuple[int, int], set[int]] = {}
        first = len(spans) - len(ends)
        for i, relation in enumerate(example.relations):
            pair = which[first + 2 * i], which[first + 2 * i + 1]
            self.holding.setdefault(pair, set()).add(names[relation.label])
        self.judged: set[tuple[int, int]] | None = None
        if example.judged is not None:
            if given is None:
                raise UsageError("judged pairs count the query's entities, of which it has none")
            self.judged = {(which[head], which[tail]) for head, tail in example.judged}


def _classes(
    examples: Sequence[Example],
    queries: Sequence[TokenizedQuery],
    passes: Sequence[Pass],
    class_mask: Bool[Tensor, "row label"],
) -> ClassTargets | None:
    if not class_mask.shape[1]:
        return None
    targets = torch.zeros(class_mask.shape)
    for row, p in enumerate(passes):
        for k, i in enumerate(p.classes):
            targets[row, k] = queries[p.query].classes[i] in examples[p.query].classes
    one_of = torch.tensor([not examples[p.query].multi_label for p in passes])
    return ClassTargets(targets, class_mask, one_of)
