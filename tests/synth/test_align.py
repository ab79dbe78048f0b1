"""Quotes find their place, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.synth.checks.align import Place, Source, Status, align


def placed(text: str, quote: str) -> tuple[str, Status]:
    place = align(Source(text), quote)
    assert isinstance(place, Place), place
    return text[place.start : place.end], place.status


def test_a_verbatim_quote_is_exact() -> None:
    assert placed("Ada met Bob.", "Bob") == ("Bob", Status.EXACT)


@pytest.mark.parametrize(
    ("text", "quote", "found"),
    [
        ("The “Iron\u00a0Lady” spoke", '"iron  lady"', "Iron\u00a0Lady"),
        ("He ate crème bru\u0302le\u0301e.", "creme brulee", "crème bru\u0302le\u0301e"),
        ("The 1939–1945 war", "1939-1945", "1939–1945"),
        ("the zero\u200bwidth mark", "zerowidth", "zero\u200bwidth"),
        ("In the STRASSE there", "straße", "STRASSE"),
        ("Der große Tag", "GROSSE", "große"),
    ],
)
def test_case_space_accents_and_dashes_do_not_matter(text: str, quote: str, found: str) -> None:
    assert placed(text, quote) == (found, Status.NORMALISED)


@pytest.mark.parametrize(
    ("text", "quote"),
    [("3.5 km", "5"), ("3.5 km", "3"), ("10,000 men", "000"), ("10,000 men", ",000")],
)
def test_a_number_is_not_cut_at_its_marks(text: str, quote: str) -> None:
    assert align(Source(text), quote) is Status.NOT_FOUND
    assert placed("Of 1, 2 and 3.", "2") == ("2", Status.EXACT)


def test_a_long_quote_may_miss_a_function_word_or_a_letter() -> None:
    text = "They said that the treaty was signed in Edinburgh by the king of Scotland himself."
    assert placed(text, "treaty was signed at Edinburgh by king of Scotland") == (
        "treaty was signed in Edinburgh by the king of Scotland",
        Status.FUZZY,
    )
    assert placed(text, "treaty was signed in Edinburg by the king of Scotland")[1] == Status.FUZZY


@pytest.mark.parametrize(
    "quote",
    [
        "treaty was signed in London by the king of Scotland",  # another place
        "treaty was signed in 1328 by the king of Scotland",  # a number the text has not
        "treaty was not signed in Edinburgh by the king of Scotland",  # the contrary
        "king Scotland",  # too short to be fuzzy
        "reat",  # inside a word
        "",
        "   ",
        "-",
    ],
)
def test_what_the_text_does_not_say_is_not_found(quote: str) -> None:
    text = "They said that the treaty was signed in Edinburgh by the king of Scotland himself."
    assert align(Source(text), quote) is Status.NOT_FOUND


def test_the_left_context_chooses_among_occurrences() -> None:
    text = "Paris is big. He left Paris. They love Paris."
    place = align(Source(text), "Paris", "They love")
    assert isinstance(place, Place)
    assert place.start == text.rindex("Paris")


def test_without_context_a_repeated_quote_is_given_up_unless_in_order() -> None:
    source = Source("Paris is big. He left Paris.")
    assert align(source, "Paris") is Status.AMBIGUOUS
    first = align(source, "Paris", in_order=True)
    assert isinstance(first, Place)
    second = align(source, "Paris", taken={(first.start, first.end)}, in_order=True)
    assert isinstance(second, Place)
    assert (first.start, second.start) == (0, 22)


def test_scripts_without_spaces_may_be_cut_anywhere() -> None:
    assert placed("東京は日本の首都です。", "日本") == ("日本", Status.EXACT)


PIECES = "Ann ann é É ﬁn fin ß ss — - ' ’ x\u0301 12 한국 𝔘 \u200b".split(" ")
WORDS = st.lists(st.sampled_from(PIECES))


@given(WORDS, WORDS, st.text(max_size=20))
def test_every_place_is_inside_the_text_and_not_empty(
    words: list[str], quote: list[str], before: str
) -> None:
    text = " ".join(words)
    place = align(Source(text), " ".join(quote), before, in_order=True)
    if isinstance(place, Place):
        assert 0 <= place.start < place.end <= len(text)
        if place.status is Status.EXACT:
            assert text[place.start : place.end] == " ".join(quote).strip()


@given(st.text(min_size=1, max_size=60), st.data())
def test_a_piece_between_spaces_is_always_found(text: str, data: st.DataObject) -> None:
    words = text.split()
    if not words:
        return
    first = data.draw(st.integers(0, len(words) - 1))
    spaced = " ".join(words)
    place = align(Source(spaced), words[first], " ".join(words[:first]), in_order=True)
    assert isinstance(place, Place)
    assert spaced[place.start : place.end] == words[first]
