"""Finds and makes paragraphs that look as if they answered a question."""

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from glinermt.training.data.cutting import sentences
from glinermt.training.data.rows import QuestionRow

_WORD = re.compile(r"\w+")
MAX_POSTINGS = 300
"""Words in more paragraphs than this say too little, and cost too much, to be looked up."""
CANDIDATES = 3
"""One of so many best paragraphs is taken, so that an epoch is not like the last."""


class Paragraphs:
    """An inverted index over the distinct paragraphs of some rows."""

    def __init__(self, rows: Sequence[QuestionRow]) -> None:
        self.texts = list(dict.fromkeys(row.text for row in rows))
        self._postings: defaultdict[str, list[int]] = defaultdict(list)
        for i, text in enumerate(self.texts):
            for word in sorted(set(_WORD.findall(text.lower()))):
                self._postings[word].append(i)

    def wrong(self, row: QuestionRow, *, similar: bool, rng: random.Random) -> str | None:
        """Return another paragraph without any of the row's answers, None where none is left.

        ``similar``: the one that shares the question's rarest words.
        """
        answers = [span.text.lower() for span in row.answers]
        options = self._similar(row.question) if similar else []
        options = [i for i in options if _is_wrong(self.texts[i], row.text, answers)][:CANDIDATES]
        if not options:
            tries = [rng.randrange(len(self.texts)) for _ in range(CANDIDATES)]
            options = [i for i in tries if _is_wrong(self.texts[i], row.text, answers)]
        return self.texts[rng.choice(options)] if options else None

    def _similar(self, question: str) -> list[int]:
        scores: Counter[int] = Counter()
        for word in sorted(set(_WORD.findall(question.lower()))):
            found = self._postings.get(word, ())
            if 0 < len(found) <= MAX_POSTINGS:
                weight = math.log(len(self.texts) / len(found)) + 1
                for i in found:
                    scores[i] += weight  # type: ignore[assignment]  # a Counter of floats
        return [i for i, _ in sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:20]]


def without_answers(text: str, answers: Sequence[str]) -> str | None:
    """Leave out the sentences in which an answer stands; None where no two would be left."""
    sought = [answer.lower() for answer in answers]
    pieces = [text[start:end] for start, end in sentences(text)]
    kept = [piece for piece in pieces if not any(a in piece.lower() for a in sought)]
    return " ".join(kept) if 2 <= len(kept) < len(pieces) else None


def _is_wrong(text: str, right: str, answers: Sequence[str]) -> bool:
    return text != right and not any(answer in text.lower() for answer in answers)
