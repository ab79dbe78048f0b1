"""One thread, and a tiny untrained model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from glinermt.config import ModelConfig
from glinermt.model import GlinerMT
from tests.training.tiny import make_encoder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def model(tmp_path: Path) -> GlinerMT:
    encoder = make_encoder(tmp_path / "encoder")
    torch.manual_seed(0)
    config = ModelConfig(encoder=str(encoder), dropout=0.0, label_pooling="mean")
    return GlinerMT.from_config(config).eval()
