"""The ``glinermt`` command. Each folder brings its commands, which import what they need late.

Exit codes: 0 done, 1 an error, 2 a command line that cannot be read, 130 after Ctrl-C, 143 after
SIGTERM. An error is one line on standard error; ``--traceback`` shows where it came from.
"""

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup, TyperOption

from glinermt import __version__
from glinermt.annotate import cli as annotate_cli
from glinermt.console import printable
from glinermt.errors import GlinerMTError, UsageError, missing, unknown_choice
from glinermt.eval import cli as eval_cli
from glinermt.formats import cli as formats_cli
from glinermt.integrations import cli as integrations_cli
from glinermt.outputs import check_no_model
from glinermt.serve import cli as serve_cli
from glinermt.synth import cli as synth_cli
from glinermt.tasks import cli as tasks_cli
from glinermt.training import cli as training_cli
from glinermt.training.adapt import cli as adapt_cli

TRACEBACK = "--traceback"
_EXPECTED = (GlinerMTError, ModuleNotFoundError)
"""What a user's data, arguments and installation cause. All else says its kind."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Commands(TyperGroup):
    """Commands in which an option that takes one value is not silently read as its last one."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        end = rest.index("--") if "--" in rest else len(rest)
        rest = [arg for i, arg in enumerate(rest) if arg != TRACEBACK or i > end]
        if command is not None:
            _check_once(command, rest, ctx)
        return name, command, rest


def _check_once(command: Any, args: Sequence[str], ctx: Any) -> None:
    """Refuse an option that is given twice and may be given once."""
    options = {
        name: option
        for option in command.params
        if isinstance(option, TyperOption)
        for name in (*option.opts, *option.secondary_opts)
    }
    seen: set[str] = set()
    left = iter(args)
    for arg in left:
        if arg == "--":
            return
        name, equals, _ = arg.partition("=")
        option = options.get(name)
        if option is None or option.is_flag or option.count:
            continue
        if option.name in seen and not option.multiple:
            raise typer.BadParameter("it is given twice and takes one value", ctx, option)
        seen.add(str(option.name))
        if not equals:
            next(left, None)


app = typer.Typer(
    name="glinermt",
    cls=Commands,
    help="Entities, relations, answers and summaries from one small model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _part in (
    tasks_cli,
    annotate_cli,
    training_cli,
    adapt_cli,
    eval_cli,
    synth_cli,
    serve_cli,
    formats_cli,
    integrations_cli,
):
    _part.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"glinermt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
    show_traceback: Annotated[
        bool, typer.Option(TRACEBACK, help="Show where an error came from; also behind a command.")
    ] = False,
) -> None:
    pass


@app.command("export")
def export_command(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    model: Annotated[
        str | None, typer.Argument(help="Folder or hub id; the shipped model without.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="onnx or openvino; or gliner, a checkpoint of that package.")
    ] = "onnx",
    quantize: Annotated[str | None, typer.Option(help="int8 (onnx only) or fp16.")] = None,
    words: Annotated[
        str | None, typer.Option(help="Word splitter; for gliner reference, as it splits.")
    ] = None,
) -> None:
    """Write a model as graphs that run without torch, or as a checkpoint of the package gliner."""
    from glinermt.model import GlinerMT

    if format not in ("onnx", "openvino", "gliner"):
        raise UsageError(unknown_choice("format", format, ("onnx", "openvino", "gliner")))
    if format == "gliner" and quantize is not None:
        raise UsageError(
            "a checkpoint of the package gliner has whole weights; leave out --quantize"
        )
    check_no_model(out, overwrite=None)
    loaded: Any = GlinerMT.from_pretrained(model, words=words)
    if format == "gliner":
        loaded.save_pretrained(out, format="gliner")
    else:
        write = loaded.export_onnx if format == "onnx" else loaded.export_openvino
        write(out, quantize=quantize)
    typer.echo(f"{out}: written; GlinerMT.from_pretrained and --model take the folder")


class _Terminated(BaseException):
    """SIGTERM came: what is being done is undone or finished on the way out."""


def _terminate(_: int, __: FrameType | None) -> None:
    raise _Terminated


def main() -> None:
    """Run the command and end with its exit code."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    if not sys.stderr.isatty():
        _silence_bars()
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        app()
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
