"""Read a topic's file: paragraphs, what they answer, and what they only seem to answer."""

import re
from pathlib import Path

from glinermt.errors import DataError
from glinermt.training.data.rows import QuestionRow
from glinermt.types import Span

_ANSWER = re.compile(r"(.+?)(?:@(\d+))?")


def read_topic(path: Path) -> list[QuestionRow]:
    """Read a topic's file; questions without an answer have no spans.

    Raises:
        DataError: a line is none of those above, or its answer does not stand in its paragraph, or
            several times and none is chosen.
    """
    rows: list[QuestionRow] = []
    text, begun = "", False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            if not line.strip() or line.startswith("#"):
                continue
            if line == "---":
                begun = True
            elif begun:
                text, begun = line, False
            else:
                rows.append(_row(line, text))
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}: {line!r:.80}") from error
    return rows


def _row(line: str, text: str) -> QuestionRow:
    if not text:
        raise ValueError("a paragraph begins behind a line of ---")
    kind, asked = line[:3], line[3:]
    if kind == "N: ":
        return QuestionRow(text, asked, ())
    if kind != "Q: ":
        raise ValueError("neither 'Q: QUESTION | ANSWER' nor 'N: QUESTION'")
    question, _, answers = asked.partition(" | ")
    versions = [_answer(version.strip(), text) for version in answers.split(" || ")]
    return QuestionRow(text, question, (min(versions, key=lambda span: span.end - span.start),))


def _answer(version: str, text: str) -> Span:
    match = _ANSWER.fullmatch(version)
    if match is None:
        raise ValueError("a question without its answer")
    words, which = match.groups()
    places = [place.start() for place in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text)]
    if not places:
        raise ValueError(f"{words!r} does not stand in the paragraph")
    if which is None and len(places) > 1:
        raise ValueError(f"{words!r} stands {len(places)} times: say which one as {words}@1")
    chosen = int(which or 1)
    if not 1 <= chosen <= len(places):
        raise ValueError(f"{words!r} stands {len(places)} times")
    start = places[chosen - 1]
    return Span(start, start + len(words), words, "answer")
