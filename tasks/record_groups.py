"""Several records in one text: which values belong to which, by lines and paragraphs."""

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glinermt.tasks.schemas import Field, Path
from glinermt.types import Span

_LINE = re.compile("\n")
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that a field could have, and what says it."""

    value: Any
    spans: tuple[Span, ...]
    score: float
    apart: bool = False
    """Whether it stands in another line than its anchor; what stands in that goes before."""


Group = Mapping[Path, Sequence[Candidate]]


Place = tuple[int, int]
"""Start and end in the text."""


def groups(
    text: str,
    anchor: Field | None,
    candidates: Group,
    belongs: Mapping[tuple[Path, Place], Place] | None = None,
) -> Iterator[Group]:
    """Yield the candidates of each record: all of them, or those around each anchor.

    Args:
        text: the text of all candidates.
        anchor: the field that each record has one of; None = there is one record.
        candidates: of all records.
        belongs: the anchors of values, by field and place, where something else knows them; the
            line that a value stands in goes before.
    """
    if anchor is None:
        if any(candidates.values()):
            yield candidates
        return
    anchors = disjoint(sorted(candidates[anchor.path], key=lambda one: -one.score))
    if not anchors:
        return
    places = _Places(text, [one.spans[0] for one in anchors])
    found: list[dict[Path, list[Candidate]]] = [{path: [] for path in candidates} for _ in anchors]
    for group, one in zip(found, anchors, strict=True):
        group[anchor.path].append(one)
    for path, of_field in candidates.items():
        if path != anchor.path:
            for candidate in of_field:
                if candidate.spans:
                    span = candidate.spans[0]
                    known = (belongs or {}).get((path, (span.start, span.end)))
                    i = places.anchor_of(span, known)
                    apart = not places.are_in_one_line(span, i)
                    found[i][path].append(replace(candidate, apart=apart))
    yield from found


def disjoint(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Keep, from the first on, the candidates that overlap none that is kept; sorted by place.

    Those without a place stand first; one whose value is kept already is left out.
    """
    placed: dict[Place, Candidate] = {}
    places: list[Place] = []
    loose: list[Candidate] = []
    for one in candidates:
        if not one.spans:
            loose.append(one)
            continue
        start, end = one.spans[0].start, one.spans[0].end
        at = bisect_left(places, (start, end))
        near = places[max(at - 1, 0) : at + 1]
        if not any(start < other_end and other_start < end for other_start, other_end in near):
            insort(places, (start, end))
            placed[start, end] = one
    kept = [placed[place] for place in places]
    return [one for one in loose if all(one.value != other.value for other in kept)] + kept


class _Places:
    """Says which anchor a span belongs to, by the lines and paragraphs of the text."""

    def __init__(self, text: str, anchors: Sequence[Span]) -> None:
        self._anchors = anchors
        self._at = {(anchor.start, anchor.end): i for i, anchor in enumerate(anchors)}
        self._starts = [anchor.start for anchor in anchors]
        self._borders = [
            [match.end() for match in pattern.finditer(text)] for pattern in (_LINE, _BLANK_LINE)
        ]
        self._blocks = [
            [bisect_right(borders, start) for start in self._starts] for borders in self._borders
        ]

    def anchor_of(self, span: Span, known: Place | None = None) -> int:
        """Return the index of the anchor.

        That is the nearest one in the span's line; else the one at the place that is ``known``;
        else in its paragraph the last before it, or the first behind; else the last before it
        anywhere, or the first of all.
        """
        line, paragraph = (
            self._in_block(blocks, bisect_right(borders, span.start))
            for blocks, borders in zip(self._blocks, self._borders, strict=True)
        )
        if line:
            return min(line, key=lambda i: _gap(self._anchors[i], span))
        if known is not None and known in self._at:
            return self._at[known]
        near = paragraph or range(len(self._anchors))
        before = bisect_right(self._starts, span.start) - 1
        return min(max(before, near[0]), near[-1])

    def are_in_one_line(self, span: Span, anchor: int) -> bool:
        """Whether a span begins in the line of an anchor."""
        return bisect_right(self._borders[0], span.start) == self._blocks[0][anchor]

    @staticmethod
    def _in_block(blocks: Sequence[int], block: int) -> range:
        return range(bisect_left(blocks, block), bisect_right(blocks, block))


def _gap(one: Span, other: Span) -> int:
    return max(one.start - other.end, other.start - one.end, 0)
