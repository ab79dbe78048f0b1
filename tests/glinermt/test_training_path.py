"""What training leaves out, padding above all, changes neither losses nor gradients."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from glinermt.config import ModelConfig
from glinermt.heads import TokenHead
from glinermt.heads.token import ScoreBlocks, blocks
from glinermt.model import GlinerMT
from glinermt.types import Example, Query, Span
from tests.training.tiny import make_encoder


class PlainHead(TokenHead):
    """Scores every place, padding and prompt included."""

    def logits_at(self, words: Tensor, labels: Tensor, _: Tensor) -> Tensor:
        logits: Tensor = self(words, labels)
        return logits


def head(dropout: float = 0.0) -> TokenHead:
    torch.manual_seed(0)
    return TokenHead(8, dropout).double()


def some_places(holes: bool) -> Tensor:
    places = torch.zeros(3, 9, 4, dtype=torch.bool)
    places[0, 2:9, :2] = True
    places[2, 0:3, :4] = True
    if holes:
        places[0, 4:6] = False
        places[2, 1, 2] = False
    return places


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("cells", [4, 512])
def test_logits_and_gradients_are_those_of_all_places(
    holes: bool, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glinermt.heads.token.CELLS", cells)
    monkeypatch.setattr("glinermt.heads.token.LEAST_WORDS", 1)
    places = some_places(holes)
    results = []
    for name in ("forward", "logits_at"):
        scorer = head()
        words = torch.randn(3, 9, 8, dtype=torch.double, generator=seeded()).requires_grad_()
        labels = torch.randn(3, 4, 8, dtype=torch.double, generator=seeded()).requires_grad_()
        logits = (
            scorer(words, labels) if name == "forward" else scorer.logits_at(words, labels, places)
        )
        wanted = logits[places]
        (wanted**2).sum().backward()
        gradients = [words.grad, labels.grad, *(p.grad for p in scorer.parameters())]
        results.append([wanted.detach(), *gradients])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_the_gradient_is_right_with_dropout_too() -> None:
    shapes = ((2, 3, 6), (2, 2, 6), (2, 3, 4), (2, 2, 4), (6, 4), (3, 6), (3,))
    inputs = [
        torch.randn(shape, dtype=torch.double, generator=seeded()).requires_grad_()
        for shape in shapes
    ]
    where = blocks(torch.ones(2, 3, 2, dtype=torch.bool))

    def scores(*parts: Tensor) -> Tensor:
        torch.manual_seed(3)  # the same places are dropped each time
        result: Tensor = ScoreBlocks.apply(*parts, where, 0.5)  # type: ignore[no-untyped-call]
        return result

    assert torch.autograd.gradcheck(scores, inputs)


def test_dropout_keeps_the_mean() -> None:
    scorer = head(dropout=0.3)
    words, labels = torch.randn(1, 5, 8).double(), torch.randn(1, 2, 8).double()
    places = torch.ones(1, 5, 2, dtype=torch.bool)
    torch.manual_seed(0)
    drawn = torch.stack([scorer.logits_at(words, labels, places) for _ in range(400)])
    expected = scorer.eval()(words, labels)
    torch.testing.assert_close(drawn.mean(0), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_a_training_pass_is_that_of_plain_parts(
    tmp_path: Path, precision: torch.dtype | None
) -> None:
    encoder = make_encoder(tmp_path / "encoder")
    torch.manual_seed(0)
    config = ModelConfig(encoder=str(encoder), dropout=0.0, label_pooling="mean")
    model = GlinerMT.from_config(config).train()
    examples = [
        Example(Query("ann lives in rome .", ("person", "city")), (Span(0, 3, "ann", "person"),)),
        Example(Query("bob", ("city",), prompt="kim visits"), ()),
        Example(Query("eve and kim and bob", ("person",)), (), silent=((0, 3),)),
    ]
    batch = model.collate(examples, multiple=8)
    found = [gradients(model, batch, precision)]
    theirs = BertModel(
        BertConfig(**model.encoder.encoder.config.to_dict()), add_pooling_layer=False
    )
    theirs.load_state_dict(model.encoder.encoder.state_dict())
    model.network.encoder.encoder = theirs.train()
    model.network.head.__class__ = PlainHead
    found.append(gradients(model, batch, precision))
    # In bfloat16 sums in another order differ in the third digit.
    close = {"rtol": 1e-4, "atol": 1e-5} if precision is None else {"rtol": 0.05, "atol": 0.02}
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        torch.testing.assert_close(value, found[1][name], **close, msg=name)


def gradients(model: GlinerMT, batch: object, precision: torch.dtype | None) -> dict[str, Tensor]:
    for parameter in model.parameters():
        parameter.grad = None
    with torch.autocast("cpu", precision, enabled=precision is not None):
        losses = model.loss(batch)  # type: ignore[arg-type]
    losses.sum().backward()
    named = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"losses": losses.detach(), **named}
