"""``python -m glinermt.training CONFIG.toml``, for ``accelerate launch -m``."""

import typer

from glinermt.training.cli import train_command

if __name__ == "__main__":
    typer.run(train_command)
