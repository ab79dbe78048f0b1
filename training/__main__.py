"""``python -m glinermt.training CONFIG.toml``, for ``accelerate launch -m``."""

from glinermt.exits import run_script
from glinermt.training.cli import train_command

if __name__ == "__main__":
    run_script(train_command)
