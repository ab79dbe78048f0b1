"""Texts a second on an accelerator beside the package ``gliner``: same weights, same texts.

    python speed/gpu.py                          # cuda; some minutes
    python speed/gpu.py --device cpu --quick     # only whether it runs; the numbers mean nothing

16-bit numbers on both sides, and the package compiled, too. The systems run in turns; a time is the
least of the turns, by the clock, with the device's work waited for. Ours gives one batch after
another to the device, as always; nothing here is measured with CUDA graphs.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # before tokenizers is imported

import torch
import typer
from contest import LABELS, SENTENCES, Contest, contest, quietly
from report import machine_line

from glinermt.model import GlinerMT
from glinermt.types import Query

NUM_LABELS = (5, 15, 50)
BATCH = 64
"""Texts of a batch of the package; ours is cut by tokens."""
BATCH_TOKENS = 32768
Run = Callable[[Sequence[str], Sequence[str]], object]


def ours(pair: Contest, device: str, dtype: torch.dtype | None) -> Run:
    """Return our model on the device."""
    model = GlinerMT.from_pretrained(pair.folder, device=device, dtype=dtype)
    if device != "cpu":
        model.batch_tokens = BATCH_TOKENS

    def run(texts: Sequence[str], labels: Sequence[str]) -> object:
        return model.extract([Query(text, tuple(labels)) for text in texts], threshold=0.5)

    return run


def theirs(pair: Contest, device: str, dtype: torch.dtype | None, *, compiled: bool) -> Run:
    """Return the package's model on the device."""
    model: Any = pair.theirs().to(device)
    if dtype is not None:
        model = model.to(dtype)
    if compiled:
        model.compile()
    infer = quietly(model.inference)

    def run(texts: Sequence[str], labels: Sequence[str]) -> object:
        return infer(list(texts), list(labels), threshold=0.5, batch_size=BATCH)

    return run


def systems(pair: Contest, device: str, *, quick: bool) -> dict[str, Run]:
    """Load all systems by name, ours first; with ``quick`` one of each side."""
    if quick:
        return {
            "glinermt": ours(pair, device, None),
            "gliner": theirs(pair, device, None, compiled=False),
        }
    return {
        "glinermt bf16": ours(pair, device, torch.bfloat16),
        "glinermt fp16": ours(pair, device, torch.float16),
        "glinermt fp32": ours(pair, device, None),
        "gliner fp16": theirs(pair, device, torch.float16, compiled=False),
        "gliner fp16, compiled": theirs(pair, device, torch.float16, compiled=True),
        "gliner fp32": theirs(pair, device, None, compiled=False),
    }


def seconds(run: Run, texts: Sequence[str], labels: Sequence[str], device: str) -> float:
    """Return what a run takes by the clock, until the device has nothing left to do."""
    start = time.perf_counter()
    run(texts, labels)
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def main(
    model: Annotated[str, typer.Option(help="shipped or deberta-SIZE-HEAD.")] = "shipped",
    device: Annotated[str, typer.Option(help="Such as cuda or cuda:1.")] = "cuda",
    texts: Annotated[int, typer.Option(help="Texts, of two sentences.")] = 2048,
    turns: Annotated[int, typer.Option(help="Turns after one that does not count.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Few texts, two systems.")] = False,
) -> None:
    """Print a table of texts a second."""
    texts, turns = (8, 1) if quick else (texts, turns)
    given = [
        f"{SENTENCES[i % len(SENTENCES)]} {SENTENCES[(i * 7 + 1) % len(SENTENCES)]}"
        for i in range(texts)
    ]
    card = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    print(f"{machine_line(torch.get_num_threads())}; {card}; {model}, {texts} texts\n")
    print(f"| labels | {'system':22} | texts/s | ours is |\n|---:|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        loaded = systems(contest(model, Path(folder) / "model"), device, quick=quick)
        for number in NUM_LABELS:
            labels = [
                f"{LABELS[i % len(LABELS)]} {i // len(LABELS) or ''}".strip() for i in range(number)
            ]
            best = dict.fromkeys(loaded, float("inf"))
            for turn in range(turns + 1):
                for name, run in loaded.items():
                    took = seconds(run, given, labels, device)
                    best[name] = min(best[name], took) if turn else best[name]
            first = next(iter(best.values()))
            for name, took in best.items():
                print(f"| {number} | {name:22} | {texts / took:,.0f} | {took / first:.1f}x |")


if __name__ == "__main__":
    typer.run(main)
