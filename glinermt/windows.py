"""Long texts and long label lists become several passes; their results become one list again."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from glinermt.decode import Candidates, possible, score_apart
from glinermt.encoding import QueryEncoder
from glinermt.errors import UsageError
from glinermt.rows import CLASSES, LabelRanges, Pass, TokenizedQuery
from glinermt.types import Best

OVERLAP = 0.25
"""Share of a window's tokens that the next window reads again."""
LABEL_SHARE = 0.5
"""Largest share of the tokens that labels may take of a long text's pass, prompt aside."""
MIN_ROOM = 16
"""Fewest tokens for the text that make a pass sensible."""


def plan_passes(encoder: QueryEncoder, query: TokenizedQuery, index: int) -> list[Pass]:
    """Cover all words and all labels of the query, each pass within ``encoder.max_tokens``.

    A query that fits gets exactly one pass, or two where its relations are read apart.

    Args:
        encoder: knows what a pass costs besides its text, and what it may cost.
        query: the query to cover.
        index: the query's number, noted in the passes.

    Raises:
        ValueError: the prompt or a single label leaves no room for the text.
    """
    if not any(query.label_ids) or not query.text.offsets:
        return []
    passes = []
    for asked in _label_groups(encoder, query):
        overhead = encoder.overhead(query, asked)
        room = encoder.max_tokens - overhead
        if room < min(MIN_ROOM, len(query.text.token_ids)):
            raise UsageError(
                f"prompt and labels take {overhead} of the {encoder.max_tokens} tokens the model "
                "reads at a time, which leaves no room for the text; shorten the prompt or the "
                "labels"
            )
        for start, end in windows(query.text.first_token, room):
            tokens = overhead + min(room, query.text.num_tokens(start, end))
            passes.append(Pass(index, asked[0], start, end, tokens, *asked[1:]))
    return passes


def token_batches(passes: Sequence[Pass], budget: int) -> Iterator[list[Pass]]:
    """Group passes of similar length, so that little of a batch is padding."""
    batch: list[Pass] = []
    for p in sorted(passes, key=lambda p: p.num_tokens, reverse=True):
        if batch and (len(batch) + 1) * batch[0].num_tokens > budget:
            yield batch
            batch = []
        batch.append(p)
    if batch:
        yield batch


def place(candidates: Candidates, window: Pass, num_words: int) -> Candidates:
    """Count words and labels from the query's first; mark what a cut edge of the window touches.

    Args:
        candidates: found in one window, counted from its first word and label.
        window: the pass they were found in.
        num_words: words of the whole text.
    """
    start, end = candidates.start + window.start, candidates.end + window.start
    cut = ((start == window.start) & (window.start > 0)) | (
        (end == window.end) & (window.end < num_words)
    )
    label = candidates.label + window.labels.start
    return Candidates(start, end, label, candidates.score, cut)


def join_windows(
    found: Iterable[tuple[Candidates, int]],
    *,
    num_words: int,
    flat: bool,
    best: Best | None = None,
    longest: int | None = None,
) -> Candidates:
    """Make one of what several windows found in a text, one window after another.

    See ``merge_windows`` for what is joined how. Where the result is to be ``flat``, spans that
    ``decode.choose`` cannot choose any more are dropped on the way, so that memory holds those of
    a few windows; its choice stays the same. So it is where only the ``best`` are wanted: what
    scores too little to matter beside the best so far is dropped.

    Args:
        found: what each window found, and the word where the next one begins; by ascending
            begins. The last window's next word is ``num_words`` or more.
        num_words: words of the whole text.
        flat: spans will not overlap, and have one label each.
        best: which spans are wanted; None = all.
        longest: words that a span may have, as many as the longest window; None = any number.
    """
    longest = num_words if longest is None else longest
    done: list[Candidates] = []
    least = 0.0
    open_ = Candidates.concatenate([])
    for candidates, following in found:
        joined = _unique(Candidates.concatenate([open_, candidates]))
        settled = joined.end <= following  # nothing to come reaches these
        kept = ~_superseded(joined, settled)
        joined, settled = joined.take(kept), settled[kept]
        if flat and following < num_words:
            open_ = joined.take(possible(joined, ~settled, num_words=num_words))
        else:
            done.append(joined.take(settled))
            open_ = joined.take(~settled)
            if best is not None:
                final = Candidates.concatenate(done)
                held = Candidates.concatenate([final, open_])
                sure = np.arange(len(held)) < len(final)
                apart = score_apart(held, sure, best.count, longest=longest)
                least = max(least, best.least(apart))
                done = [final.take(final.score >= least)]
    return Candidates.concatenate([*done, open_])


def merge_windows(candidates: Candidates) -> Candidates:
    """Make one of what several windows found in a text.

    The same span and label found twice keeps its better score. A span that touches a window's
    cut edge loses to a longer one of the same label that is not cut, unless that one scores less
    than half.
    """
    c = _unique(candidates)
    return c.take(~_superseded(c, np.ones(len(c), dtype=bool)))


def _unique(c: Candidates) -> Candidates:
    """Join the same span and label; it is cut only where every window cuts it."""
    if not len(c):
        return c
    c = c.take(np.lexsort((-c.score, c.label, c.end, c.start)))
    same = (np.diff(c.start) == 0) & (np.diff(c.end) == 0) & (np.diff(c.label) == 0)
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    return replace(c.take(first), cut=np.logical_and.reduceat(c.cut, first))


def _superseded(c: Candidates, asked: np.ndarray) -> np.ndarray:
    """Say which of the cut spans ``asked`` for lose to a whole one around them.

    A window's edge cuts many spans at one place, so those that share a start or an end are looked
    up together, among the whole spans around that place; few edges lie in any one span.
    """
    lost = np.zeros(len(c), dtype=bool)
    cut = np.flatnonzero(c.cut & asked)
    if not cut.size:
        return lost
    whole = c.take(~c.cut)
    for label in np.unique(c.label[cut]).tolist():
        rivals = whole.take(whole.label == label)
        rivals = rivals.take(np.argsort(rivals.start, kind="stable"))
        if not len(rivals):
            continue
        longest = int((rivals.end - rivals.start).max())
        mine = cut[c.label[cut] == label]
        by_start = _shares(c.start[mine]) >= _shares(c.end[mine])
        for index, edges in ((mine[by_start], c.start), (mine[~by_start], c.end - 1)):
            index = index[np.argsort(edges[index], kind="stable")]
            borders = np.flatnonzero(np.diff(edges[index])) + 1
            for group in np.split(index, borders) if len(index) else ():
                word = int(edges[group[0]])
                first, last = np.searchsorted(rivals.start, [word - longest + 1, word + 1])
                around = np.arange(first, last)
                lost[group] = _outscored(c.take(group), rivals.take(around), word)
    return lost


def _shares(values: np.ndarray) -> np.ndarray:
    """Return how often each value occurs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[inverse]


def _outscored(cut: Candidates, whole: Candidates, word: int) -> np.ndarray:
    """Say which cut spans lie in a whole one with at least half their score.

    Args:
        cut: spans that all begin, or all end, with the word.
        whole: spans in the order of their starts.
        word: the word.
    """
    whole = whole.take((whole.start <= word) & (whole.end > word))
    if not len(whole):
        return np.zeros(len(cut), dtype=bool)
    if (cut.start == word).all():  # a longer one ends at or behind the cut one's end
        order = np.argsort(-whole.end, kind="stable")
        place = np.searchsorted(-whole.end[order], -cut.end, side="right")
    else:
        order = np.argsort(whole.start, kind="stable")
        place = np.searchsorted(whole.start[order], cut.start, side="right")
    best = np.concatenate([[-np.inf], np.maximum.accumulate(whole.score[order])])
    return best[place] >= cut.score / 2


def _label_groups(encoder: QueryEncoder, query: TokenizedQuery) -> Iterator[LabelRanges]:
    """Split the labels, in order, into groups that are read together; see ``_groups``."""
    labels, relations, classes = (len(ids) for ids in query.label_ids)
    if encoder.relations_apart and labels and relations:
        yield from _groups(encoder, query, [labels, 0, classes])
        yield from _groups(encoder, query, [0, relations, 0])
    else:
        yield from _groups(encoder, query, [labels, relations, classes])


def _groups(
    encoder: QueryEncoder, query: TokenizedQuery, counts: list[int]
) -> Iterator[LabelRanges]:
    """Split the first labels of each kind into groups that leave room; not where all of it fits.

    A group takes labels of spans first, then of relations, then of the text, each up to
    ``max_labels`` and together up to ``LABEL_SHARE``.
    """
    max_tokens, max_labels = encoder.max_tokens, encoder.max_labels
    everything = _ranges([0, 0, 0], counts)
    whole = encoder.overhead(query, everything) + len(query.text.token_ids)
    asked = counts[:CLASSES] if encoder.classes_apart else counts
    if whole <= max_tokens and (not max_labels or max(asked) <= max_labels):
        yield everything
        return
    frame = encoder.overhead(query, _ranges([0, 0, 0], [0, 0, 0]))
    limit = int((max_tokens - frame) * LABEL_SHARE)
    start = [0, 0, 0]
    while start != counts:
        end, used = list(start), 0
        for kind, ids in enumerate(query.label_ids):
            for i in range(start[kind], counts[kind]):
                size = encoder.label_tokens(kind, ids[i])
                full = max_labels and i - start[kind] >= max_labels
                if size and used and (used + size > limit or full):
                    break
                used += size
                end[kind] = i + 1
        yield _ranges(start, end)
        start = end


def _ranges(start: Sequence[int], end: Sequence[int]) -> LabelRanges:
    labels, relations, classes = map(range, start, end)
    return labels, relations, classes


def windows(first_token: list[int], room: int) -> Iterator[tuple[int, int]]:
    """Cut words into overlapping ranges of at most ``room`` tokens; a longer word stands alone."""
    num_words = len(first_token) - 1
    start = 0
    while True:
        limit = first_token[start] + room
        end = bisect_right(first_token, limit) - 1
        end = min(max(end, start + 1), num_words)
        yield start, end
        if end == num_words:
            return
        back = first_token[end] - int(room * OVERLAP)
        start = min(max(bisect_left(first_token, back), start + 1), end)
