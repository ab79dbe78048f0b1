"""``glinermt`` and ``python -m glinermt``: the command line, from its first import on."""

import sys
from pathlib import Path

LINKED = ("annotate", "eval", "formats", "integrations", "serve", "synth", "tasks", "training")


def main() -> None:
    """Run the command line, or say why this checkout cannot; Ctrl-C may come while it imports."""
    here = Path(__file__).parent
    broken = [name for name in LINKED if not (here / name).is_dir()]
    if broken:
        raise SystemExit(
            f"glinermt/{broken[0]} should be a link to the folder ../{broken[0]}: this checkout "
            "has no symbolic links; run 'git config core.symlinks true', then 'git checkout .'"
        )
    try:
        from glinermt.cli import main as command_line
    except KeyboardInterrupt:
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
