"""Processor time and peak memory of a process that imports one package and loads a model.

    python speed/loading.py glinermt FOLDER
    python speed/loading.py gliner FOLDER

prints both as JSON. This file imports nothing else before it, neither torch nor our code, so that
each package pays for what it imports itself.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def load_glinermt(folder: str) -> Any:
    from glinermt import GlinerMT

    return GlinerMT.from_pretrained(folder)


def load_gliner(folder: str) -> Any:
    from gliner import GLiNER

    return GLiNER.from_pretrained(folder, local_files_only=True).eval()


def load_gliner2(folder: str) -> Any:
    from gliner2 import AutoExtractor

    return AutoExtractor.from_pretrained(folder).eval()


def load_gliformer(folder: str) -> Any:
    from gliformer import GLiFormer

    return GLiFormer.from_pretrained(folder).eval()


PACKAGES = {
    "glinermt": load_glinermt,
    "gliner": load_gliner,
    "gliner2": load_gliner2,
    "gliformer": load_gliformer,
}


def peak_memory() -> float:
    """Return the process's peak memory so far, in MB.

    Linux lets ``ru_maxrss`` begin with the peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    PACKAGES[sys.argv[1]](sys.argv[2])
    print(json.dumps([time.process_time(), peak_memory()]))
