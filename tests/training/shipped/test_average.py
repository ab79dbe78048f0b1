"""Averages of checkpoints."""

import copy
from pathlib import Path

import pytest
import torch

from glinermt.config import ModelConfig
from glinermt.errors import ConfigError
from glinermt.model import GlinerMT
from glinermt.training.shipped.average import average, main
from tests.training.tiny import make_encoder


@pytest.fixture
def start(tmp_path: Path) -> GlinerMT:
    encoder = make_encoder(tmp_path / "encoder")
    return GlinerMT.from_config(ModelConfig(encoder=str(encoder), dropout=0.0))


def _moved(model: GlinerMT, by: float) -> GlinerMT:
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.add_(by)
    return moved


def test_weights_become_shares_of_the_models(start: GlinerMT) -> None:
    one, two = _moved(start, 1.0), _moved(start, 3.0)
    found = average(_moved(start, 10.0), [one, two], share=0.25).state_dict()
    for name, weight in start.state_dict().items():
        torch.testing.assert_close(found[name], weight + 0.25 * 10 + 0.75 * 2)


def test_what_only_the_first_model_has_stays(start: GlinerMT, tmp_path: Path) -> None:
    tuned = _moved(start.with_heads(), 2.0)
    tuned.save_pretrained(tmp_path / "tuned")
    start.save_pretrained(tmp_path / "start")
    names = [str(tmp_path / "tuned"), str(tmp_path / "start")]
    main(names, tmp_path / "average", 0.5)
    found = GlinerMT.from_pretrained(tmp_path / "average")
    assert found.kinds == {"spans", "relations", "classes"}
    for name, weight in found.state_dict().items():
        old, new = start.state_dict().get(name), tuned.state_dict()[name]
        if old is None:
            torch.testing.assert_close(weight, new)
        else:
            torch.testing.assert_close(weight[: len(old)], old + 1.0)
            torch.testing.assert_close(weight[len(old) :], new[len(old) :])


def test_models_of_other_shapes_are_refused(start: GlinerMT, tmp_path: Path) -> None:
    encoder = str(make_encoder(tmp_path / "other"))
    other = GlinerMT.from_config(ModelConfig(encoder=encoder, dropout=0.0, hidden_size=8))
    with pytest.raises(ConfigError, match="has the shape"):
        average(start, [other], share=0.5)
    with pytest.raises(ConfigError, match="no weight of the names that the first one has"):
        average(start, [_moved(start, 1.0), torch.nn.Linear(2, 2)], share=0.5)
    with pytest.raises(ConfigError, match="nothing to average"):
        average(start, [], share=0.5)
