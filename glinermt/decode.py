"""From scores to spans: names candidates and chooses. Words are counted here, never characters.

Greedy as in GLiNER (Zaratiana et al. 2023, section 2.4): best score first, each candidate kept
unless it conflicts with one kept before. Both look-ups are arrays over words, so the cost grows
with the candidates, not with their square.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from glinermt.types import Overlap, SpanScore
from glinermt.words import Names


@dataclass(frozen=True, slots=True)
class Candidates:
    """Scored spans: words ``start`` to ``end`` (exclusive), label index, cut by a window or not."""

    start: Int[np.ndarray, " span"]
    end: Int[np.ndarray, " span"]
    label: Int[np.ndarray, " span"]
    score: Float[np.ndarray, " span"]
    cut: Bool[np.ndarray, " span"]

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: np.ndarray) -> "Candidates":
        """Select by mask or by indices."""
        return Candidates(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def concatenate(parts: Sequence["Candidates"]) -> "Candidates":
        filled = [part for part in parts if len(part)]
        if len(filled) == 1:
            return filled[0]
        return Candidates(
            *(
                np.concatenate([np.empty(0, dtype), *(getattr(p, f.name) for p in filled)])
                for f, dtype in zip(fields(Candidates), (int, int, int, float, bool), strict=True)
            )
        )


def token_candidates(
    probabilities: Float[np.ndarray, "word label 3"],
    threshold: Float[np.ndarray, " label"],
    span_score: SpanScore,
) -> Candidates:
    """Pair each start with each end behind it while every inside score reaches the threshold.

    A span's score is, by rule:

    - ``mean``: the mean of the inside scores (the paper);
    - ``min``: the least of inside, start and end scores (the package gliner since 0.2.17);
    - ``geometric``: the cube root of start score x end score x least inside score; here it is
      this that has to reach the threshold, not each of the three.

    With ``min`` and ``geometric`` the candidates are all spans whose score reaches the
    threshold. So what is chosen at a threshold is chosen at every lower one, beside more.
    With ``mean`` a lower threshold lets more words into a run, and a longer or shorter span
    with a better mean may take a right one's place.
    """
    num_words, num_labels, _ = probabilities.shape
    # Labels one after another, a closed position behind each, so that no run spans two.
    grid = np.zeros((num_labels, num_words + 1, 3), dtype=probabilities.dtype)
    grid[:, :-1] = probabilities.transpose(1, 0, 2)
    least = threshold**3 * (1 - 1e-6) if span_score == "geometric" else threshold
    limit = np.repeat(least.astype(grid.dtype), num_words + 1)
    closed = np.tile(np.arange(num_words + 1) == num_words, num_labels)
    start_p, end_p, inside_p = grid.reshape(-1, 3).T
    is_start, is_end = (start_p > limit) & ~closed, (end_p > limit) & ~closed
    is_break = (inside_p < limit) | closed
    starts = np.flatnonzero(is_start & ~is_break)
    ends = np.flatnonzero(is_end & ~is_break)
    # The ends that a start reaches lie between itself and the next break.
    breaks = np.flatnonzero(is_break)
    run_end = breaks[np.searchsorted(breaks, starts)]
    first = np.searchsorted(ends, starts)
    count = np.searchsorted(ends, run_end) - first
    start = np.repeat(starts, count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    end = ends[np.repeat(first, count) + offset] + 1
    if span_score == "mean":
        total = np.concatenate([[0.0], np.cumsum(inside_p, dtype=np.float64)])
        score = (total[end] - total[start]) / (end - start)
    elif span_score == "min":
        edges = np.minimum(start_p[start], end_p[end - 1])
        score = np.minimum(_range_minimum(inside_p, start, end), edges)
    else:
        inside = _range_minimum(inside_p, start, end).astype(float)
        score = np.cbrt(inside * start_p[start] * end_p[end - 1])
    label, start_word = np.divmod(start, num_words + 1)
    if span_score == "geometric":
        high = score >= threshold[label]
        start, end, score = start[high], end[high], score[high]
        label, start_word = label[high], start_word[high]
    cut = np.zeros(len(start), dtype=bool)
    return Candidates(start_word, start_word + end - start, label, score.astype(float), cut)


def _range_minimum(values: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Minimum of ``values[start:end]`` for many ranges, by a table of power-of-two ranges."""
    if not len(start):
        return values[:0]
    level = np.log2(end - start).astype(int)
    result = np.empty(len(start), dtype=values.dtype)
    table = values
    for k in range(level.max() + 1):
        mine = level == k
        result[mine] = np.minimum(table[start[mine]], table[end[mine] - (1 << k)])
        table = np.minimum(table[: -(1 << k)], table[1 << k :])
    return result


def span_candidates(
    probabilities: Float[np.ndarray, "word label width"], threshold: Float[np.ndarray, " label"]
) -> Candidates:
    """Return all spans above their label's threshold; each has one score of its own."""
    start, label, width = np.nonzero(probabilities > threshold[None, :, None])
    end = start + width + 1
    inside = end <= probabilities.shape[0]
    start, end, label, width = start[inside], end[inside], label[inside], width[inside]
    score = probabilities[start, label, width].astype(float)
    return Candidates(start, end, label, score, np.zeros(len(start), dtype=bool))


def doubt_parts(
    c: Candidates, names: Names, doubt: float, threshold: Float[np.ndarray, " label"]
) -> Candidates:
    """Lower the log odds of spans that are not what a name is; keep what still is enough.

    Each end inside a name costs ``doubt``. So does, of two spans of a label that differ in the
    article or the number before a name, the one with the article, or without the number.

    Args:
        c: candidates.
        names: what the capitals say.
        doubt: what each costs.
        threshold: least score of each label.
    """
    inside = names.inside_begin[c.start].astype(float) + names.inside_end[c.end]
    c = _doubted(c, doubt * inside, threshold)
    if not (names.article.any() or names.numbered.any()):
        return c
    size = len(names.inside_end)
    key = (c.label * size + c.end) * size + c.start  # one more is the span without its first word
    with_article = names.article[c.start] & np.isin(key + 1, key)
    without_number = names.numbered[c.start] & np.isin(key - 1, key)
    return _doubted(c, doubt * (with_article | without_number), threshold)


def _doubted(
    c: Candidates, doubt: Float[np.ndarray, " span"], threshold: Float[np.ndarray, " label"]
) -> Candidates:
    """Lower the log odds; keep what still reaches its label's threshold."""
    score = c.score * np.exp(-np.minimum(doubt, 700.0))
    score /= 1.0 - c.score + score
    score = np.where(doubt > 0, score, c.score)
    return replace(c, score=score).take(score >= threshold[c.label])


def choose(
    candidates: Candidates,
    *,
    num_words: int,
    overlap: Overlap = "flat",
    multi_label: bool = False,
) -> Candidates:
    """Choose greedily by score; give the chosen ones in the order of the text.

    Equal scores go to the earlier start, then the earlier end, then the earlier label.

    Args:
        candidates: what to choose from, no span with the same label twice.
        num_words: words of the text.
        overlap: ``flat`` allows no overlap; ``nested`` allows spans inside one another.
        multi_label: allow the same span with several labels.
    """
    c = candidates
    c = c.take(np.lexsort((c.label, c.end, c.start, -c.score)))
    kept = (
        _keep_flat(c, num_words, multi_label)
        if overlap == "flat"
        else _keep_nested(c, num_words, multi_label)
    )
    c = c.take(kept)
    return c.take(np.lexsort((-c.score, c.end, c.start)))


def best_apart(c: Candidates, count: int | None) -> Candidates:
    """Return the ``count`` best spans that do not overlap, and what may be chosen in their place.

    Beside each stand all spans that overlap it or one around it. Whoever takes the best span, or a
    longer one around it, drops what overlaps that, and goes on ``count`` times, takes the same as
    from all candidates.

    Args:
        c: in the order of the text.
        count: at least 1; None = all.
    """
    if not count or not len(c):
        return c
    order = np.lexsort((-c.end, c.start, -c.score))
    left = np.ones(len(c), dtype=bool)
    for i in order.tolist():
        if not left[i]:
            continue
        around = (c.start <= c.start[i]) & (c.end >= c.end[i])
        start, end = c.start[around].min(), c.end[around].max()
        left &= (c.start >= end) | (c.end <= start)
        count -= 1
        if not count:
            break
    return c.take(~left)


def score_apart(c: Candidates, sure: np.ndarray, count: int, *, longest: int) -> float:
    """Return a score that each of the ``count`` best spans apart has at least; 0 if unknown.

    Spans that overlap, one by one, are a group, and the best one of each group is chosen. And
    where spans lie so far apart that no choice, with all that stands around it, touches two of
    them, one of ``count`` such spans is still there whenever a choice is made.

    Args:
        c: candidates.
        sure: those that nothing to come replaces; of the others, all that overlap one of them
            overlap each other, and so does what is to come and overlaps one of these.
        count: at least 1.
        longest: words of the longest span that there is or will be.
    """
    if not len(c):
        return 0.0
    order = np.argsort(c.start, kind="stable")
    start, end = c.start[order], c.end[order]
    apart = start[1:] >= np.maximum.accumulate(end)[:-1]
    first = np.flatnonzero(np.concatenate([[True], apart]))
    score = np.where(sure, c.score, 0.0)
    best = np.maximum.reduceat(score[order], first)
    of_groups = float(np.sort(best)[-count]) if len(best) >= count else 0.0
    far = 0.0
    for _ in range(count):
        place = int(score.argmax())
        far = float(score[place])
        if far <= of_groups:
            break
        near = (c.start < c.end[place] + 2 * longest) & (c.end > c.start[place] - 2 * longest)
        score = np.where(near, 0.0, score)
    return max(of_groups, far)


def possible(c: Candidates, open_: np.ndarray, *, num_words: int) -> np.ndarray:
    """Say which candidates ``choose`` may still choose, flat, when others join those ``open_``.

    What is joined later overlaps only candidates that are open. So one that is not open, and
    scores more than all it overlaps, is sure to be chosen, and all it overlaps are sure not to
    be; and so on with those that then remain.

    Args:
        c: found so far.
        open_: those that a later candidate may overlap, replace, or lose to; they stay.
        num_words: words of the text.
    """
    keep = open_.copy()
    sure = np.zeros(num_words, dtype=bool)
    unsure = np.zeros(num_words, dtype=bool)
    order = np.lexsort((c.label, c.end, c.start, -c.score))
    for first in range(0, len(order), _BLOCK):
        block = order[first : first + _BLOCK]
        waiting = block[open_[block]]
        _cover(unsure, c.start[waiting], c.end[waiting])
        block = block[~open_[block]]
        block = block[~_touches(sure, c.start[block], c.end[block])]
        unclear = _touches(unsure, c.start[block], c.end[block])
        keep[block[unclear]] = True
        _cover(unsure, c.start[block[unclear]], c.end[block[unclear]])
        for i in block[~unclear].tolist():
            words = slice(int(c.start[i]), int(c.end[i]))
            if sure[words].any():
                continue
            keep[i] = True
            (unsure if unsure[words].any() else sure)[words] = True
    return keep


def _touches(words: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Say which ranges hold a word that is marked."""
    before = np.concatenate([[0], np.cumsum(words)])
    touched: np.ndarray = before[end] > before[start]
    return touched


def _cover(words: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    """Mark the words of all ranges."""
    change = np.zeros(len(words) + 1, dtype=np.int64)
    np.add.at(change, start, 1)
    np.add.at(change, end, -1)
    words |= np.cumsum(change[:-1]) > 0


_BLOCK = 512


def _keep_flat(c: Candidates, num_words: int, multi_label: bool) -> np.ndarray:
    taken = np.zeros(num_words, dtype=bool)
    chosen: set[tuple[int, int]] = set()
    kept: list[int] = []
    for first in range(0, len(c), _BLOCK):
        block = slice(first, first + _BLOCK)
        before = np.concatenate([[0], np.cumsum(taken)])
        free = before[c.end[block]] == before[c.start[block]]
        hopeful = np.ones_like(free) if multi_label else free
        for i in (first + np.flatnonzero(hopeful)).tolist():
            start, end = int(c.start[i]), int(c.end[i])
            if multi_label and (start, end) in chosen:
                kept.append(i)
            elif not taken[start:end].any():
                taken[start:end] = True
                chosen.add((start, end))
                kept.append(i)
    return np.array(kept, dtype=np.int64)


def _keep_nested(c: Candidates, num_words: int, multi_label: bool) -> np.ndarray:
    """Conflict = overlap without containment, or the same span.

    ``nearest_end[w]``: the earliest end of a kept span that covers word w and began before it;
    ``nearest_start[w]``: the latest start of a kept span that covers word w and goes on after it.
    """
    nearest_end = np.full(num_words, num_words + 1)
    nearest_start = np.full(num_words, -1)
    chosen: set[tuple[int, int]] = set()
    kept: list[int] = []
    for first in range(0, len(c), _BLOCK):
        block = slice(first, first + _BLOCK)
        starts, ends = c.start[block], c.end[block]
        hopeful = (nearest_end[starts] >= ends) & (nearest_start[ends - 1] <= starts)
        for i in (first + np.flatnonzero(hopeful)).tolist():
            start, end = int(c.start[i]), int(c.end[i])
            if (start, end) in chosen:
                if multi_label:
                    kept.append(i)
            elif nearest_end[start] >= end and nearest_start[end - 1] <= start:
                np.minimum(nearest_end[start + 1 : end], end, out=nearest_end[start + 1 : end])
                inner = nearest_start[start : end - 1]
                np.maximum(inner, start, out=inner)
                chosen.add((start, end))
                kept.append(i)
    return np.array(kept, dtype=np.int64)
