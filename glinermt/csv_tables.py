"""Rows of CSV, told apart from what a quote that nothing closes has swallowed.

Python's reader takes all that follows such a quote for one field, up to the end of the file.
"""

import csv
from collections.abc import Iterable, Iterator
from itertools import chain

DELIMITERS = ",;\t"
"""What spreadsheets put between columns: semicolons where a comma is part of numbers."""
_END = "\0 end of file \0"
"""Put behind the last line: a row that has it has swallowed the end of the file."""
LONGEST_FIELD = 1 << 30


def csv_rows(
    lines: Iterable[str], delimiter: str | None = None
) -> Iterator[tuple[int, list[str], bool]]:
    """Yield the rows that are not empty.

    Without a delimiter, it is the one of ``DELIMITERS`` that the first line has most of.

    Each comes with the number of its first line, from 1, and with whether it has a quote that
    nothing closes, which makes it the last one.

    Raises:
        csv.Error: a field is longer than ``LONGEST_FIELD``.
    """
    lines = iter(lines)
    header = next(lines, "")
    delimiter = delimiter or max(DELIMITERS, key=header.count)
    table = csv.reader(chain([header], lines, [_END]), delimiter=delimiter)
    first = 1
    while (row := _next(table)) != [_END]:
        is_open = bool(row) and row[-1].endswith(_END)
        if is_open:
            row[-1] = row[-1].removesuffix(_END)
        if row:
            yield first, row, is_open
        first = table.line_num + 1


def _next(table: Iterator[list[str]]) -> list[str]:
    before = csv.field_size_limit(LONGEST_FIELD)  # of the process, and others may rely on theirs
    try:
        return next(table, [_END])
    finally:
        csv.field_size_limit(before)
