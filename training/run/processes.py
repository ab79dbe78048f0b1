"""What a training step asks of its processes: one, or several that share their gradients.

One process uses torch alone. ``accelerate``, whose state holds for the whole program, comes in
only where a launcher (``torchrun``, ``accelerate launch``) started several.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from glinermt.errors import BackendError, ConfigError
from glinermt.network import Network

Precision = Literal["no", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Processes(Protocol):
    """The processes of a run, as each of them sees them."""

    device: torch.device
    number: int
    index: int
    """Place of this one, from 0; the first one writes files."""

    def prepare(
        self, module: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Return both, moved to the device and wrapped for this kind of run."""
        ...

    def gather(self, module: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
        """Return the context of one of a step's passes; only the last one shares gradients."""
        ...

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which losses are computed, in the precision of the run."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        ...

    def update(self, module: nn.Module, optimizer: torch.optim.Optimizer, clip: float) -> float:
        """Clip the gradients to a norm, let the optimiser step; return the norm before."""
        ...

    def sums(self, values: Iterable[float]) -> list[float]:
        """Add up each of the values over all processes; what comes back is the same in each."""
        ...

    def wait(self) -> None:
        """Wait until every process has come here."""
        ...

    def free(self) -> None:
        """Let go of what was prepared."""
        ...


class OneProcess:
    """One process, which leaves nothing behind in the program."""

    number = 1
    index = 0

    def __init__(self, device: torch.device, precision: Precision = "no") -> None:
        self.device = device
        self._dtype = _DTYPES.get(precision)
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self._tables: list[_Table] = []

    def prepare(
        self, module: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        if self.device.type == "cpu":
            self._tables = [_Table(part) for part in module.modules() if _is_large(part)]
        return module.to(self.device), optimizer

    @contextmanager
    def gather(self, module: nn.Module, *, last: bool) -> Iterator[None]:  # noqa: ARG002
        for table in self._tables:
            table.embedding.sparse = True
        try:
            yield
        finally:
            for table in self._tables:
                table.embedding.sparse = False

    def autocast(self) -> AbstractContextManager[Any]:
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self._dtype)

    def backward(self, loss: Tensor) -> None:
        scaled: Tensor = self._scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]

    def update(self, module: nn.Module, optimizer: torch.optim.Optimizer, clip: float) -> float:
        for table in self._tables:
            table.fill_gradient()
        self._scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(module.parameters(), clip)
        self._scaler.step(optimizer)
        self._scaler.update()
        return float(norm)

    def sums(self, values: Iterable[float]) -> list[float]:
        return list(values)

    def wait(self) -> None:
        pass

    def free(self) -> None:
        self._tables = []


LARGE = 4096
"""Rows from which the gradient of an embedding is kept by row."""


def _is_large(part: nn.Module) -> bool:
    return isinstance(part, nn.Embedding) and part.num_embeddings >= LARGE and not part.sparse


class _Table:
    """A vocabulary in training on a processor, whose gradient is kept by the rows that were read.

    A gradient of the whole table would be allocated, zeroed and added for every pass: 47 MB for
    BERT's vocabulary 384 wide, 393 MB for DeBERTa-v3-small's. Instead one is kept, and the rows
    of a step are written into it before the optimiser, which moves every row, as always.
    """

    def __init__(self, embedding: nn.Module) -> None:
        assert isinstance(embedding, nn.Embedding)
        self.embedding = embedding
        self._gradient: Tensor | None = None
        self._rows = torch.zeros(0, dtype=torch.long)
        """Where ``_gradient`` is not zero."""

    def fill_gradient(self) -> None:
        """Make a gradient of some rows one of the whole table."""
        weight = self.embedding.weight
        if weight.grad is None or not weight.grad.is_sparse:
            return
        if self._gradient is None:
            self._gradient = torch.zeros_like(weight)
        read = weight.grad.coalesce()
        self._gradient[self._rows] = 0
        self._rows = read.indices()[0]
        self._gradient[self._rows] = read.values()
        weight.grad = self._gradient


class ManyProcesses:
    """Data parallel processes, by ``accelerate``.

    Raises:
        BackendError: accelerate is not installed.
        ConfigError: the launcher asks for a sharded model.
    """

    def __init__(self, precision: Precision = "no") -> None:
        try:
            from accelerate import Accelerator  # type: ignore[import-untyped]  # ships no types
            from accelerate.utils import DistributedType  # type: ignore[import-untyped]
        except ImportError as error:
            raise BackendError(
                "several processes need accelerate: pip install 'glinermt[training]'"
            ) from error
        self._accelerator: Any = Accelerator(mixed_precision=precision)
        kind = self._accelerator.distributed_type
        if kind in (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
            raise ConfigError(
                f"{kind.value} shards the model, but here each process keeps it whole; launch with "
                "plain data parallelism (torchrun, or accelerate launch --multi_gpu)"
            )
        self.device: torch.device = self._accelerator.device
        self.number: int = self._accelerator.num_processes
        self.index: int = self._accelerator.process_index

    def prepare(
        self, module: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[nn.Module, torch.optim.Optimizer]:
        from accelerate import DistributedDataParallelKwargs

        # A batch of one process may ask for no relation, or for no class: that head then waits.
        networks = [part for part in module.modules() if isinstance(part, Network)]
        heads = any(head is not None for n in networks for head in (n.relation_head, n.class_head))
        self._accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=heads)
        prepared: tuple[nn.Module, torch.optim.Optimizer]
        prepared = self._accelerator.prepare(module, optimizer)
        return prepared

    def gather(self, module: nn.Module, *, last: bool) -> AbstractContextManager[Any]:
        if last:
            return nullcontext()
        waiting: AbstractContextManager[Any] = self._accelerator.no_sync(module)
        return waiting

    def autocast(self) -> AbstractContextManager[Any]:
        return nullcontext()  # the prepared module brings its own

    def backward(self, loss: Tensor) -> None:
        self._accelerator.backward(loss)

    def update(self, module: nn.Module, optimizer: torch.optim.Optimizer, clip: float) -> float:
        norm = self._accelerator.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
        return float(norm)

    def sums(self, values: Iterable[float]) -> list[float]:
        mine = torch.tensor(list(values), device=self.device)
        total: list[float] = self._accelerator.reduce(mine, "sum").tolist()
        return total

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()

    def free(self) -> None:
        self._accelerator.free_memory()


def launched_processes(precision: Precision) -> Processes:
    """Return the processes that a launcher started, or this one on the best device there is.

    Raises:
        BackendError: several were started and accelerate is not installed.
        ConfigError: the launcher asks for a sharded model.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return ManyProcesses(precision)
    kind = "cpu"
    if os.environ.get("ACCELERATE_USE_CPU", "").lower() not in {"1", "true", "yes"}:
        kind = "cuda" if torch.cuda.is_available() else kind
        kind = "mps" if torch.backends.mps.is_available() else kind
    return OneProcess(torch.device(kind), precision)


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Draw torch's random numbers from a seed, and then go on as if none had been drawn."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    other = None if device is None or device.type == "cpu" else torch.get_device_module(device)
    other_before = other.get_rng_state() if other else None
    if other:
        other.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)
        if other:
            other.set_rng_state(other_before)


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Take the smallest numbers for zero meanwhile, in this thread.

    Moments of rarely seen tokens decay into denormals, which a CPU computes very slowly.
    """
    smallest = torch.tensor(torch.finfo(torch.float64).smallest_normal / 2, dtype=torch.float64)
    before = bool(smallest * 1.0 == 0.0)  # torch has no question for it
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
