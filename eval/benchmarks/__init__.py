"""The benchmarks by name. A new one is a file here that defines ``ENTRY``, and its name below.

A file is imported when its benchmark is asked for, so that the names alone cost nothing.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glinermt.errors import UsageError, unknown_choice

if TYPE_CHECKING:  # numpy, which the commands' names can do without
    from glinermt.eval.protocol import Benchmark, Entry, Options

BENCHMARKS = (
    "crossner",
    "squad2",
    "fewrel",
    "cnn_dm",
    "ner20",
    "relations",
    "classification",
    "pii",
    "records",
)
SAMPLES = Path(__file__).parents[1] / "samples"
"""Small real samples that come with the package; SOURCES.md says from where."""


def entry(name: str) -> "Entry":
    """Return what the command knows of the benchmark called ``name``.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in BENCHMARKS:
        raise UsageError(unknown_choice("benchmark", name, BENCHMARKS))
    found: Entry = importlib.import_module(f"{__name__}.{name}").ENTRY
    return found


def make_benchmark(name: str, options: "Options") -> "Benchmark[Any]":
    """Return the benchmark called ``name``.

    Raises:
        ValueError: there is none of that name.
    """
    return entry(name).make(options)


def sampled() -> list[str]:
    """Return the benchmarks of which the package has a sample."""
    return [name for name in BENCHMARKS if (SAMPLES / name).is_dir()]
