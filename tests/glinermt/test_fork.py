"""A process forked after a model has answered, or while one is loaded, answers too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WAIT = """
def ended(child):
    for _ in range(1200):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(child, 9)
    return "the child hangs"
"""
AFTER_USE = """
import os, sys, time, torch
from glinermt.default_model import load_extractor
from glinermt.types import Query
torch.set_num_threads(2)
queries = [Query("bill gates founded microsoft in paris " * 20, ("person", "city"))] * 2
spans = load_extractor(None).extract(queries, threshold=0.2)
torch.nn.functional.gelu(torch.randn(1000, 1000))  # surely with both threads
child = os.fork()
if not child:
    torch.nn.functional.gelu(torch.randn(1000, 1000))
    again = load_extractor(None).extract(queries, threshold=0.2)
    os._exit([len(found) for found in again] != [len(found) for found in spans])
"""
WHILE_LOADING = """
import os, sys, threading, time
from glinermt import default_model
from glinermt.model import GlinerMT
load, began = GlinerMT.from_pretrained, threading.Event()
def slowly(*arguments):
    began.set()
    time.sleep(0.3)
    return load(*arguments)
GlinerMT.from_pretrained = slowly
threading.Thread(target=default_model.load_extractor, args=[None]).start()
began.wait()
child = os.fork()
if not child:
    default_model.load_extractor(None)
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="this system does not fork")
@pytest.mark.parametrize("script", [AFTER_USE, WHILE_LOADING])
def test_a_forked_process_answers(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script + WAIT + "sys.exit(ended(child))"],
        cwd=ROOT, env={**os.environ, "OMP_WAIT_POLICY": "passive"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
