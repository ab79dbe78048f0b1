"""LoRA adapters on an encoder, for large encoders on small machines (needs ``peft``)."""

from typing import Any

import torch

from glinermt.errors import BackendError


def with_lora(model: Any, rank: int, *, seed: int) -> None:
    """Freeze the encoder and put adapters on all of its linear layers; the head trains on.

    Raises:
        BackendError: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise BackendError("LoRA needs peft: pip install peft") from error
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    model.encoder.encoder = get_peft_model(model.encoder.encoder, config)


def without_lora(model: Any) -> None:
    """Merge the adapters into the weights; the model is an ordinary one again."""
    model.encoder.encoder = model.encoder.encoder.merge_and_unload()
    model.requires_grad_(True)
