"""Reads exported models where torch is installed, as any other checkpoint."""

from pathlib import Path
from typing import Any

import torch

from glinermt import exported
from glinermt.build import Parts
from glinermt.errors import UsageError
from glinermt.families.network import FamilyNetwork
from glinermt.reader import NetworkReader


class ExportedNetwork(FamilyNetwork):
    """Stands where a network would: another runtime holds the weights."""

    family = "exported"

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def to(self, *_: object, device: Any = None, dtype: Any = None) -> "ExportedNetwork":
        """Return the network.

        Raises:
            ValueError: another place or type of the weights is asked for.
        """
        if dtype is not None or torch.device(device or "cpu").type != "cpu":
            raise UsageError(
                "an exported model runs on the processor, with the weights it was exported with; "
                "load the model it was made from, or export with quantize"
            )
        return self


def load(folder: Path) -> Parts:
    """Read what ``export.export`` wrote; see ``exported.read``."""
    config, settings, query_encoder, scorer = exported.read(folder)
    reader = NetworkReader(query_encoder, scorer)
    return Parts(ExportedNetwork(), query_encoder, settings, config, reader, folder)
