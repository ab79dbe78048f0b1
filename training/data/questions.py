"""Questions that a paragraph does not answer although it looks right: found, and made."""

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from glinermt.training.data.rows import QuestionRow, sentences

_QUESTION_WORD = re.compile(r"\w+")
MAX_POSTINGS = 300
"""Words in more paragraphs than this say too little, and cost too much, to be looked up."""
CANDIDATES = 3
"""One of so many best paragraphs is taken, so that an epoch is not like the last."""

_NAME = re.compile(r"\b[A-Z][\w'’-]*(?:\s+(?:of\s+(?:the\s+)?)?[A-Z][\w'’-]*)*")
_NUMBER = re.compile(r"\b\d+(?:[.,]\d+)*\b")
_AUXILIARY = re.compile(r"\b(?:did|does|do|is|are|was|were|can|could|has|have|had|will|would)\b")
_ASKING = frozenset("what who whom whose which when where why how in on at by for to from".split())
_PAIRS = """first last, largest smallest, biggest smallest, highest lowest, most least, more less,
    oldest youngest, longest shortest, greatest least, best worst, before after, north south,
    east west, northern southern, eastern western, increase decrease, increased decreased,
    above below, early late, earliest latest, beginning end, began ended, start end, started ended,
    win lose, won lost, male female, men women, man woman, father mother, son daughter,
    husband wife, maximum minimum, major minor, positive negative, good bad, rich poor, old new,
    left right, inside outside, upper lower, allowed forbidden, legal illegal, accepted rejected,
    support oppose, supported opposed, agree disagree, gain loss, import export, hot cold,
    light dark, fast slow, strong weak, easy difficult, common rare, always never, all none,
    successful unsuccessful, possible impossible, buy sell, bought sold, arrive leave,
    public private, same different, born killed, founded dissolved, built destroyed,
    opened closed, created destroyed"""
ANTONYMS = {a: b for pair in _PAIRS.split(",") for a, b in (pair.split(), pair.split()[::-1])}
NEGATION_SHARE = 0.15
"""Share of edits tried as a negation first: simple to make, so it must not be the rule."""

_Change = Callable[[str, str, random.Random], str | None]


class Paragraphs:
    """An inverted index over the distinct paragraphs of some rows."""

    def __init__(self, rows: Sequence[QuestionRow]) -> None:
        self.texts = list(dict.fromkeys(row.text for row in rows))
        self._postings: defaultdict[str, list[int]] = defaultdict(list)
        for i, text in enumerate(self.texts):
            for word in sorted(set(_QUESTION_WORD.findall(text.lower()))):
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
        for word in sorted(set(_QUESTION_WORD.findall(question.lower()))):
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


def edit(question: str, text: str, answers: Sequence[str], rng: random.Random) -> str | None:
    """Return the question with one detail changed, None where it holds nothing to change.

    The annotators of SQuAD 2.0 did the same by hand: another name, another number, an antonym, a
    negation (Rajpurkar et al. 2018, table 1). A few edits leave the question answerable; that is
    noise.

    Args:
        question: answerable from ``text``.
        text: names and numbers of it stand in for those of the question.
        answers: never stand in: the question would still be about them.
        rng: seeded.
    """
    avoid = {answer.lower() for answer in answers}
    changes: list[_Change] = [
        lambda q, t, r: _swapped(_NAME, q, t, avoid, r),
        lambda q, t, r: _swapped(_NUMBER, q, t, avoid, r),
        _opposite,
    ]
    rng.shuffle(changes)
    changes.insert(0 if rng.random() < NEGATION_SHARE else len(changes), _negated)
    for change in changes:
        edited = change(question, text, rng)
        if edited is not None:
            return edited
    return None


def _swapped(
    kind: re.Pattern[str], question: str, text: str, avoid: set[str], rng: random.Random
) -> str | None:
    """Put another piece of the same kind from the text in the place of one of the question."""
    places = [m for m in kind.finditer(question) if m.start() and m[0].lower() not in _ASKING]
    known = question.lower()
    others = sorted(
        {m[0] for m in kind.finditer(text) if len(m[0]) > 1}
        - {m[0] for m in re.finditer(r"(?:^|[.!?]\s+)[A-Z][\w'’-]*", text)}
    )
    others = [o for o in others if o.lower() not in known and o.lower() not in avoid]
    if not places or not others:
        return None
    place = rng.choice(places)
    return question[: place.start()] + rng.choice(others) + question[place.end() :]


def _opposite(question: str, text: str, rng: random.Random) -> str | None:  # noqa: ARG001  # one protocol
    places = [m for m in re.finditer(r"\w+", question) if m[0].lower() in ANTONYMS]
    if not places:
        return None
    place = rng.choice(places)
    return question[: place.start()] + ANTONYMS[place[0].lower()] + question[place.end() :]


def _negated(question: str, text: str, rng: random.Random) -> str | None:  # noqa: ARG001  # one protocol
    places = list(_AUXILIARY.finditer(question))
    if not places:
        return None
    end = rng.choice(places).end()
    return f"{question[:end]} not{question[end:]}"
