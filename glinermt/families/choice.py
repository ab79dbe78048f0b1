"""Joins what the windows of a text found, and chooses among it."""

from collections.abc import Sequence

from glinermt.decode import Candidates, choose
from glinermt.reader import lines_of
from glinermt.types import Ask, Query
from glinermt.windows import merge_windows


def chosen_of(
    parts: Sequence[Candidates], query: Query, offsets: Sequence[tuple[int, int]], ask: Ask
) -> Candidates:
    """Return the spans that stay, in the order of the text.

    Args:
        parts: at least one, counted from the text's first word.
        query: says whether spans may run across lines.
        offsets: characters of each word.
        ask: how to choose.
    """
    together = within_lines(Candidates.concatenate(parts), query, offsets)
    if len(parts) > 1:
        together = merge_windows(together)
    return choose(
        together, num_words=len(offsets), overlap=ask.overlap, multi_label=ask.multi_label
    )


def within_lines(
    candidates: Candidates, query: Query, offsets: Sequence[tuple[int, int]]
) -> Candidates:
    """Return the candidates that the query allows: those of one line, or all."""
    lines = lines_of(query, offsets)
    return candidates.take(lines[candidates.start] == lines[candidates.end - 1])
