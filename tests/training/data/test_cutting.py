"""Cutting long texts."""

import random

from hypothesis import given
from hypothesis import strategies as st

from glinermt.training.data.rows import cut, sentences, shift
from glinermt.types import Span


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[Span]]:
    words = draw(
        st.lists(st.sampled_from(["a", "bb", "ccc.", "dd?", "E"]), min_size=1, max_size=60)
    )
    text = " ".join(words)
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 30))
    spans = []
    for start, size in draw(st.lists(places, max_size=5)):
        end = min(len(text), start + size)
        spans.append(Span(start, end, text[start:end], "x"))
    return text, spans


@given(texts_with_spans(), st.integers(1, 20), st.integers(0, 5))
def test_no_span_is_cut_through(given: tuple[str, list[Span]], max_words: int, seed: int) -> None:
    text, spans = given
    start, end = cut(text, spans, max_words=max_words, rng=random.Random(seed))
    assert 0 <= start < end <= len(text)
    for span in spans:
        assert not span.start < start < span.end
        assert not span.start < end < span.end
    for span in shift(spans, start, end):
        assert text[start:end][span.start : span.end] == span.text


@given(texts_with_spans(), st.integers(1, 20), st.integers(0, 5))
def test_the_wanted_span_is_in_the_piece(
    given: tuple[str, list[Span]], max_words: int, seed: int
) -> None:
    text, spans = given
    for span in spans:
        if span.text.strip():
            rng = random.Random(seed)
            start, end = cut(text, spans, max_words=max_words, rng=rng, keep=span)
            assert start <= max(span.start, len(text[: span.end]) - len(span.text.lstrip()))
            assert span.start + len(span.text.rstrip()) <= end


def test_a_short_text_is_kept_whole() -> None:
    assert cut(" a b c ", [], max_words=3, rng=random.Random(0)) == (0, 7)


def test_a_piece_has_about_the_wanted_length_and_whole_sentences() -> None:
    text = " ".join(f"One two three four five six seven {i}." for i in range(50))
    for seed in range(20):
        start, end = cut(text, [], max_words=40, rng=random.Random(seed))
        piece = text[start:end]
        assert piece.startswith("One")
        assert piece.endswith(".")
        assert 8 <= len(piece.split()) <= 40


def test_sentences_end_at_marks_and_line_breaks() -> None:
    text = 'He left. "Why?" she asked. No\nNext line'
    assert [text[a:b] for a, b in sentences(text)] == [
        "He left.",
        '"Why?" she asked.',
        "No",
        "Next line",
    ]
