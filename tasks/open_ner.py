"""Open NER: an instruction says what to find ("all products of Apple")."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from glinermt.default_model import load_extractor
from glinermt.tasks import instructions
from glinermt.tasks.inputs import by_shape
from glinermt.tasks.labels import LabelSpec
from glinermt.types import Example, Extractor, Query, Span

TASK = "open_entities"
LABEL = instructions.LABEL


@by_shape
def extract_open_entities(
    text: str | Iterable[str],
    instruction: str | Iterable[str],
    labels: LabelSpec | Iterable[LabelSpec] = (LABEL,),
    *,
    threshold: float | None = None,
    model: Extractor | str | Path | None = None,
) -> list[Span]:
    """Find the entities that an instruction describes.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        instruction: what to find, in words; for all texts, or one for each.
        labels: what to call the findings, for more than one kind of them.
        threshold: least score; None = the model's, else 0.5.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: texts, instructions or labels are no strings.
        ValueError: an empty instruction or label, or numbers that do not match.
    """
    extractor = load_extractor(model)
    return instructions.extract_instructed(
        text, instruction, labels, task=TASK, threshold=threshold, model=extractor
    )


def example(
    text: str, instruction: str, spans: Iterable[Span], labels: Sequence[str] = (LABEL,)
) -> Example:
    """Make the training example; spans of a single label may carry any label."""
    if len(labels) == 1:
        return instructions.example(text, instruction, spans, labels[0])
    return Example(Query(text, tuple(labels), instruction), tuple(spans))
