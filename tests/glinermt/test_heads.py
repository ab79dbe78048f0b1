"""The heads equal the plain formulas they rearrange, and find what a naive search finds."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from glinermt.decode import Candidates, choose
from glinermt.heads import SpanHead, TokenHead
from glinermt.layers import BiLSTM
from glinermt.network import bce_loss


def test_the_token_head_equals_the_mlp_of_the_concatenation() -> None:
    torch.manual_seed(0)
    head = TokenHead(8).eval()
    words, labels = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    t0, t1 = head.proj_token(words)[:, :, None].expand(-1, -1, 3, -1).chunk(2, -1)
    l0, l1 = head.proj_label(labels)[:, None].expand(-1, 5, -1, -1).chunk(2, -1)
    expected = head.out_mlp(torch.cat([t0, l0, t1 * l1], -1))
    torch.testing.assert_close(head(words, labels), expected)


@pytest.mark.parametrize("mode", ["markerV0", "marker"])
def test_the_span_head_equals_the_product_of_span_and_label_vectors(mode: str) -> None:
    torch.manual_seed(0)
    head = SpanHead(8, max_width=3, mode=mode).eval()  # type: ignore[arg-type]
    words, labels = torch.randn(2, 5, 8), torch.randn(2, 4, 8)
    logits = head(words, labels)
    start, end, label = head.project_start(words), head.project_end(words), head.prompt_rep(labels)
    for i in range(5):
        for k in range(min(3, 5 - i)):
            span = head.out_project(torch.cat([start[:, i], end[:, i + k]], -1).relu())
            expected = torch.einsum("bd,bcd->bc", span, label)
            torch.testing.assert_close(logits[:, i, :, k], expected)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_bilstm_equals_a_packed_lstm(layers: int) -> None:
    torch.manual_seed(0)
    rnn = BiLSTM(8, layers).eval()
    words, lengths = torch.randn(3, 6, 8), torch.tensor([6, 2, 4])
    mask = torch.arange(6)[None] < lengths[:, None]
    packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(rnn.lstm(packed)[0], batch_first=True)
    torch.testing.assert_close(rnn(words, mask), expected)


@pytest.mark.parametrize("rule", ["mean", "min", "geometric"])
@pytest.mark.parametrize("seed", range(8))
def test_token_candidates_equal_a_search_over_all_pairs(rule: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    p = random.random((9, 3, 3))
    limit = np.array([0.2, 0.4, 0.6])
    expected = {}
    for c in range(3):
        for s in range(9):
            for e in range(s, 9):
                inside = p[s : e + 1, c, 2]
                root = (p[s, c, 0] * p[e, c, 1] * inside.min()) ** (1 / 3)
                if rule == "geometric":
                    if root >= limit[c]:
                        expected[s, e + 1, c] = root
                elif p[s, c, 0] > limit[c] < p[e, c, 1] and (inside >= limit[c]).all():
                    edges = min(p[s, c, 0], p[e, c, 1], inside.min())
                    expected[s, e + 1, c] = inside.mean() if rule == "mean" else edges
    found = TokenHead(4).candidates(p, limit, rule)  # type: ignore[arg-type]
    got = dict(zip(zip(found.start, found.end, found.label, strict=True), found.score, strict=True))
    assert got.keys() == expected.keys()
    assert all(abs(got[key] - expected[key]) < 1e-9 for key in got)


def conflict(a: tuple[int, ...], b: tuple[int, ...], nested: bool, multi_label: bool) -> bool:
    if a[:2] == b[:2]:
        return not multi_label
    apart = a[1] <= b[0] or b[1] <= a[0]
    inside = (a[0] >= b[0] and a[1] <= b[1]) or (b[0] >= a[0] and b[1] <= a[1])
    return not apart and not (nested and inside)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_choosing_equals_comparing_with_every_span_kept(
    nested: bool, multi_label: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    spans = {
        (s, s + int(random.integers(1, 6)), int(random.integers(0, 3)))
        for s in random.integers(0, 30, 900)
    }
    start, end, label = (np.array(column) for column in zip(*sorted(spans), strict=True))
    score = random.random(len(start))
    candidates = Candidates(start, end, label, score, np.zeros(len(start), dtype=bool))
    kept: list[tuple[int, ...]] = []
    for i in np.argsort(-score):
        span = (int(start[i]), int(end[i]), int(label[i]))
        if not any(conflict(span, other, nested, multi_label) for other in kept):
            kept.append(span)
    chosen = choose(
        candidates,
        num_words=40,
        overlap="nested" if nested else "flat",
        multi_label=multi_label,
    )
    got = set(zip(chosen.start.tolist(), chosen.end.tolist(), chosen.label.tolist(), strict=True))
    assert got == set(kept)
    assert (np.diff(chosen.start) >= 0).all()


def test_the_loss_weighs_smooths_and_masks() -> None:
    logits = torch.tensor([[[[0.0]], [[2.0]], [[5.0]]]])
    targets = torch.tensor([[[[1.0]], [[0.0]], [[1.0]]]])
    valid = torch.tensor([[[[True]], [[True]], [[False]]]])
    plain = 0.75 * np.log(2) + 0.25 * np.log1p(np.exp(2))
    assert bce_loss(logits, targets, valid).item() == pytest.approx(plain, rel=1e-6)
    p = 1 / (1 + np.exp(-2))
    focal = 0.75 * 0.25 * np.log(2) + 0.25 * p**2 * np.log1p(np.exp(2))
    assert bce_loss(logits, targets, valid, gamma=2.0).item() == pytest.approx(focal, rel=1e-6)
    smooth = 0.75 * np.log(2) + 0.25 * (np.log1p(np.exp(2)) - 0.1 * 2)
    assert bce_loss(logits, targets, valid, smoothing=0.2).item() == pytest.approx(smooth, rel=1e-6)


def test_the_span_head_leaves_out_gold_spans_that_are_too_wide() -> None:
    head = SpanHead(4, max_width=2)
    target = head.targets(torch.tensor([[0, 1, 3, 0], [0, 0, 3, 0]]), (1, 4, 1))
    assert target.sum() == 1
    assert target[0, 1, 0, 1] == 1


def test_heads_are_modules_with_the_published_names() -> None:
    assert isinstance(TokenHead(4), nn.Module)
    assert "out_mlp.3.weight" in TokenHead(4).state_dict()
    assert "out_project.3.bias" in SpanHead(4).state_dict()
    assert "out_project.bias" in SpanHead(4, mode="marker").state_dict()
