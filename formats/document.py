"""An annotated text, as every format can be read into, and what a format cannot hold."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glinermt.errors import DataError, UsageError
from glinermt.types import Relation, Span
from glinermt.words import split_graphemes

Lost = Counter[str]
"""What was left out, for a reader or a file cannot hold it, and how often: ``{"relations": 3}``."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text with what people said about it."""

    text: str
    spans: tuple[Span, ...] = ()
    """Entities; or, with a question, its answers."""
    relations: tuple[Relation, ...] = ()
    classes: tuple[str, ...] | None = None
    """The text's classes; None = nobody said any, an empty tuple = none of them holds."""
    question: str | None = None
    """What is asked of the text, where the document is a question with answers."""
    unmarked: bool = False
    """Whether nobody looked for entities here, so that no spans does not mean no entities."""


def names(value: Any, where: str, key: str) -> list[str]:
    """Return the names in a field, which is a list of them, or a string where it is a single one.

    Raises:
        DataError: it is neither, or a name is empty.
    """
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list) or not all(isinstance(n, str) and n.strip() for n in several):
        raise DataError(f"{where}: {key!r} should be a name or a list of names, got {value!r:.80}")
    return several


def joined(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return the tokens joined by single spaces, and the place of each in the text."""
    places, end = [], -1
    for token in tokens:
        start = end + 1
        end = start + len(token)
        places.append((start, end))
    return " ".join(tokens), places


def token_span(
    text: str, places: Sequence[tuple[int, int]], first: int, last: int, label: str
) -> Span:
    """Return the span of tokens ``first`` to ``last``, both included.

    Raises:
        ValueError: there are no such tokens.
    """
    if not 0 <= first <= last < len(places):
        raise UsageError(f"span {first}:{last} lies outside the {len(places)} tokens")
    start, end = places[first][0], places[last][1]
    if start == end:
        raise UsageError(f"span {first}:{last} is of an empty token")
    return Span(start, end, text[start:end], label)


def given_span(text: str, start: Any, end: Any, label: Any, said: Any, where: str) -> Span:
    """Return a span that lies in the text and says there what the export says it says.

    Raises:
        DataError: it does not, or has no label.
    """
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise DataError(
            f"{where}: span {start!r}:{end!r} lies outside the text, which has {len(text)} "
            "characters"
        )
    if not isinstance(label, str) or not label.strip():
        raise DataError(f"{where}: span {start}:{end} has no label: {label!r}")
    found = text[start:end]
    if isinstance(said, str) and said != found and said.split() != found.split():
        raise DataError(
            f"{where}: span {said!r:.60} is not at {start}:{end}, where {found!r:.60} is"
        )
    return Span(start, end, found, label)


def text_of(row: Mapping[str, Any], where: str) -> str:
    """Return a row's text.

    Raises:
        DataError: it has none, or something else than a string.
    """
    text = row.get("text")
    if not isinstance(text, str):
        raise DataError(f"{where}: expected a string in 'text', got {text!r:.60}")
    return text


@dataclass(frozen=True, slots=True)
class Tokens:
    """A document cut into words, with its spans in words, for formats that count these."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, int, str], ...]
    """(first word, last word, label), in the order of the document's spans."""
    kept: tuple[Span, ...]
    """The document's spans that these are: all but those without a word."""

    @classmethod
    def of(cls, document: Document, lost: Lost) -> "Tokens":
        """Cut the text into words; count the spans that begin or end inside one."""
        places = split_graphemes(document.text)
        starts, ends = [start for start, _ in places], [end for _, end in places]
        spans, kept = [], []
        for span in document.spans:
            first = bisect_right(ends, span.start)
            last = bisect_left(starts, span.end) - 1
            if first > last:
                lost["spans without a word"] += 1
                continue
            if (starts[first], ends[last]) != (span.start, span.end):
                lost["borders of spans inside a word"] += 1
            spans.append((first, last, span.label))
            kept.append(span)
        words = tuple(document.text[a:b] for a, b in places)
        return cls(words, tuple(spans), tuple(kept))


class Utf16:
    """Turns offsets that count UTF-16 units, as JavaScript does, into those of characters."""

    def __init__(self, text: str) -> None:
        self._wide = [i for i, char in enumerate(text) if ord(char) > 0xFFFF]
        self._units = [place + number for number, place in enumerate(self._wide)]

    def to_characters(self, offset: int) -> int:
        """Return the place in characters of a place in units."""
        return offset - bisect_left(self._units, offset)

    def to_units(self, offset: int) -> int:
        """Return the place in units of a place in characters."""
        return offset + bisect_left(self._wide, offset)


def flat(spans: Iterable[Span], lost: Lost) -> list[Span]:
    """Return spans of which none overlaps another, the longest kept; count the others."""
    kept: list[Span] = []
    covered: set[int] = set()
    for span in sorted(spans, key=lambda s: (s.start - s.end, s.start)):
        if covered.isdisjoint(range(span.start, span.end)):
            kept.append(span)
            covered.update(range(span.start, span.end))
        else:
            lost["overlapping spans"] += 1
    return sorted(kept, key=lambda s: s.start)


def count_lost(
    documents: Iterable[Document], holds: frozenset[str], lost: Lost
) -> Iterator[Document]:
    """Yield the documents with only what a format holds; count what is left out."""
    for document in documents:
        if document.question is not None and "questions" not in holds:
            lost["questions"] += 1
            continue
        if document.question is None and holds == {"questions"}:
            lost["documents without a question"] += 1
            continue
        said = (document.relations and "relations" in holds) or (
            document.classes is not None and "classes" in holds
        )
        if document.unmarked and "spans" in holds and not said:
            lost["texts in which nobody looked for entities"] += 1
            continue
        if document.unmarked and "spans" in holds and "unmarked" not in holds:
            lost["notes that nobody looked for entities"] += 1
        if "scores" not in holds:
            lost["scores of spans"] += sum(span.score != 1 for span in document.spans)
        if document.relations and "relations" not in holds:
            lost["relations"] += len(document.relations)
        if document.classes and "classes" not in holds:
            lost["classes"] += len(document.classes)
        if document.spans and not holds & {"spans", "questions"}:
            lost["spans"] += len(document.spans)
        yield document
