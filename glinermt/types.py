"""The data that all parts speak, from one place: a ``Query`` goes in, what was found comes out."""

from glinermt.config import SpanScore
from glinermt.examples import Example
from glinermt.queries import (
    OVERLAPS,
    Ask,
    Best,
    Extractor,
    Found,
    Instance,
    Kind,
    Overlap,
    Query,
    Relation,
    Span,
    Threshold,
    span_of,
)
from glinermt.results import (
    Answer,
    Classification,
    Reading,
    Record,
    Redaction,
    Summary,
    to_json,
)
from glinermt.structures import Attributes, Cardinality, Field, Structure

__all__ = [
    "OVERLAPS",
    "Answer",
    "Ask",
    "Attributes",
    "Best",
    "Cardinality",
    "Classification",
    "Example",
    "Extractor",
    "Field",
    "Found",
    "Instance",
    "Kind",
    "Overlap",
    "Query",
    "Reading",
    "Record",
    "Redaction",
    "Relation",
    "Span",
    "SpanScore",
    "Structure",
    "Summary",
    "Threshold",
    "span_of",
    "to_json",
]
