"""GFLOP/s of the linear layers that inference chooses from, by the rows they multiply at once.

    python speed/products.py

The products are those of an encoder of six layers, 384 wide, as the shipped one has, one after
another as in a pass: so with few rows most of the time is the weights' way through memory.
"""

import statistics
import time
from collections.abc import Callable

import torch
from report import machine_line

from glinermt.fast.linear import Bf16Linear, Int8Linear, OneDnnLinear, PlainLinear, has_bf16

ROWS = (8, 40, 128, 512)
SHAPES = ((384, 1152), (384, 384), (384, 1536), (1536, 384))
"""Inputs and outputs of a layer's products."""
LAYERS = 6
TURNS = 40


def seconds(run: Callable[[], object]) -> float:
    """Return the lower quartile of the processor time, after three runs that do not count."""
    times = []
    for turn in range(TURNS + 3):
        start = time.process_time()
        run()
        if turn >= 3:
            times.append(time.process_time() - start)
    return statistics.quantiles(times, n=4)[0]


def main() -> None:
    torch.set_num_threads(1)
    kinds = [PlainLinear, OneDnnLinear, *([Bf16Linear] if has_bf16() else []), Int8Linear]
    print(machine_line(1), "", f"| rows |{''.join(f' {rows} |' for rows in ROWS)}", sep="\n")
    print("|---|" + "---:|" * len(ROWS))
    operations = 2 * LAYERS * sum(inputs * outputs for inputs, outputs in SHAPES)
    for kind in kinds:
        layers = [
            (kind(torch.randn(outputs, inputs), torch.randn(outputs), "none"), inputs)
            for _ in range(LAYERS)
            for inputs, outputs in SHAPES
        ]
        cells = []
        for rows in ROWS:
            vectors = {inputs: torch.randn(rows, inputs) for inputs, _ in SHAPES}
            if kind is Bf16Linear:
                vectors = {inputs: each.bfloat16() for inputs, each in vectors.items()}
            took = seconds(lambda: [linear(vectors[inputs]) for linear, inputs in layers])  # noqa: B023
            cells.append(f" {rows * operations / took / 1e9:.0f} |")
        print(f"| {kind.__name__} |{''.join(cells)}", flush=True)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
