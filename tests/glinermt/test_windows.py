"""Passes cover every word and label within their budget; merging keeps the whole span."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glinermt.decode import Candidates, best_apart, choose
from glinermt.encoding import QueryEncoder
from glinermt.model import GlinerMT
from glinermt.tasks.questions import TIE, ranked
from glinermt.types import Ask, Best, Example, Query, Span
from glinermt.windows import join_windows, merge_windows, plan_passes
from tests.tiny_models import tiny_model

EASY = settings(max_examples=40, deadline=None)
words = st.sampled_from(["the", "Paris", "xyzzy", "\u200b", "東京", "q" * 40, "."])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GlinerMT:
    """A model that reads 64 tokens at a time."""
    return tiny_model(tmp_path_factory.mktemp("bert"), kind="bert")


@pytest.fixture(scope="module")
def encoder(model: GlinerMT) -> QueryEncoder:
    return model.query_encoder


@EASY
@given(
    text=st.lists(words, max_size=80).map(" ".join),
    labels=st.lists(st.sampled_from(["a", "the city", "x y z"]), min_size=1, max_size=3),
    numbers=st.integers(0, 60),
    prompt=st.sampled_from(["", "the person in the city", "the " * 20]),
)
def test_passes_cover_every_word_and_label_within_the_budget(
    encoder: QueryEncoder, text: str, labels: list[str], numbers: int, prompt: str
) -> None:
    names = (*labels, *(f"the {i}" for i in range(numbers)))
    (query,) = encoder.tokenize([Query(text, names, prompt)])
    passes = plan_passes(encoder, query, 0)
    num_words = len(query.text.offsets)
    asked = {(word, label) for p in passes for word in range(p.start, p.end) for label in p.labels}
    assert asked == {(word, i) for word in range(num_words) for i in range(len(query.labels))}
    for p in passes:
        batch = encoder.collate([query], [p])
        assert batch.input_ids.shape[1] == p.num_tokens <= 64
        assert int(batch.word_position.max()) < 64 - len(encoder.suffix)
        assert len(p.labels) <= encoder.max_labels


def test_a_query_that_fits_takes_one_pass_even_where_labels_are_most_of_it(
    encoder: QueryEncoder,
) -> None:
    (query,) = encoder.tokenize([Query("in Paris", tuple(f"the city {i}" for i in range(12)))])
    (only,) = plan_passes(encoder, query, 0)
    assert only.num_tokens > 48


def test_labels_beside_a_long_prompt_are_split_until_there_is_room(model: GlinerMT) -> None:
    labels = tuple(f"the city {i}" for i in range(12))
    query = Query("in Paris the person " * 5, labels, "in the city " * 8)
    (spans,) = model.extract([query], threshold=0.0, multi_label=True)
    assert {span.label for span in spans} == set(labels)


def candidates(*rows: tuple[int, int, int, float, bool]) -> Candidates:
    start, end, label, score, cut = (np.array(column) for column in zip(*rows, strict=True))
    return Candidates(start, end, label, score, cut)


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        # The same span from two windows keeps the better score.
        ([(3, 5, 0, 0.6, False), (3, 5, 0, 0.8, False)], {(3, 5, 0, 0.8)}),
        # A cut span loses to the whole one around it, though it scores more.
        ([(3, 5, 0, 0.9, True), (3, 7, 0, 0.6, False)], {(3, 7, 0, 0.6)}),
        # ... not if that scores less than half,
        ([(3, 5, 0, 0.9, True), (3, 7, 0, 0.4, False)], {(3, 5, 0, 0.9), (3, 7, 0, 0.4)}),
        # ... nor if it has another label,
        ([(3, 5, 0, 0.9, True), (3, 7, 1, 0.8, False)], {(3, 5, 0, 0.9), (3, 7, 1, 0.8)}),
        # ... nor if another window saw the same span uncut.
        (
            [(3, 5, 0, 0.9, True), (3, 5, 0, 0.7, False), (3, 7, 0, 0.8, False)],
            {(3, 5, 0, 0.9), (3, 7, 0, 0.8)},
        ),
    ],
)
def test_merging_windows(
    found: list[tuple[int, int, int, float, bool]], kept: set[tuple[int, int, int, float]]
) -> None:
    c = merge_windows(candidates(*found))
    assert set(zip(*(a.tolist() for a in (c.start, c.end, c.label, c.score)), strict=True)) == kept


def all_pairs(c: Candidates) -> set[tuple[int, int, int, float]]:
    """The rule of ``merge_windows`` by comparing each with each."""
    rows: dict[tuple[int, int, int], tuple[float, bool]] = {}
    for start, end, label, score, cut in zip(
        *(a.tolist() for a in (c.start, c.end, c.label, c.score, c.cut)), strict=True
    ):
        best, before = rows.get((start, end, label), (0.0, True))
        rows[start, end, label] = max(best, score), before and cut
    return {
        (start, end, label, score)
        for (start, end, label), (score, cut) in rows.items()
        if not cut
        or not any(
            other == label and first <= start and last >= end and rival >= score / 2
            for (first, last, other), (rival, is_cut) in rows.items()
            if not is_cut
        )
    }


def rows_of(c: Candidates) -> list[tuple[int, int, int, float]]:
    return list(zip(*(a.tolist() for a in (c.start, c.end, c.label, c.score)), strict=True))


found_rows = st.tuples(
    st.integers(0, 11),
    st.integers(1, 9),
    st.integers(0, 1),
    st.sampled_from([0.1, 0.2, 0.25, 0.4, 0.5, 0.8]),
    st.booleans(),
).map(lambda row: (row[0], row[0] + row[1], *row[2:]))


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(found_rows, min_size=1, max_size=60))
def test_merging_is_what_comparing_each_with_each_gives(
    rows: list[tuple[int, int, int, float, bool]],
) -> None:
    c = candidates(*rows)
    assert set(rows_of(merge_windows(c))) == all_pairs(c)


@st.composite
def windows_of_a_text(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, Candidates]]]:
    """Windows over a text of some words, with spans in each; label groups cut their own."""
    num_words = draw(st.integers(1, 40))
    made = []
    for _ in range(draw(st.integers(1, 2))):
        start, end = 0, 0
        while end < num_words:
            end = min(num_words, start + draw(st.integers(1, 14)))
            rows = draw(st.lists(st.tuples(*[st.integers(0, 13)] * 2, found_rows), max_size=14))
            spans = {
                (start + a % (end - start), label): (start + a % (end - start), b, label, score)
                for a, b, (_, _, label, score, _) in rows
            }
            inside = [
                (s, min(s + 1 + b, end), label, score, (s == start > 0) or (
                    min(s + 1 + b, end) == end < num_words))
                for s, b, label, score in spans.values()
            ]  # fmt: skip
            made.append((start, end, candidates(*inside) if inside else Candidates.concatenate([])))
            start = draw(st.integers(min(start + 1, end), end))
    return num_words, sorted(made, key=lambda window: window[0])


@settings(max_examples=300, deadline=None)
@given(windows_of_a_text(), st.booleans())
def test_dropping_spans_on_the_way_changes_no_choice(
    text: tuple[int, list[tuple[int, int, Candidates]]], flat: bool
) -> None:
    num_words, windows = text
    following = [*(start for start, _, _ in windows[1:]), num_words]
    found = [(c, then) for (_, _, c), then in zip(windows, following, strict=True)]
    overlap = "flat" if flat else "nested"
    at_once = merge_windows(Candidates.concatenate([c for c, _ in found]))
    one_by_one = join_windows(iter(found), num_words=num_words, flat=flat)
    assert rows_of(choose(one_by_one, num_words=num_words, overlap=overlap)) == rows_of(
        choose(at_once, num_words=num_words, overlap=overlap)
    )


def test_a_text_full_of_likely_spans_takes_memory_for_a_few_windows() -> None:
    size, step, windows = 60, 45, 30
    num_words = step * windows + size - step
    start, end = np.triu_indices(size)
    scores = np.random.default_rng(0).random((windows, len(start)))

    def found(number: int) -> Iterator[tuple[Candidates, int]]:
        for i in range(number):
            first, last = start + i * step, end + 1 + i * step
            cut = ((start == 0) & (i > 0)) | ((end == size - 1) & (i < windows - 1))
            label = np.zeros_like(start)
            yield Candidates(first, last, label, scores[i], cut), min((i + 1) * step, num_words)

    for i in range(2, windows):
        assert len(join_windows(found(i), num_words=num_words, flat=True)) < 4 * len(start)


@pytest.mark.parametrize("place", range(0, 200, 9))
def test_a_thing_planted_anywhere_in_a_long_text_is_found_once(
    finder: GlinerMT, place: int
) -> None:
    before = "the city in " * 60
    start = [i for i, c in enumerate(before) if i == 0 or before[i - 1] == " "][place * 180 // 200]
    text = before[:start] + "microsoft " + before[start:]
    (spans,) = finder.extract([Query(text, ("answer",))])
    assert [(s.start, s.text) for s in spans] == [(start, "microsoft")]


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> GlinerMT:
    """A short-sighted model that has learned to find one word."""
    model = tiny_model(tmp_path_factory.mktemp("finder"), kind="bert").train()
    torch.manual_seed(0)
    examples = []
    for length in (3, 16, 48):
        for place in range(0, length, max(1, length // 16)):
            row = (["the", "city", "in"] * 16)[:length]
            row[place] = "microsoft"
            text = " ".join(row)
            at = text.index("microsoft")
            span = Span(at, at + 9, "microsoft", "answer")
            examples.append(Example(Query(text, ("answer",)), (span,)))
    batch = model.collate(examples)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        model.loss(batch).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval()


def span_scores(
    last: int, longest: int, most: int
) -> st.SearchStrategy[dict[tuple[int, int], float]]:
    """Make scores of spans, by their start, up to ``last``, and their number of words."""
    return st.dictionaries(
        st.tuples(st.integers(0, last), st.integers(1, longest)),
        st.integers(1, 100).map(lambda share: share / 100),
        min_size=1,
        max_size=most,
    )


def ranked_of(c: Candidates, most: int) -> list[Span]:
    """Return the best answers among candidates."""
    rows = zip(c.start.tolist(), c.end.tolist(), c.score.tolist(), strict=True)
    return ranked([Span(a, b, "x" * (b - a), "answer", s) for a, b, s in rows], most)


@given(span_scores(30, 8, 60), st.integers(1, 4))
def test_answers_from_the_best_spans_are_those_from_all(
    scores: dict[tuple[int, int], float], most: int
) -> None:
    """What ``Query.best`` leaves of the candidates of a long text gives the same answers."""
    places = sorted(scores)
    start, width = np.array(places).T
    score = np.array([scores[place] for place in places])
    no = np.zeros(len(places), dtype=int)
    whole = Candidates(start, start + width, no, score, no.astype(bool))

    assert ranked_of(best_apart(whole, most), most) == ranked_of(whole, most)


@given(span_scores(120, 6, 120), st.integers(1, 4))
def test_answers_from_what_windows_keep_are_those_from_all(
    scores: dict[tuple[int, int], float], most: int
) -> None:
    """Dropping on the way what the best cannot come from leaves the answers as they are."""
    num_words, longest = 130, 9
    found = []
    for first in range(0, num_words, 6):
        last = min(first + longest, num_words)
        own = [(a, a + n) for a, n in scores if first <= a and a + n <= last]
        start, end = np.array(own, dtype=int).reshape(-1, 2).T
        cut = ((start == first) & (first > 0)) | ((end == last) & (last < num_words))
        score = np.array([scores[a, b - a] for a, b in own], dtype=float)
        found.append((Candidates(start, end, np.zeros_like(start), score, cut), first + 6))

    def answers(best: Best | None) -> list[Span]:
        c = join_windows(found, num_words=num_words, flat=False, best=best, longest=longest)
        return ranked_of(choose(c, num_words=num_words, overlap="nested"), most)

    assert answers(Best(most, TIE)) == answers(None)


def test_few_answers_need_few_candidates_however_long_the_text() -> None:
    def window(first: int) -> tuple[Candidates, int]:
        start = np.arange(first, first + 10)
        score = np.where(start % 10 == 5, 0.9, 0.3)
        cut = np.zeros(10, dtype=bool)
        return Candidates(start, start + 1, np.zeros_like(start), score, cut), first + 10

    found = (window(first) for first in range(0, 5_000, 10))
    kept = join_windows(found, num_words=5_000, flat=False, best=Best(5, TIE))
    assert set(kept.score) == {0.9}


def test_few_answers_need_few_candidates_where_all_of_a_text_overlaps() -> None:
    def window(first: int) -> tuple[Candidates, int]:
        start = np.arange(first, first + 10)
        score = np.where(start % 10 == 5, 0.9, 0.3)
        no = np.zeros_like(start)
        return Candidates(start, start + 3, no, score, no.astype(bool)), first + 10

    kept = []
    for num_words in (1_000, 5_000):
        found = (window(first) for first in range(0, num_words, 10))
        c = join_windows(found, num_words=num_words, flat=False, best=Best(5, TIE), longest=12)
        kept.append(int((c.score < 0.9).sum()))
    assert kept[0] == kept[1] < 30


def test_the_best_span_of_a_long_text_needs_few_of_its_candidates(model: GlinerMT) -> None:
    text = " ".join(f"bill gates founded microsoft in {c} paris the city {c} ." for c in "abcdefgh")
    query = Query(text, ("answer",), "who founded microsoft", across_lines=True)
    ask = Ask(0.01, "nested", span_score="min")
    for near, temperature in ((0.02, 1.0), (0.1, 1.5), (0.0, 0.5)):
        wanted = replace(query, best=Best(1, near, temperature))
        whole, few = model.read([query, wanted], ask)
        assert len(few.spans) < len(whole.spans)
        best = max(whole.spans, key=lambda span: (span.score, -span.start, span.end))
        limit = wanted.best.least(best.score) if wanted.best else 0.0
        around = {
            (s.start, s.end)
            for s in whole.spans
            if s.start <= best.start and s.end >= best.end and s.score > limit
        }
        assert around <= {(s.start, s.end) for s in few.spans}
