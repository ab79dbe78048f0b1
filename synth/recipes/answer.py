"""Question answering: questions with an answer in the text, and some that it leaves open."""

from typing import Any

from glinermt.synth.checks.align import Source, normal
from glinermt.synth.checks.filters import (
    MOST_MENTION_WORDS,
    NOTHING_KEPT,
    Ledger,
    piece_fault,
    question_fault,
)
from glinermt.synth.checks.mentions import place
from glinermt.synth.recipes.base import MENTION, PROMPT, Recipe, quotes
from glinermt.synth.schema import record, several
from glinermt.tasks.questions import ANSWER, LABEL, Question
from glinermt.tasks.task import example
from glinermt.types import Example, Span

MOST_ANSWER_WORDS = 2 * MOST_MENTION_WORDS


def _answer_fault(source: Source, start: int, end: int) -> str | None:
    if source.num_words(start, end) > MOST_ANSWER_WORDS:
        return "answer: too many words"
    return piece_fault(source, start, end)


def _build(source: Source, reply: dict[str, Any], ledger: Ledger) -> list[Example]:
    found: list[Example] = []
    seen: set[str] = set()
    for item in reply["questions"]:
        question = item["question"]
        placed = place(source, item, ledger, fault=_answer_fault, in_order=False)
        answers = [Span(*placed, source.text[slice(*placed)], LABEL)] if placed else []
        wrong = _fault(source, question, seen, tuple(span.text for span in answers))
        if wrong:
            ledger.drop(wrong, question)
        elif answers:
            found.append(example(ANSWER, source.text, Question(question), answers))
    negatives: list[Example] = []
    for question in reply["unanswerable"]:
        if wrong := _fault(source, question, seen) if found else NOTHING_KEPT:
            ledger.drop(wrong, question)
        else:
            negatives.append(example(ANSWER, source.text, Question(question), ()))
    return found + negatives


def _fault(
    source: Source, question: str, seen: set[str], answers: tuple[str, ...] = ()
) -> str | None:
    """Say what is wrong with a question, which from now on counts as asked."""
    asked = normal(question)
    if asked in seen:
        return "question: repeated"
    seen.add(asked)
    return question_fault(source, question, answers)


PROMPTS = {
    "facts": """
Write up to {count} questions that the text below answers with a short piece of itself. Ask
questions of different kinds: who, what, when, where, how many, why.

For each, "question" is a whole question that can be understood without the text and does not
contain its answer; "text" is the shortest piece of the text that answers it, copied; "before"
the few words right before that piece.

"unanswerable" holds one or two questions about the same subject that sound as if the text
answered them, and that it does not answer.
""",
    "reader": """
Imagine a curious reader of the text below who asks in their own words, not in those of the
text. Write up to {count} such questions. Each ends with a question mark and has its answer in
the text: "text" copies the answer, as short as it can be, and "before" the few words right
before it. No question contains its answer.

"unanswerable": one or two questions the same reader would ask, which the text leaves open.
""",
}
GERMAN = {
    "facts": """
Schreibe bis zu {count} deutsche Fragen, die der folgende Text mit einem kurzen Stück seiner selbst
beantwortet: wer, was, wann, wo, wie viele, warum. "question" ist eine ganze Frage, die ohne den
Text verständlich ist und die Antwort nicht enthält; "text" das kürzeste Stück, das antwortet,
kopiert; "before" die Wörter unmittelbar davor.

"unanswerable": eine oder zwei Fragen zum selben Thema, die der Text nicht beantwortet.
""",
}

RECIPE = Recipe(
    task="answer",
    prompts={"en": PROMPTS, "de": GERMAN},
    schema=record(
        questions=several(record(question=PROMPT, **quotes(MENTION, 1)["items"]["properties"]), 5),
        unanswerable=several(PROMPT, 2),
    ),
    build=_build,
    category="question-answering",
    counts=(2, 3, 5),
)
