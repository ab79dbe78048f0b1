"""The benchmarks by name: one file and one line here for each."""

from collections.abc import Callable, Mapping
from typing import Any

from glinermt.errors import unknown_choice
from glinermt.eval.benchmarks.cnn_dm import cnn_dm  # these import the
from glinermt.eval.benchmarks.crossner import crossner
from glinermt.eval.benchmarks.fewrel import fewrel
from glinermt.eval.benchmarks.ner20 import ner20
from glinermt.eval.benchmarks.squad2 import squad2
from glinermt.eval.protocol import Benchmark, Options

BENCHMARKS: Mapping[str, Callable[[Options], Benchmark[Any]]] = {
    "crossner": crossner,
    "squad2": squad2,
    "fewrel": fewrel,
    "cnn_dm": cnn_dm,
    "ner20": ner20,
}


def make_benchmark(name: str, options: Options) -> Benchmark[Any]:
    """Give the benchmark called ``name``.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in BENCHMARKS:
        raise ValueError(unknown_choice("benchmark", name, BENCHMARKS))
    return BENCHMARKS[name](options)
