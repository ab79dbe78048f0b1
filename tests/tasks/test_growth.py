"""What the tasks themselves do with a long text grows with its length, not with its square."""

import re
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from glinermt.tasks import (
    answers,
    extract_entities,
    extract_keyphrases,
    extract_matches,
    extract_relations,
    summarize,
)
from glinermt.types import Query, Span
from tests.stub import StubExtractor

WORDS = 1000
TIMES = 6


def text_of(words: int) -> str:
    """Return sentences about ever new people in ever new towns."""
    draw = Random(1)
    people = [f"Person{i}" for i in range(words // 20)]
    sentence = "{} met the old people of Town{} in the winter of that year."
    return " ".join(
        sentence.format(draw.choice(people), draw.randrange(words // 20))
        for _ in range(words // 12)
    )


def every_word(query: Query) -> list[Span]:
    """Find each word that is a name, and for tasks of one label each word."""
    draw = Random(len(query.text))
    return [
        Span(m.start(), m.end(), m[0], query.labels[len(m[0]) % len(query.labels)], draw.random())
        for m in re.finditer(r"\w+", query.text)
        if query.labels and (len(query.labels) == 1 or m[0][0].isupper())
    ]


def find_relations(text: str, model: Any) -> None:
    extract_relations(text, ["met", "of"], entities=["person", "town"], threshold=0, model=model)


TASKS: dict[str, Callable[[str, Any], Any]] = {
    "entities": lambda text, m: extract_entities(text, ["person", "town"], model=m),
    "matches": lambda text, m: extract_matches(text, "all names", model=m),
    "answers": lambda text, m: answers("Who?", text, model=m),
    "summarize": lambda text, m: summarize(text, model=m),
    "keyphrases": lambda text, m: extract_keyphrases(text, model=m),
    "relations": find_relations,
}


@pytest.mark.parametrize("name", TASKS)
def test_a_text_six_times_as_long_costs_about_six_times_as_much(name: str) -> None:
    def seconds(text: str) -> float:
        start = time.process_time()
        TASKS[name](text, StubExtractor(every_word))
        return time.process_time() - start

    short, long = text_of(WORDS), text_of(TIMES * WORDS)
    least = min(seconds(short) for _ in range(3))
    assert min(seconds(long) for _ in range(2)) < 0.05 + 2.5 * TIMES * least  # the square is 36
