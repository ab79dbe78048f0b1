"""How modules that are commands of their own end: as ``glinermt`` does."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["glinermt.training", "none.toml"], "error: none.toml: no such file"),
        (
            ["glinermt.training.shipped.average", "/none", "/none", "--out", "average"],
            "error: /none: no such folder",
        ),
    ],
)
def test_an_error_of_a_module_is_one_line(tmp_path: Path, command: list[str], message: str) -> None:
    done = run(tmp_path, *command)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    traced = run(tmp_path, *command, "--traceback")
    assert "Traceback (most recent call last)" in traced.stderr
    assert message in traced.stderr


def test_a_command_line_that_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    done = run(tmp_path, "glinermt.training", "none.toml", "--nothing")
    assert done.returncode == 2
    assert "No such option: --nothing" in done.stderr


def installed_script() -> list[str]:
    """Return what the installed ``glinermt`` does."""
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text("utf-8"))
    module, function = project["project"]["scripts"]["glinermt"].split(":")
    return ["-c", f"import sys; from {module} import {function}; sys.exit({function}())"]


@pytest.mark.parametrize("command", [["-m", "glinermt"], installed_script()], ids=["-m", "script"])
def test_ctrl_c_during_imports_ends_with_130_and_no_traceback(
    tmp_path: Path, command: list[str]
) -> None:
    interrupt = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport none"
    (tmp_path / "typer.py").write_text(interrupt, encoding="utf-8")  # imported before ours
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *command, "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == ""
