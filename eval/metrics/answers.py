"""Answer metrics as the official SQuAD 2.0 script defines them (evaluate-v2.0.py)."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One question's outcome. ``text`` is the best answer, before any no-answer threshold."""

    text: str
    no_answer_score: float
    golds: tuple[str, ...]

    @property
    def answerable(self) -> bool:
        return bool(self.golds)


def normalize_answer(text: str) -> str:
    """Lower the case, drop punctuation, then the articles a, an, the, then surplus spaces."""
    text = text.lower().translate(_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact_match(predicted: str, golds: Sequence[str]) -> float:
    """Return 1 if the prediction equals a gold answer; without golds only "" is right."""
    return float(normalize_answer(predicted) in map(normalize_answer, _usable(golds)))


def answer_f1(predicted: str, golds: Sequence[str]) -> float:
    """Return the best F1 over bags of words; without golds 1 for "" and 0 otherwise."""
    return max(_f1(predicted, gold) for gold in _usable(golds))


def best_threshold(answers: Sequence[ScoredAnswer]) -> tuple[float, float]:
    """Return the best F1 any no-answer threshold reaches, and the threshold.

    The threshold is on ``no_answer_score``: a question with a greater score gets no answer. It is
    chosen on the very answers it is scored on, so the F1 is an upper bound, not a result.
    """
    unanswerable = sum(not answer.answerable for answer in answers)
    current = best = float(unanswerable)
    threshold = 0.0
    for answer in sorted(answers, key=lambda answer: answer.no_answer_score):
        if answer.answerable:
            current += answer_f1(answer.text, answer.golds)
        elif answer.text:
            current -= 1
        if current > best:
            best, threshold = current, answer.no_answer_score
    return best / max(1, len(answers)), threshold


def average_precision(answers: Sequence[ScoredAnswer]) -> float:
    """Return the area under precision over recall of "has an answer", surest first."""
    positives = sum(answer.answerable for answer in answers)
    ranked = sorted(answers, key=lambda answer: answer.no_answer_score)
    true, recall, area = 0, 0.0, 0.0
    for index, answer in enumerate(ranked):
        true += answer.answerable
        last = index + 1 == len(ranked)
        if last or answer.no_answer_score != ranked[index + 1].no_answer_score:
            reached = true / max(1, positives)
            area += true / (index + 1) * (reached - recall)
            recall = reached
    return area


def _usable(golds: Sequence[str]) -> list[str]:
    return [gold for gold in golds if normalize_answer(gold)] or [""]


def _f1(predicted: str, gold: str) -> float:
    predicted_words = normalize_answer(predicted).split()
    gold_words = normalize_answer(gold).split()
    if not predicted_words or not gold_words:
        return float(predicted_words == gold_words)
    shared = (Counter(predicted_words) & Counter(gold_words)).total()
    return 2 * shared / (len(predicted_words) + len(gold_words))
