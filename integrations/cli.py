"""``glinermt mcp``: the MCP server's command."""

from typing import Annotated

import typer

from glinermt.errors import BackendError


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("mcp")(mcp)


def mcp(
    model: Annotated[
        str | None, typer.Option("--model", help="Folder or hub id; the shipped model without.")
    ] = None,
) -> None:
    """Serve the tasks as MCP tools on standard input and output."""
    try:
        from glinermt.integrations.mcp import make_server
    except ModuleNotFoundError as error:
        raise BackendError(f"this needs {error.name}: pip install 'glinermt[mcp]'") from error
    from glinermt.default_model import load_extractor

    make_server(load_extractor(model)).run("stdio")
