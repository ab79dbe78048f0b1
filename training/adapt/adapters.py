"""Adapters: what fine-tunings with LoRA have changed of one model, kept apart, used in turn.

    adapters = Adapters(model)                        # the model as it is now is the base
    fine_tune(model, invoices, tuning=Tuning(lora_rank=8))
    adapters.keep("invoices")                         # the model is the base again
    adapters.use("invoices")
    adapters.save_adapter("invoices", "invoices.safetensors")

An adapter of the shipped model takes some megabytes in place of ninety.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from glinermt.errors import BackendError, CheckpointError, UsageError
from glinermt.jsonl import write_beside
from glinermt.training.run.processes import seeded
from glinermt.training.run.stepper import Trainable

MOST_RANK = 64
"""Rank up to which a change of an encoder's weight is kept as a product."""
TOLERANCE = 1e-3
"""Part of a change that its product may miss besides rounding; LoRA's changes are such products."""
Change = dict[str, Tensor]
"""Of weights by name: the difference itself, or ``NAME.left`` and ``NAME.right``, its factors."""


class Adapters:
    """Changes of one model by name; one at most is in use.

    Args:
        model: its weights now are the base.
    """

    def __init__(self, model: Trainable) -> None:
        self._model = model
        self._base = {name: value.clone() for name, value in model.state_dict().items()}
        self._changes: dict[str, Change] = {}
        self.active: str | None = None
        """The one in use, None for the base."""

    @property
    def names(self) -> list[str]:
        return sorted(self._changes)

    def keep(self, name: str) -> None:
        """Take what the model has learned since the base as an adapter; the base is in use again.

        Raises:
            ValueError: an encoder's weight changed by more than ``MOST_RANK`` products, as it does
                without LoRA.
        """
        self._changes[name] = _difference(self._base, self._model.state_dict())
        self.use(None)

    def use(self, name: str | None) -> None:
        """Put an adapter on the base, or nothing.

        Raises:
            ValueError: there is no adapter of that name.
        """
        if name is not None and name not in self._changes:
            raise UsageError(f"there is no adapter {name!r}, only {self.names}")
        weights = dict(self._base)
        for weight, change in _full(self._changes[name] if name else {}).items():
            weights[weight] = weights[weight] + change.to(weights[weight])
        self._model.load_state_dict(weights)
        self._model.train(self._model.training)  # forget what was prepared for inference
        self.active = name

    def save_adapter(self, name: str, file: str | Path) -> None:
        """Write an adapter as safetensors, with the fingerprint of its base.

        Raises:
            ValueError: there is no adapter of that name.
        """
        if name not in self._changes:
            raise UsageError(f"there is no adapter {name!r}, only {self.names}")
        tensors = {key: value.contiguous().cpu() for key, value in self._changes[name].items()}
        with write_beside(Path(file)) as beside:
            save_file(tensors, beside, metadata={"base": _fingerprint(self._base)})

    def load_adapter(self, file: str | Path, name: str) -> None:
        """Read what ``save_adapter`` wrote; ``use`` puts it on.

        Raises:
            CheckpointError: the file is missing or damaged, or belongs to another base.
        """
        if not Path(file).is_file():
            raise CheckpointError(f"{file}: no such file; load_adapter takes the file, then a name")
        try:
            with safe_open(file, framework="pt") as stream:
                base = (stream.metadata() or {}).get("base")
                change = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{file}: no adapter can be read from it: {error}") from error
        if base != _fingerprint(self._base):
            raise CheckpointError(
                f"{file}: made for another model; load the model that was fine-tuned"
            )
        for weight, value in _full(change).items():
            if weight not in self._base or value.shape != self._base[weight].shape:
                raise CheckpointError(f"{file}: weight {weight!r} does not fit the model")
        self._changes[name] = change


def _difference(base: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> Change:
    change: Change = {}
    for name, before in base.items():
        delta = now[name].float() - before.float()
        if not bool(delta.any()):
            continue
        if name.startswith("encoder.encoder.") and delta.dim() == 2:
            change[f"{name}.left"], change[f"{name}.right"] = _factors(name, before.float(), delta)
        else:
            change[name] = delta.to(before.dtype)
    return change


def _factors(name: str, before: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Return two matrices whose product is the change, as narrow as can be."""
    with seeded(0, delta.device):
        left, values, right = torch.svd_lowrank(delta, q=min(*delta.shape, MOST_RANK), niter=4)
    # What merging rounded off looks like a matrix of small random numbers.
    rounding = torch.finfo(torch.float32).eps * float(before.abs().max())
    noise = rounding * (delta.shape[0] ** 0.5 + delta.shape[1] ** 0.5)
    rank = max(1, int((values > noise).sum()))
    left, right = left[:, :rank] * values[:rank], right[:, :rank].t()
    missed = (left @ right - delta).norm()
    if missed > TOLERANCE * delta.norm() + rounding * delta.numel() ** 0.5:
        raise UsageError(
            f"{name} changed in more than {MOST_RANK} directions; fine-tune with "
            "Tuning(lora_rank=8) to keep adapters apart"
        )
    return left, right


def _full(change: Mapping[str, Tensor]) -> Change:
    full: Change = {}
    for name, value in change.items():
        if name.endswith(".left"):
            full[name.removesuffix(".left")] = value @ change[f"{name.removesuffix('left')}right"]
        elif not name.endswith(".right"):
            full[name] = value
    return full


def _fingerprint(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


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
