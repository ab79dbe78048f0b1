"""Averages the weights of checkpoints that grew from the same start.

``python -m glinermt.training.shipped.average FIRST OTHERS... --share 0.5 --out DIR``: each weight
becomes its share of FIRST plus the mean of the others for the rest. A weight that others do not
have (a head that was added later), and rows that only FIRST has in the table of tokens, stay as
FIRST has them. Checkpoints of one run average out the noise of its last steps; a tuned model and
its start keep more of what the start knew (Wortsman et al. 2022, "Robust fine-tuning").
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from glinermt.errors import ConfigError
from glinermt.exits import run_script


def average(first: Any, others: Sequence[Any], *, share: float) -> Any:
    """Return ``first`` with averaged weights; its settings stay.

    Args:
        first: a ``GlinerMT``, changed in place.
        others: models of the same shapes, but for heads and tokens that ``first`` has besides.
        share: of ``first``, in [0, 1].

    Raises:
        ConfigError: there are no others, or one has no weight in common with ``first``, or one of
            another shape.
    """
    if not others:
        raise ConfigError("there is nothing to average with: name at least two models")
    states = [other.state_dict() for other in others]
    if not all(first.state_dict().keys() & state.keys() for state in states):
        raise ConfigError("one of the models has no weight of the names that the first one has")
    with torch.no_grad():
        for name, weight in first.state_dict().items():
            found = [state[name] for state in states if name in state]
            rows = min([len(other) for other in found], default=0) if weight.dim() else None
            for other in found:
                grown = weight.dim() > 1 and other.shape[1:] == weight.shape[1:]
                if other.shape != weight.shape and not (grown and len(other) < len(weight)):
                    raise ConfigError(
                        f"{name} has the shape {tuple(weight.shape)} in the first model and "
                        f"{tuple(other.shape)} in another"
                    )
            if found:
                part = weight[:rows] if rows is not None else weight
                mean = torch.stack([o[:rows] if rows is not None else o for o in found]).mean(0)
                part.mul_(share).add_(mean, alpha=1 - share)
    return first


def main(
    models: Annotated[list[str], typer.Argument(help="Folders or hub ids; the first has a share.")],
    out: Annotated[Path, typer.Option(help="Folder for the average.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the first model.")] = 0.5,
) -> None:
    """Write the average of some models, with the settings of the first."""
    from glinermt.model import GlinerMT

    first, *others = (GlinerMT.from_pretrained(model) for model in models)
    average(first, others, share=share).save_pretrained(out)
    typer.echo(f"wrote {out}")


if __name__ == "__main__":
    run_script(main)
