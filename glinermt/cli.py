"""The ``glinermt`` command. Each folder brings its commands, which import what they need late."""

import sys
from typing import Annotated

import click
import typer
from rich.console import Console

from glinermt import __version__
from glinermt.annotate import cli as annotate_cli
from glinermt.errors import GlinerMTError
from glinermt.eval import cli as eval_cli
from glinermt.formats import cli as formats_cli
from glinermt.serve import cli as serve_cli
from glinermt.synth import cli as synth_cli
from glinermt.tasks import cli as tasks_cli
from glinermt.training import cli as training_cli

app = typer.Typer(
    name="glinermt",
    help="Entities, relations, answers and summaries from one small model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _part in (tasks_cli, annotate_cli, training_cli, eval_cli, synth_cli, serve_cli, formats_cli):
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
) -> None:
    pass


def main() -> None:
    """Run the command; our errors are one readable line, and Ctrl-C is no error message."""
    try:
        app()
    except (GlinerMTError, ValueError, TypeError, OSError) as error:
        console = Console(stderr=True)
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
