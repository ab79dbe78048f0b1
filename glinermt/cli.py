"""The ``glinermt`` command. Each folder brings its commands, which import what they need late.

``exits.py`` says how it ends.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup, TyperOption

from glinermt import __version__
from glinermt.annotate import cli as annotate_cli
from glinermt.errors import UsageError, unknown_choice
from glinermt.eval import cli as eval_cli
from glinermt.exits import TRACEBACK, end_with
from glinermt.formats import cli as formats_cli
from glinermt.integrations import cli as integrations_cli
from glinermt.outputs import check_no_model
from glinermt.serve import cli as serve_cli
from glinermt.synth import cli as synth_cli
from glinermt.tasks import cli as tasks_cli
from glinermt.training import cli as training_cli
from glinermt.training.adapt import cli as adapt_cli


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


def main() -> None:
    """Run the command and end with its exit code."""
    end_with(app)
