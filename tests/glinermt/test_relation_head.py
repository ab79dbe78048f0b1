"""The relation head equals the plain formula it rearranges; pairs and windows by hand."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from glinermt.heads.relation import Pairs, RelationHead, between, distance_bucket
from glinermt.pairing import Mentions, RelatedPairs, merge_pairs, pairs_of_window
from glinermt.rows import Pass

MENTIONS = torch.tensor([[0, 0, 2], [0, 4, 5], [0, 4, 8], [1, 1, 2], [1, 6, 9]])


def all_pairs(mentions: torch.Tensor) -> Pairs:
    """Return every ordered pair of different mentions of a row; mentions must be sorted by row."""
    row = mentions[:, 0]
    same = row[:, None] == row[None, :]
    same.fill_diagonal_(False)
    head, tail = same.nonzero(as_tuple=True)
    return Pairs(mentions, head, tail)


@torch.no_grad()
def plain_score(head: RelationHead, words: Tensor, relation: Tensor, a: Tensor, b: Tensor) -> float:
    """Score one pair with one relation, from ``a`` to ``b``, without any sum taken apart."""
    row = words[a[0]]
    first, second = row[a[1] : a[2]].mean(0), row[b[1] : b[2]].mean(0)
    left, right = sorted([a, b], key=lambda m: int(m[2]))
    gap = row[left[2] : right[1]]
    middle = gap.mean(0) if len(gap) else torch.zeros(row.shape[1])
    hidden = head.head(first) + head.tail(second) + head.product(first * second)
    hidden = hidden + head.between(middle)
    pair = all_pairs(torch.stack(sorted([a, b], key=lambda m: m.tolist())))
    place = next(i for i in range(2) if torch.equal(pair.mentions[pair.head[i]], a))
    hidden = hidden + head.distance(distance_bucket(pair)[place])
    vector = head.pair(hidden.relu())
    return float(vector @ head.relation(relation) / words.shape[2] ** 0.5 + head.bias)


def test_the_relation_head_equals_the_product_of_pair_and_relation_vectors() -> None:
    torch.manual_seed(0)
    head = RelationHead(8).eval()
    words, relations = torch.randn(2, 9, 8), torch.randn(2, 3, 8)
    pairs = all_pairs(MENTIONS)
    logits = head(words, relations, pairs)
    assert logits.shape == (8, 3)
    for i in range(len(pairs)):
        a, b = MENTIONS[pairs.head[i]], MENTIONS[pairs.tail[i]]
        expected = [plain_score(head, words, relations[a[0], r], a, b) for r in range(3)]
        assert logits[i].tolist() == pytest.approx(expected, abs=1e-5)


def test_head_and_tail_are_told_apart() -> None:
    torch.manual_seed(0)
    head = RelationHead(8).eval()
    pairs = all_pairs(torch.tensor([[0, 0, 1], [0, 3, 4]]))
    logits = head(torch.randn(1, 5, 8), torch.randn(1, 2, 8), pairs)
    assert (logits[0] - logits[1]).abs().min() > 1e-3


def test_rows_beside_a_row_do_not_change_its_scores() -> None:
    torch.manual_seed(0)
    head = RelationHead(8).eval()
    words, relations = torch.randn(2, 9, 8), torch.randn(2, 3, 8)
    together = head(words, relations, all_pairs(MENTIONS))
    alone = head(words[:1, :8], relations[:1], all_pairs(MENTIONS[:3]))
    torch.testing.assert_close(together[:6], alone)


def test_a_batch_without_pairs_has_no_scores() -> None:
    head = RelationHead(8).eval()
    pairs = all_pairs(torch.tensor([[0, 1, 2], [1, 1, 2]]))
    assert head(torch.randn(2, 4, 8), torch.randn(2, 3, 8), pairs).shape == (0, 3)


def test_words_between_are_those_that_belong_to_neither() -> None:
    pairs = all_pairs(MENTIONS)
    first, last = between(pairs)
    found = {
        (int(h), int(t)): (int(a), int(b))
        for h, t, a, b in zip(pairs.head, pairs.tail, first, last, strict=True)
    }
    assert found[0, 1] == found[1, 0] == (2, 4)
    assert found[3, 4] == (2, 6)
    assert found[1, 2][0] == found[1, 2][1]  # one lies in the other: nothing between


def test_distance_says_order_and_words_between() -> None:
    mentions = torch.tensor([[0, 0, 2], [0, 1, 4], [0, 4, 6], [0, 50, 51]])
    pairs = all_pairs(mentions)
    bucket = {
        (int(h), int(t)): int(b)
        for h, t, b in zip(pairs.head, pairs.tail, distance_bucket(pairs), strict=True)
    }
    assert bucket[0, 1] == bucket[1, 0]  # overlapping
    assert len({bucket[0, 1], bucket[1, 2], bucket[0, 2], bucket[2, 1], bucket[0, 3]}) == 5
    assert bucket[1, 3] == bucket[2, 3]  # 46 and 44 words: both far
    assert max(bucket.values()) < RelationHead(4).distance.num_embeddings


def window(start: int, end: int) -> Pass:
    return Pass(0, range(1), start, end, 10)


def test_a_window_pairs_the_mentions_that_lie_whole_in_it() -> None:
    mentions, index = Mentions.distinct(np.array([3, 0, 3, 8]), np.array([5, 1, 5, 10]))
    assert index.tolist() == [1, 0, 1, 2]
    head, tail = pairs_of_window(mentions, window(0, 9))
    assert set(zip(head.tolist(), tail.tolist(), strict=True)) == {(0, 1), (1, 0)}
    head, _ = pairs_of_window(mentions, window(0, 10))
    assert len(head) == 6


def test_too_many_pairs_in_a_window_are_said_and_the_closest_kept() -> None:
    mentions = Mentions(np.array([0, 2, 30]), np.array([1, 3, 31]))
    with pytest.warns(UserWarning, match="3 mentions in 40 words make 6 pairs"):
        head, tail = pairs_of_window(mentions, window(0, 40), max_pairs=2)
    assert list(zip(head.tolist(), tail.tolist(), strict=True)) == [(0, 1), (1, 0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs_of_window(mentions, window(0, 40), max_pairs=6)


relations = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.floats(0, 1)), max_size=12
)


@given(st.lists(relations, min_size=1, max_size=3))
def test_windows_keep_the_best_score_of_each_relation(
    found: list[list[tuple[int, int, int, float]]],
) -> None:
    parts = []
    expected: dict[tuple[int, int, int], float] = {}
    for part in found:
        columns = np.array(part).reshape(-1, 4).T
        parts.append(RelatedPairs(*columns[:3].astype(int), columns[3]))
        for h, t, r, score in part:
            expected[h, t, r] = max(expected.get((h, t, r), 0.0), score)
    merged = merge_pairs(parts)
    columns = (merged.head, merged.tail, merged.relation, merged.score)
    rows = list(zip(*(c.tolist() for c in columns), strict=True))
    assert {row[:3]: row[3] for row in rows} == expected
    assert len(rows) == len(expected)
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
