"""Chooses how a model infers: the fast forward where it is known to be exact, else its own."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glinermt.decode import Candidates
from glinermt.encoder import Batch
from glinermt.errors import UsageError, unknown_choice
from glinermt.fast.encoder import fast_encoder
from glinermt.fast.linear import PRECISIONS, Precision, has_bf16, linears_for
from glinermt.fast.network import FastForward
from glinermt.heads.relation import Pairs
from glinermt.network import Network, Output
from glinermt.pairing import RowPairs
from glinermt.reader import Scored, kinds_of_heads
from glinermt.rows import PaddedRows
from glinermt.types import Kind, SpanScore

if hasattr(os, "register_at_fork"):
    # The threads that torch computes with do not live on in a forked process, which would wait
    # for them for ever; one thread is what is left. More need a process started by "spawn".
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


Made = TypeVar("Made")


class Remade(Generic[Made]):
    """What is made of a module's weights for inference, and again when these have changed.

    A change shows in a weight's version or place, which every optimizer, ``load_state_dict`` and
    ``to`` alter. What writes through ``parameter.data`` must call ``forget``.
    """

    def __init__(self) -> None:
        self._made: tuple[tuple[list[int], list[int]], Made | None] | None = None

    @torch.inference_mode()
    def of(self, module: nn.Module, make: Callable[[], Made | None]) -> Made | None:
        """Return what ``make`` returns; None in training and for weights it cannot be made of."""
        if module.training or torch.is_autocast_enabled("cpu"):
            return None
        parameters = _parameters(module)
        state = [p.data_ptr() for p in parameters], [p._version for p in parameters]
        if self._made is None or self._made[0] != state:
            self._made = state, make() if _are_plain(parameters) else None
        return self._made[1]

    def forget(self) -> None:
        """Drop what was made; the next call makes it anew."""
        self._made = None


class FastPath:
    """How a network of our own infers: fast where that is possible."""

    def __init__(self, precision: Precision = "exact") -> None:
        self.precision = precision
        self._forwards = Remade[FastForward]()

    def output(self, network: Network, batch: Batch) -> Output:
        """Read a batch, fast where that is possible."""
        fast = self._forward(network)
        if fast is None and self.precision != "exact" and not network.training:
            raise UsageError(self._refusal(network))
        output: Output = network(batch.to(network.device)) if fast is None else fast(batch)
        return output

    def relate(
        self, network: Network, output: Output, pairs: Pairs
    ) -> Float[Tensor, "pair relation"]:
        """Return the logits of pairs of mentions in a batch that was read, fast where possible."""
        fast = self._forward(network)
        if fast is None:
            return network.relate(output, pairs.to(network.device))
        return fast.relate(output, pairs)

    def sentences(
        self, network: Network, ids: Int[Tensor, "row token"], mask: Bool[Tensor, "row token"]
    ) -> Float[Tensor, "row width"]:
        """Return the mean of the encoder's vectors over each row, fast where that is possible."""
        fast = self._forward(network)
        if fast is None:
            device = network.device
            return network.encoder.sentence_vectors(ids.to(device), mask.to(device))
        return fast.sentences(ids, mask)

    def choose_precision(self, network: Network) -> None:
        """Take bf16 where the processor has instructions for it and a fast forward fits."""
        faster = has_bf16() and self._forward(network) is not None
        self.precision = "bf16" if faster else "exact"
        self.forget()

    def check(self, network: Network) -> None:
        """Raise ValueError where the precision asked for cannot be had."""
        if self.precision not in PRECISIONS:
            raise UsageError(unknown_choice("precision", self.precision, PRECISIONS))
        if self.precision == "bf16" and not has_bf16():
            raise UsageError(
                "precision 'bf16' needs a processor with bfloat16 instructions, which this one "
                "lacks; use precision='exact' or 'int8'"
            )
        if self.precision != "exact" and self._forward(network) is None:
            raise UsageError(self._refusal(network))

    def _refusal(self, network: Network) -> str:
        name = type(network.encoder.encoder).__name__
        dtype = next(network.parameters()).dtype
        autocast = " under autocast" if torch.is_autocast_enabled("cpu") else ""
        return (
            f"precision {self.precision!r} needs float32 weights on the cpu and an encoder like "
            f"BERT, RoBERTa, MPNet, DeBERTa-v3 or ModernBERT, not {name} with {dtype} on "
            f"{network.device}{autocast}; use precision='exact'"
        )

    def forget(self) -> None:
        """Drop what was made of weights; the next call makes it anew."""
        self._forwards.forget()

    def _forward(self, network: Network) -> FastForward | None:
        return self._forwards.of(network, lambda: self._make(network))

    def _make(self, network: Network) -> FastForward | None:
        make = linears_for(self.precision)
        encoder = fast_encoder(network.encoder.encoder, make)
        return None if encoder is None else FastForward(network, encoder, make)

    def __deepcopy__(self, memo: dict[int, object]) -> "FastPath":
        return FastPath(self.precision)

    def __reduce__(self) -> tuple[type["FastPath"], tuple[Precision]]:
        return FastPath, (self.precision,)


class TorchScorer:
    """Runs a network by torch; see ``reader.Scorer``."""

    def __init__(self, network: Network, fast: FastPath) -> None:
        self.network = network
        self.fast = fast

    @property
    def kinds(self) -> frozenset[Kind]:
        network = self.network
        return kinds_of_heads(network.relation_head is not None, network.class_head is not None)

    @torch.inference_mode()
    def start(self, rows: PaddedRows) -> Callable[[], Scored]:
        output = self.fast.output(self.network, Batch.from_rows(rows))
        size, width, _, axis = output.spans.shape
        none = output.spans.new_zeros(size, width, 0, axis)  # a slice would keep them all
        kept = replace(output, spans=none)
        spans = _to_host(torch.sigmoid(output.spans.float()))
        classes = _to_host(output.classes.double())
        device = output.spans.device
        cuda = device.type == "cuda"
        copied = torch.cuda.current_stream(device).record_event() if cuda else None

        def scored() -> Scored:
            if copied is not None:
                copied.synchronize()
            return Scored(spans.numpy(), classes.numpy(), kept)

        return scored

    def words(self, vectors: Output) -> Float[np.ndarray, "row word hidden"]:
        return vectors.words.float().cpu().numpy()

    @torch.inference_mode()
    def sentences(
        self, ids: Int[np.ndarray, "row token"], mask: Bool[np.ndarray, "row token"]
    ) -> Float[np.ndarray, "row width"]:
        found = self.fast.sentences(self.network, torch.from_numpy(ids), torch.from_numpy(mask))
        return found.float().cpu().numpy()

    @torch.inference_mode()
    def relate(self, vectors: Output, pairs: RowPairs) -> Float[np.ndarray, "pair relation"]:
        asked = Pairs.from_arrays(pairs.mentions, pairs.first, pairs.second)
        logits = self.fast.relate(self.network, vectors, asked)
        return torch.sigmoid(logits.float()).cpu().numpy()

    def candidates(
        self, probabilities: np.ndarray, threshold: np.ndarray, span_score: SpanScore
    ) -> Candidates:
        return self.network.head.candidates(probabilities, threshold, span_score)


def _to_host(values: Tensor) -> Tensor:
    """Return the values on the processor; from CUDA they arrive when its stream is there."""
    if not values.is_cuda:
        return values.cpu()
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return host.copy_(values, non_blocking=True)


def _are_plain(parameters: list[nn.Parameter]) -> bool:
    """Say whether the weights are float32 ones on the processor, to be used as they are."""
    return all(p.dtype == torch.float32 and p.is_cpu and not p.is_inference() for p in parameters)


def _parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return all parameters, like ``model.parameters()``, which takes a tenth of a short text."""
    found: list[nn.Parameter | None] = []
    modules: list[nn.Module | None] = [model]
    for module in modules:  # grows on the way
        if module is not None:
            found.extend(module._parameters.values())
            modules.extend(module._modules.values())
    return [p for p in found if p is not None]
