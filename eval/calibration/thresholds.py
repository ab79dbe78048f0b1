"""Thresholds and a temperature from scored answers known to be right or wrong. Pure functions."""

from collections.abc import Sequence

import numpy as np

from glinermt.eval.metrics.texts import ScoredAnswer, best_threshold

Judged = tuple[float, bool]
"""A score in [0, 1] and whether what it belongs to is right."""
NUM_BINS = 15


def best_span_threshold(judged: Sequence[Judged], num_gold: int) -> tuple[float, float]:
    """Return the threshold with the best F1, halfway between two scores, and that F1.

    Of several it takes the highest. Without anything right it gives (1, 0).
    """
    ranked = sorted(judged, reverse=True)
    best, threshold, right = 0.0, 1.0, 0
    for index, (score, is_right) in enumerate(ranked):
        right += is_right
        below = ranked[index + 1][0] if index + 1 < len(ranked) else 0.0
        f1 = 2 * right / (index + 1 + num_gold)
        if below < score and f1 > best:
            best, threshold = f1, (score + below) / 2
    return threshold, best


def best_answer_threshold(answers: Sequence[ScoredAnswer]) -> tuple[float, float]:
    """Return the least score of an answer with which F1 is best, and that F1.

    Scores are ``1 - no_answer_score``; the threshold lies halfway between two of them.
    """
    best, last = best_threshold(answers)
    above = [answer.no_answer_score for answer in answers if answer.no_answer_score > last]
    return 1 - (last + min(above, default=1.0)) / 2, best


def calibration_error(judged: Sequence[Judged], *, num_bins: int = NUM_BINS) -> float:
    """Return the expected calibration error: mean gap of score and share right, by bins."""
    bins = reliability(judged, num_bins=num_bins)
    total = sum(count for _, _, count in bins)
    return sum(count * abs(score - share) for score, share, count in bins) / max(1, total)


def reliability(
    judged: Sequence[Judged], *, num_bins: int = NUM_BINS
) -> list[tuple[float, float, int]]:
    """Return mean score, share right and count of every equal-width bin that is not empty."""
    bins: dict[int, list[Judged]] = {}
    for score, is_right in judged:
        bins.setdefault(min(int(score * num_bins), num_bins - 1), []).append((score, is_right))
    return [
        (
            sum(score for score, _ in members) / len(members),
            sum(is_right for _, is_right in members) / len(members),
            len(members),
        )
        for _, members in sorted(bins.items())
    ]


def best_temperature(judged: Sequence[Judged]) -> float:
    """Return the temperature under which the outcomes are likeliest; 1 where none makes sense.

    A search over 201 values from 1/4 to 4, evenly spaced in their logarithm. At the ends the
    scores are wrong in a way that no temperature mends, such as mostly high and mostly wrong.
    """
    if not judged:
        return 1.0
    scores = np.clip([score for score, _ in judged], 1e-6, 1 - 1e-6)
    right = np.array([is_right for _, is_right in judged])
    odds = np.log(scores) - np.log1p(-scores)
    candidates = np.geomspace(1 / 4, 4, 201).tolist()

    def loss(temperature: float) -> float:
        likelihood = 1 / (1 + np.exp(-odds / temperature))
        chosen = np.where(right, likelihood, 1 - likelihood)
        return float(-np.log(np.maximum(chosen, 1e-12)).mean())

    best: float = min(candidates, key=loss)
    return 1.0 if best in (candidates[0], candidates[-1]) else best
