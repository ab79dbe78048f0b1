"""Several adapters of one model, kept apart and used in turn."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glinermt.errors import CheckpointError
from glinermt.model import GlinerMT
from glinermt.training.adapt import adapters as module
from glinermt.training.adapt.adapters import Adapters
from glinermt.training.adapt.fine_tuning import fine_tune
from glinermt.types import Query
from tests.training.tiny import CITIES, NAMES, sentences, tuning

QUERY = Query("ann lives in rome .", ("person", "city"))


def weights(model: GlinerMT) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def learn(model: GlinerMT, label: str, rank: int = 4) -> dict[str, torch.Tensor]:
    """Teach the model one of the two labels alone."""
    rows = [
        type(row)(row.query, tuple(s for s in row.spans if s.label == label))
        for row in sentences(NAMES, CITIES)
    ]
    fine_tune(model, rows, steps=30, tuning=tuning(lora_rank=rank))
    return weights(model)


def check_close(model: GlinerMT, expected: dict[str, torch.Tensor]) -> None:
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def found(model: GlinerMT) -> list[tuple[str, str]]:
    [spans] = model.extract([QUERY])
    return [(span.text, span.label) for span in spans]


def test_adapters_are_switched_saved_and_loaded(model: GlinerMT, tmp_path: Path) -> None:
    base = weights(model)
    adapters = Adapters(model)
    people = learn(model, "person")
    adapters.keep("people")
    assert adapters.active is None
    assert all(torch.equal(value, base[name]) for name, value in model.state_dict().items())
    cities = learn(model, "city")
    adapters.keep("cities")
    assert adapters.names == ["cities", "people"]
    adapters.use("people")
    check_close(model, people)
    assert found(model) == [("ann", "person")]
    adapters.use("cities")
    check_close(model, cities)
    assert found(model) == [("rome", "city")]
    adapters.use(None)
    assert all(torch.equal(value, base[name]) for name, value in model.state_dict().items())

    adapters.save_adapter("people", tmp_path / "people.safetensors")
    stored = load_file(tmp_path / "people.safetensors")
    factors = {tensor.shape[1] for name, tensor in stored.items() if name.endswith(".left")}
    assert factors
    assert max(factors) <= 4  # of rank 4
    again = Adapters(model)
    again.load_adapter(tmp_path / "people.safetensors", "loaded")
    again.use("loaded")
    check_close(model, people)


def test_an_adapter_of_another_model_is_refused(model: GlinerMT, tmp_path: Path) -> None:
    adapters = Adapters(model)
    learn(model, "person")
    adapters.keep("people")
    adapters.save_adapter("people", tmp_path / "people.safetensors")
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    with pytest.raises(CheckpointError, match="made for another model"):
        Adapters(model).load_adapter(tmp_path / "people.safetensors", "people")
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="no adapter can be read"):
        Adapters(model).load_adapter(tmp_path / "broken.safetensors", "people")
    with pytest.raises(ValueError, match="there is no adapter 'x', only"):
        adapters.use("x")


def test_a_change_that_is_no_adapter_is_refused(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_RANK", 2)
    adapters = Adapters(model)
    learn(model, "person", rank=0)
    with pytest.raises(ValueError, match="changed in more than 2 directions"):
        adapters.keep("people")
