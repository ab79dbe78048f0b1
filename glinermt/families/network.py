"""The network of a family that is read, saved and moved as others are, and not trained."""

from typing import Any, NoReturn

from torch import nn

from glinermt.network import Network


class FamilyNetwork(Network):
    """A network whose rows are made by its family's ``Reader``."""

    family: str
    encoder: Any  # as transformers makes it, not a ``WordEncoder``

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def check_trainable(self) -> NoReturn:
        raise TypeError(
            f"{self.family} models are read by their own prompt, and cannot be fine-tuned here; "
            "fine-tune a GLiNER checkpoint with one encoder, or the shipped model"
        )

    def forward(self, *_: object) -> NoReturn:
        self.check_trainable()

    def loss(self, *_: object, **__: object) -> NoReturn:
        self.check_trainable()
