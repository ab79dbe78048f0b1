"""The class head equals the plain formula it rearranges; its loss by hand."""

import math

import pytest
import torch

from glinermt.heads.class_ import BIAS, SCALE, ClassHead, ClassSimilarity, choice_loss, class_loss


def test_the_class_head_equals_the_mlp_of_label_text_and_product() -> None:
    torch.manual_seed(0)
    head = ClassHead(8).eval()
    words, classes = torch.randn(2, 6, 8), torch.randn(2, 3, 8)
    mask = torch.tensor([[False, True, True, True, True, True], [True, True, False] + [False] * 3])
    logits = head(words, mask, classes)
    weight = torch.cat([head.label.weight, head.text.weight, head.product.weight], dim=1)
    for row in range(2):
        text = words[row, mask[row]].mean(0)
        for label in range(3):
            joined = torch.cat([classes[row, label], text, classes[row, label] * text])
            hidden = (weight @ joined + head.label.bias).relu()
            torch.testing.assert_close(logits[row, label], head.out(hidden)[0])


def test_similarity_is_a_scaled_cosine() -> None:
    texts, classes = torch.tensor([[3.0, 4.0]]), torch.tensor([[[6.0, 8.0], [4.0, -3.0]]])
    logits = ClassSimilarity()(texts, classes)
    assert logits.tolist() == [pytest.approx([SCALE + BIAS, BIAS])]


VALID = torch.tensor([[True, True, False], [True, True, True]])


def test_classes_that_shut_each_other_out_learn_by_softmax() -> None:
    logits = torch.tensor([[1.0, 0.0, 9.0], [0.0, 0.0, 2.0]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    loss = class_loss(logits, targets, VALID, torch.tensor([True, True]))
    expected = [math.log1p(math.exp(-1)), math.log(2 + math.exp(2)) - 2]
    assert loss.tolist() == pytest.approx(expected)


def test_classes_that_may_hold_together_learn_by_sigmoids() -> None:
    logits = torch.tensor([[1.0, 0.0, 9.0], [0.0, 0.0, 2.0]])
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    loss = class_loss(logits, targets, VALID, torch.tensor([False, True]))
    both = math.log1p(math.exp(-1)) + math.log(2)
    not_one = 2 * math.log(2) + math.log1p(math.exp(2))  # no class holds: softmax has no answer
    assert loss.tolist() == pytest.approx([both, not_one])


def test_a_row_without_classes_has_no_loss_and_spoils_no_gradient() -> None:
    logits = torch.zeros(2, 2, requires_grad=True)
    valid = torch.tensor([[False, False], [True, True]])
    loss = class_loss(logits, torch.tensor([[0.0, 0.0], [1.0, 0.0]]), valid, torch.ones(2) > 0)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert loss.tolist() == pytest.approx([0, math.log(2)])
    assert logits.grad is not None
    assert logits.grad[0].tolist() == [0, 0]


def test_the_choice_is_learned_from_rows_in_which_a_label_holds_alone() -> None:
    logits = torch.tensor([[2.0, 0.0, 9.0], [2.0, 0.0, 9.0]])
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    valid = torch.tensor([[True, True, False]] * 2)
    expected = torch.log(1 + torch.tensor(-2.0).exp())
    torch.testing.assert_close(
        choice_loss(logits, targets, valid), torch.stack([expected, 0 * expected])
    )
