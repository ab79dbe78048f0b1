"""Answers and summaries beside gold texts: SQuAD 2.0's metrics, ROUGE, the extractive oracle."""

import functools
import itertools
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glinermt.errors import BackendError

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


if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]

_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9])|\n+")
_ABBREVIATIONS = {"mr.", "mrs.", "ms.", "dr.", "st.", "gen.", "sen.", "rep.", "gov.", "col.", "lt."}
NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def split_sentences(text: str) -> list[str]:
    """Return the sentences, by end marks and a few English abbreviations.

    It is part of the protocol (lead-3, the oracle, ROUGE-Lsum), and so stands apart from the
    splitter that the tasks use: scores of one version stay comparable with those of another.
    """
    sentences, start = [], 0
    for match in _END.finditer(text):
        words = text[start : match.end()].split()
        last = words[-1].lower() if words else ""
        if last in _ABBREVIATIONS or re.fullmatch(r"(?:[a-z]\.)+", last):
            continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def rouge(gold: str, predicted: str) -> dict[str, float]:
    """Return the stemmed F1 of ROUGE-1, ROUGE-2, ROUGE-L over the whole text, and ROUGE-Lsum.

    ROUGE-Lsum, which papers on news summaries mean by ROUGE-L, goes sentence by sentence: the
    gold text has one a line, the predicted text is split.
    """
    lines = "\n".join(split_sentences(predicted))
    return {name: score.fmeasure for name, score in _scorer(NAMES).score(gold, lines).items()}


def greedy_oracle(sentences: Sequence[str], gold: str, *, limit: int) -> list[int]:
    """Return the sentences, in order, that a greedy search for ROUGE-1 + ROUGE-2 picks.

    It sees the gold summary: what extraction could reach, not a system. The search counts words
    without stemming, which is many times faster; the result is scored like everything else.
    """
    wanted = _word_runs(gold)
    runs = [_word_runs(sentence) for sentence in sentences]
    chosen: list[int] = []
    best = 0.0
    while len(chosen) < limit:
        gains = [
            (_run_f1([*(runs[i] for i in chosen), runs[index]], wanted), -index)
            for index in range(len(sentences))
            if index not in chosen
        ]
        if not gains or max(gains)[0] <= best:
            break
        best, negative = max(gains)
        chosen.append(-negative)
    return sorted(chosen)


Runs = tuple[Counter[str], Counter[str]]
"""Words and pairs of words, counted."""


def _word_runs(text: str) -> Runs:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return Counter(words), Counter(map(" ".join, itertools.pairwise(words)))


def _run_f1(parts: Sequence[Runs], wanted: Runs) -> float:
    """Return F1 of words plus F1 of pairs; no pair goes across sentences."""
    value = 0.0
    for size, gold in enumerate(wanted):
        found: Counter[str] = Counter()
        for part in parts:
            found.update(part[size])
        value += 2 * (found & gold).total() / max(1, found.total() + gold.total())
    return value


@functools.cache
def _scorer(names: tuple[str, ...]) -> "RougeScorer":
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise BackendError("ROUGE needs rouge-score: pip install 'glinermt[eval]'") from error
    return RougeScorer(list(names), use_stemmer=True)
