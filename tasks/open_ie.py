"""Open information extraction: the pieces of a text that an instruction asks for."""

from collections.abc import Iterable
from pathlib import Path

from glinermt.default_model import load_extractor
from glinermt.tasks import instructions
from glinermt.tasks.inputs import by_shape
from glinermt.types import Example, Extractor, Span

TASK = "matches"
LABEL = instructions.LABEL


@by_shape
def extract_matches(
    text: str | Iterable[str],
    instruction: str | Iterable[str],
    *,
    threshold: float | None = None,
    model: Extractor | str | Path | None = None,
) -> list[Span]:
    """Find all pieces of the text that an instruction asks for, labelled ``match``.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        instruction: what to find, in words; for all texts, or one for each.
        threshold: least score; None = the model's, else 0.5.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts or instructions are no strings.
        ValueError: an empty instruction, or numbers that do not match.
    """
    extractor = load_extractor(model)
    return instructions.extract_instructed(
        text, instruction, (LABEL,), task=TASK, threshold=threshold, model=extractor
    )


def example(text: str, instruction: str, spans: Iterable[Span]) -> Example:
    """Make the training example."""
    return instructions.example(text, instruction, spans)
