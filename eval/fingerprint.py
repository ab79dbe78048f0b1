"""Names for exactly this model and exactly this data, so that results are not mixed up."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import glinermt
from glinermt.errors import DataError
from glinermt.types import Extractor


def data_hash(cases: Sequence[Any]) -> str:
    """Give the SHA-256 of the cases as scored: texts, labels, gold, order."""
    digest = hashlib.sha256()
    for case in cases:
        line = json.dumps(dataclasses.asdict(case), ensure_ascii=False, sort_keys=True)
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def model_hash(model: Extractor) -> str:
    """Give the SHA-256 of the weights, names and shapes included.

    Raises:
        DataError: the model shows no weights (no ``state_dict``).
    """
    state_dict = getattr(model, "state_dict", None)
    if state_dict is None:
        raise DataError(f"{type(model).__name__} shows no weights; pass a name for it instead")
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
        digest.update(memoryview(array.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Give the versions of what computes."""
    import platform

    import numpy
    import torch
    import transformers

    return {
        "python": platform.python_version(),
        "glinermt": glinermt.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
    }
