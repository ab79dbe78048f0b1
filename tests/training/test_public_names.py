"""The face of ``glinermt.training``."""

import subprocess
import sys

import glinermt
from glinermt import training


def test_every_public_name_is_there() -> None:
    assert sorted(training.__all__) == training.__all__
    assert sorted(training._LAZY) == training.__all__
    for name in training.__all__:
        assert getattr(training, name).__module__.startswith("glinermt.training.")


def test_fine_tuning_is_at_hand_from_the_package() -> None:
    assert glinermt.fine_tune is training.fine_tune
    assert glinermt.Tuning is training.Tuning


def test_importing_it_loads_no_torch() -> None:
    code = "import sys, glinermt.training, glinermt.training.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
