"""LoRA adapters on an encoder, for large encoders on small machines (needs ``peft``)."""

from typing import Any

from glinermt.errors import BackendError
from glinermt.training.run.processes import seeded


def with_lora(model: Any, rank: int, *, seed: int) -> None:
    """Freeze the encoder and put adapters on all of its linear layers; the head trains on.

    Raises:
        BackendError: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise BackendError("LoRA needs peft: pip install 'glinermt[training]'") from error
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    with seeded(seed):
        for name, encoder in model.network.encoders().items():
            model.network.set_submodule(name, get_peft_model(encoder, config))


def merge_lora(model: Any) -> None:
    """Merge the adapters into the weights; the model is an ordinary one again."""
    for name, encoder in model.network.encoders().items():
        model.network.set_submodule(name, encoder.merge_and_unload())


def drop_lora(model: Any) -> None:
    """Take the adapters off, if there are some; the weights below them are as they were."""
    for name, encoder in model.network.encoders().items():
        if hasattr(encoder, "peft_config"):
            model.network.set_submodule(name, encoder.unload())
