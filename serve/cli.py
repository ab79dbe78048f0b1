"""``glinermt serve``: the server's command."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from glinermt.errors import BackendError


class Precision(StrEnum):
    """Of the products that a processor computes; see ``GlinerMT.from_pretrained``."""

    EXACT = "exact"
    BF16 = "bf16"
    INT8 = "int8"
    AUTO = "auto"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("serve")(serve)


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Folder or hub id, or NAME=folder or hub id; again for more. "
            "Without: the model that ships.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    precision: Annotated[
        Precision,
        typer.Option(
            help="bf16 and int8 are faster, with scores that differ a little; auto is bf16 where "
            "the processor has instructions for it, else exact."
        ),
    ] = Precision.AUTO,
    device: Annotated[str | None, typer.Option(help="Such as cuda; cpu without.")] = None,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, help="How long a batch waits for requests on their way.")
    ] = 5.0,
    batch_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens after which a batch is full, about.")
    ] = 4096,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Requests under way; more are told to try again later.")
    ] = 128,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds after which a request is given up.")
    ] = 60.0,
    max_text_chars: Annotated[int, typer.Option(min=1, help="Longest text.")] = 100_000,
    max_texts: Annotated[int, typer.Option(min=1, help="Most texts of a request.")] = 1000,
    max_labels: Annotated[int, typer.Option(min=1, help="Most labels of a request.")] = 1000,
    max_body_bytes: Annotated[
        int, typer.Option(min=1, help="Largest body of a request, or line of a stream.")
    ] = 10_000_000,
    api_key_file: Annotated[
        Path | None, typer.Option(help="Keys, one a line, of which requests need one.")
    ] = None,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="A web site whose pages may ask; again for more.")
    ] = None,
    log_texts: Annotated[
        bool, typer.Option("--log-texts", help="Log whole requests; they may be private.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes, each with the models and a share of the cores.")
    ] = 1,
) -> None:
    """Serve the tasks over HTTP, with a page to try them."""
    try:
        from glinermt.serve.process import Models, Setup, run
        from glinermt.serve.service import ServeSettings
    except ModuleNotFoundError as error:
        raise BackendError(f"serving needs {error.name}: pip install 'glinermt[serve]'") from error
    settings = ServeSettings(
        max_wait_ms=max_wait_ms,
        batch_tokens=batch_tokens,
        max_queue=max_queue,
        timeout=timeout,
        max_text_chars=max_text_chars,
        max_texts=max_texts,
        max_labels=max_labels,
        max_body_bytes=max_body_bytes,
        cors_origins=tuple(cors_origin or ()),
        log_texts=log_texts,
    )
    models = Models.named(model or [], precision=precision.value, device=device)
    setup = Setup(models=models, settings=settings, api_key_file=api_key_file, workers=workers)
    run(setup, host=host, port=port)
