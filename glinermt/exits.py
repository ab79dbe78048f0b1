"""How commands end: with an exit code, and an error as one line.

Exit codes: 0 done, 1 an error, 2 a command line that cannot be read, 130 after Ctrl-C, 143 after
SIGTERM. An error is one line on standard error; ``--traceback`` shows where it came from.
"""

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import typer
from rich.console import Console

from glinermt.console import printable
from glinermt.errors import GlinerMTError, missing

TRACEBACK = "--traceback"
_EXPECTED = (GlinerMTError, ModuleNotFoundError)
"""What a user's data, arguments and installation cause. All else says its kind."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Terminated(BaseException):
    """SIGTERM came: what is being done is undone or finished on the way out."""


def _terminate(_: int, __: FrameType | None) -> None:
    raise _Terminated


def run_script(main: Callable[..., None]) -> NoReturn:
    """Run a module's only command, ``python -m glinermt...``, as ``glinermt`` runs its own."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    end_with(lambda: app([arg for arg in sys.argv[1:] if arg != TRACEBACK]))


def end_with(command: Callable[[], object]) -> NoReturn:
    """Run a command and end with its exit code."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    if not sys.stderr.isatty():
        _silence_bars()
    sys.exit(_exit_code(command))


def _exit_code(command: Callable[[], object]) -> int:
    try:
        command()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except _Terminated:
        return 143
    except Exception as error:  # whatever it is, it becomes one line
        _show(error)
        return 1
    return 0


def _show(error: Exception) -> None:
    """Print one line; that of a fault of ours says its kind, since it is not the user's."""
    message = str(error)
    full = _says_full(error)
    if isinstance(error, ModuleNotFoundError):
        message = missing(error)
    elif full:
        message += "; make room there and run the same command again"
    elif not isinstance(error, _EXPECTED):
        message = f"{type(error).__name__}: {message}"
    if TRACEBACK in sys.argv:
        sys.stderr.write(printable("".join(traceback.format_exception(error))))
    elif full or (isinstance(error, OSError) and error.filename):  # it may be the machine's
        message += f" ({TRACEBACK} shows where)"
    elif not isinstance(error, _EXPECTED):
        message += f" (a fault of glinermt? {TRACEBACK} shows where)"
    console = Console(stderr=True)
    line = printable(" ".join(f"error: {message}".split("\n")))
    console.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


def _says_full(error: Exception) -> bool:
    """Whether a disk is full; packages in Rust, such as safetensors, say so in words only."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return any(f"(os error {number})" in str(error) for number in _FULL)


def _silence_bars() -> None:
    """Keep the progress bars of other packages out of files and pipes."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
