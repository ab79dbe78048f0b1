"""ROUGE through the package ``rouge-score``, and the greedy extractive oracle."""

import functools
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from glinermt.errors import BackendError

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
