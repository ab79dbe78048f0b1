"""Linear layers for inference: packed once, each with its activation."""

import platform
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["none", "gelu", "relu"]
Precision = Literal["exact", "bf16", "int8"]
PRECISIONS = ("exact", "bf16", "int8")
Linear = Callable[[Float[Tensor, "row input"]], Float[Tensor, "row output"]]
MakeLinear = Callable[[Tensor, Tensor | None, Activation], Linear]
"""Packs weight and bias."""

MULTIPLE, STEPS = 32, 16
"""Rows come in multiples of a power of two where a new shape costs time
(``MakeLinears.shapes_cost``): at most ``MULTIPLE``, and at most one in ``STEPS`` of the rows."""


class PlainLinear:
    """torch's own product, the weight laid out as it is read: faster for short texts."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation) -> None:
        self.weight = weight.detach().t().contiguous()
        self.bias = None if bias is None else bias.detach()
        self.activation = activation

    def __call__(self, rows: Float[Tensor, "row input"]) -> Float[Tensor, "row output"]:
        if self.bias is None:
            result = rows @ self.weight
        else:
            result = torch.addmm(self.bias, rows, self.weight)
        if self.activation == "gelu":
            return torch.ops.aten.gelu_(result)  # type: ignore[no-any-return]
        return result.relu_() if self.activation == "relu" else result


class OneDnnLinear:
    """oneDNN's product with a packed weight and a fused activation."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), 128)
        self.bias = None if bias is None else bias.detach()
        self.activation = activation

    def __call__(self, rows: Float[Tensor, "row input"]) -> Float[Tensor, "row output"]:
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self.weight, self.bias, self.activation, [], "none"
        )
        return result


class Bf16Linear:
    """oneDNN's product of bfloat16 numbers, summed in float32 and given in bfloat16."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation) -> None:
        self.packed = OneDnnLinear(
            weight.bfloat16(), None if bias is None else bias.bfloat16(), activation
        )

    def __call__(self, rows: Float[Tensor, "row input"]) -> Float[Tensor, "row output"]:
        return self.packed(rows.bfloat16())


class Int8Linear:
    """Weights in 8 bits with one scale an output; inputs are rounded on the way, one scale a row.

    So a row's result does not depend on the rows that are multiplied with it.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: Activation) -> None:
        weight = weight.detach().float().contiguous()
        scale = weight.abs().amax(1).clamp(min=1e-12) / 127
        zero = torch.zeros_like(scale, dtype=torch.int64)
        with warnings.catch_warnings():  # torch means to move these elsewhere some day
            warnings.simplefilter("ignore")
            rounded = torch.quantize_per_channel(weight, scale, zero, 0, torch.qint8)
            self.packed = torch.ops.quantized.linear_prepack(rounded, None)
        self.bias = None if bias is None else bias.detach().float()
        self.activation = activation
        # Without VNNI the products of full 8-bit numbers overflow 16 bits.
        self.zero = 128 if torch.cpu._is_vnni_supported() else 64

    def __call__(self, rows: Float[Tensor, "row input"]) -> Float[Tensor, "row output"]:
        rows = rows.float()
        largest = rows.abs().amax(1, keepdim=True).clamp_(min=1e-12)
        result: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            rows / largest, 1 / (self.zero - 1), self.zero, self.packed
        )
        if self.bias is None:
            result.mul_(largest)
        else:
            torch.addcmul(self.bias, result, largest, out=result)
        if self.activation == "gelu":
            return torch.ops.aten.gelu_(result)  # type: ignore[no-any-return]
        return result.relu_() if self.activation == "relu" else result


@dataclass(frozen=True, slots=True)
class MakeLinears:
    """What a model's linear layers become."""

    usual: MakeLinear
    outer: MakeLinear
    """For the second product of a feed-forward layer."""
    attention: torch.dtype = torch.float32
    """What attention computes in."""

    @property
    def result(self) -> torch.dtype:
        """What ``usual`` gives."""
        return torch.bfloat16 if self.usual is Bf16Linear else torch.float32

    @property
    def shapes_cost(self) -> bool:
        """Whether a number of rows not seen before costs time to prepare."""
        return not {self.usual, self.outer}.isdisjoint({OneDnnLinear, Bf16Linear})

    def filler(self, rows: int) -> int:
        """Return the number of rows to add to so many."""
        if not self.shapes_cost:
            return 0
        multiple = MULTIPLE
        while multiple * STEPS > max(rows, STEPS):
            multiple //= 2
        return -rows % multiple


def linears_for(precision: Precision) -> MakeLinears:
    """Return what a precision means on this processor."""
    exact = exact_linear()
    match precision:
        case "exact":
            return MakeLinears(exact, exact)
        case "bf16":
            return MakeLinears(Bf16Linear, Bf16Linear, torch.bfloat16)
        case "int8":
            # Behind the activation a few large numbers make 8 bits too coarse for all others:
            # in this one product they cost more than a point of F1.
            if has_bf16():
                return MakeLinears(Int8Linear, Bf16Linear, torch.bfloat16)
            return MakeLinears(Int8Linear, exact)


def has_bf16() -> bool:
    """Say whether the processor multiplies bfloat16 numbers; without, they are slow."""
    return bool(torch.backends.mkldnn.is_available()) and (  # type: ignore[no-untyped-call]
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


@lru_cache(maxsize=1)
def exact_linear() -> MakeLinear:
    """Return oneDNN's linear where torch's own is slow: on AVX-512 that is not Intel's.

    MKL takes slow paths on other makers' processors; with AVX2 only, the two are equally fast.
    The choice is by what the processor is and never by a measurement, so that every process of a
    machine gives the same bits.
    """
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or "GenuineIntel" in _processor():
        return PlainLinear
    try:
        with torch.inference_mode():
            OneDnnLinear(torch.zeros(16, 16), torch.zeros(16), "none")(torch.zeros(1, 16))
    except (RuntimeError, AttributeError):  # this torch has no oneDNN, or not for this processor
        return PlainLinear
    return OneDnnLinear


def _processor() -> str:
    """Return what the system says of the processor; the maker's name is in it."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        return platform.processor()


def activation_of(module: object) -> Activation | None:
    """Name the activation a module applies; None for one that is not known here."""
    exact = getattr(module, "act", None) is functional.gelu  # transformers' GELUActivation
    if exact or (isinstance(module, nn.GELU) and module.approximate == "none"):
        return "gelu"
    return "relu" if isinstance(module, nn.ReLU) else None
