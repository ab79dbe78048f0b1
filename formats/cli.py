"""The command ``glinermt convert``."""

from pathlib import Path
from typing import Annotated

import typer

from glinermt.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("convert")(convert_command)


def convert_command(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File, or folder of brat.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File, or folder for brat.")],
    to: Annotated[str, typer.Option("--to", help="Format to write.")] = "glinermt",
    from_: Annotated[str, typer.Option("--from", help="Format to read; auto tells.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite OUT.")] = False,
) -> None:
    """Convert annotated texts: glinermt, conll, gliner, gliner2, label-studio, prodigy, doccano,
    brat, docbin, spacy-tuples, hf, csv, squad."""
    from glinermt.formats import convert

    if target.exists() and not force and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f"{target} is there already; name another, or use --force")
    lost = convert(source, target, to, from_)
    for what, number in sorted(lost.items()):
        typer.echo(f"left out: {number:,} {what}", err=True)
    typer.echo(f"wrote {target}", err=True)
