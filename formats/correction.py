"""What a model found, written for a tool in which people correct it, and read back from there."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from glinermt.errors import UsageError, unknown_choice
from glinermt.formats.doccano import read_doccano, write_doccano
from glinermt.formats.document import Document, Lost
from glinermt.formats.label_studio import read_label_studio, write_predictions
from glinermt.formats.prodigy import read_prodigy, write_unanswered

TOOLS = ("label-studio", "prodigy", "doccano")
"""Tools whose users correct what a model found."""


def write_for_correction(
    documents: Iterable[Document], path: Path, tool: str, *, model: str = "glinermt"
) -> None:
    """Write texts with what a model found, to be corrected in a tool.

    Label Studio is given predictions, Prodigy unanswered examples: both tell what people looked at
    from what they did not. doccano has no such difference.

    Args:
        documents: with the model's spans.
        path: JSON for Label Studio, else JSON lines.
        tool: one of ``TOOLS``.
        model: the name that Label Studio shows for the predictions.

    Raises:
        ValueError: an unknown tool.
    """
    if tool == "label-studio":
        write_predictions(documents, path, model=model)
    elif tool == "prodigy":
        write_unanswered(documents, path)
    elif tool == "doccano":
        write_doccano(documents, path, Lost())
    else:
        raise UsageError(unknown_choice("tool", tool, TOOLS))


def read_corrected(path: Path, tool: str) -> Iterator[Document]:
    """Read a tool's export, without what nobody has looked at, skipped or rejected.

    Raises:
        DataError: the file is not such an export.
        ValueError: an unknown tool.
    """
    if tool not in TOOLS:
        raise UsageError(unknown_choice("tool", tool, TOOLS))
    lost = Lost()  # who corrects knows what was skipped
    if tool == "label-studio":
        yield from read_label_studio(path, lost, predictions=False)
    elif tool == "prodigy":
        yield from read_prodigy(path, lost, unsaid="")
    else:
        yield from read_doccano(path, lost)
