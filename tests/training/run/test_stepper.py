"""One optimiser step: what it saves changes no weight."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glinermt.config import ModelConfig
from glinermt.model import GlinerMT
from glinermt.training.config import Loss, Optim
from glinermt.training.data.mixture import Item
from glinermt.training.run.metrics_log import Meter
from glinermt.training.run.processes import OneProcess
from glinermt.training.run.stepper import Stepper
from glinermt.types import Example, Query, Span
from tests.training.tiny import make_encoder

ANN = Example(Query("ann lives in rome .", ("person", "city")), (Span(0, 3, "ann", "person"),))
KIM = Example(Query("kim visits oslo and ann", ("city",)), (Span(11, 15, "oslo", "city"),))


def trained(encoder: Path) -> tuple[list[float], dict[str, Tensor]]:
    """Return the gradients' norms of three steps of two batches, and the weights after them."""
    torch.manual_seed(0)
    model = GlinerMT.from_config(ModelConfig(encoder=str(encoder), dropout=0.0)).train()
    one = OneProcess(torch.device("cpu"))
    optim = Optim(encoder_lr=0.01, other_lr=0.01, weight_decay=0.1, clip=1.0)
    stepper = Stepper(model, one, loss=Loss(), optim=optim, seed=0, steps=4)
    # Words of the first step stay away from the second: their momentum still moves them.
    steps = [[ANN, KIM], [KIM, KIM], [ANN, ANN]]
    norms = [
        stepper.step(
            [[Item(example, "test", "test")] for example in examples],
            number=i,
            progress=0.1 * i,
            meter=Meter(),
        )
        for i, examples in enumerate(steps)
    ]
    assert not any(part.sparse for part in model.modules() if isinstance(part, nn.Embedding))
    return norms, model.state_dict()


def test_a_vocabulary_kept_by_row_learns_as_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make_encoder(tmp_path / "encoder")
    whole = trained(encoder)
    monkeypatch.setattr("glinermt.training.run.processes.LARGE", 4)
    by_row = trained(encoder)
    assert by_row[0] == pytest.approx(whole[0], rel=1e-5)
    for name, weight in whole[1].items():
        if not name.endswith("key.bias"):  # its gradient is rounding alone, which Adam enlarges
            torch.testing.assert_close(by_row[1][name], weight, rtol=1e-5, atol=1e-6, msg=name)
