"""Measuring a model: benchmarks with intervals and protocol cards, calibration on dev data.

    from glinermt.eval import bench, calibrate, make_benchmark

The names are imported when they are used, so that the commands start quickly.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glinermt.eval.benchmarks import BENCHMARKS, make_benchmark
    from glinermt.eval.calibration.choose import calibrate
    from glinermt.eval.measure import bench
    from glinermt.eval.protocol import Benchmark, Options
    from glinermt.eval.report import Report

__all__ = ["BENCHMARKS", "Benchmark", "Options", "Report", "bench", "calibrate", "make_benchmark"]
_HOMES = {
    "BENCHMARKS": "benchmarks",
    "bench": "measure",
    "make_benchmark": "benchmarks",
    "calibrate": "calibration.choose",
    "Benchmark": "protocol",
    "Options": "protocol",
    "Report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'glinermt.eval' has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
