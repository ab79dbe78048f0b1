"""Annotated texts in other people's formats, read and written; what cannot be held is counted."""

from glinermt.formats.convert import (
    FORMATS,
    OURS,
    NoTextError,
    convert,
    detect,
    read_documents,
    read_examples,
)
from glinermt.formats.document import Document

__all__ = [
    "FORMATS",
    "OURS",
    "Document",
    "NoTextError",
    "convert",
    "detect",
    "read_documents",
    "read_examples",
]
