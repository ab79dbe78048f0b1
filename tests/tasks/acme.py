"""A text about a firm and two people, and a model that finds the tails a test wrote down."""

import re

from glinermt.config import TaskSettings
from glinermt.types import Query, Relation, Span
from tests.stub import StubExtractor

TEXT = "Acme was founded by Ann Lee in Bonn. Bob Ray joined Acme later. Ann Lee left Acme."


def places(name: str, label: str = "", text: str = TEXT) -> list[Span]:
    """Return every mention of a name."""
    found = re.finditer(re.escape(name), text)
    return [Span(m.start(), m.end(), name, label, 0.9) for m in found]


ENTITIES = [
    *places("Acme", "organization"),
    *places("Ann Lee", "person"),
    *places("Bob Ray", "person"),
    *places("Bonn", "city"),
]


def scripted(
    tails: dict[str, list[Span | tuple[str, float]]],
    entities: list[Span] | None = None,
    settings: TaskSettings | None = None,
) -> StubExtractor:
    """Find ``tails[asked label]``; where the labels are none of these, ``entities``."""

    def script(query: Query) -> list[Span | tuple[str, str, float]]:
        if not set(tails) & set(query.labels):
            return [s for s in entities or [] if s.label in query.labels]
        found: list[Span | tuple[str, str, float]] = []
        for label in query.labels:
            for tail in tails.get(label, []):
                if isinstance(tail, Span):
                    found.append(Span(tail.start, tail.end, tail.text, label, tail.score))
                else:
                    found.append((tail[0], label, tail[1]))
        return found

    return StubExtractor(script, settings=settings or TaskSettings())


def triples(found: list[Relation]) -> list[tuple[str, str, str]]:
    return [(r.head.text, r.label, r.tail.text) for r in found]
