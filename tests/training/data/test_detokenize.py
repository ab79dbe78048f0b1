"""Joining tokens to text."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.training.data.detokenize import REPLACED, detokenize

PLAIN = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=6)
MARKS = st.sampled_from(["'", '"', "-", ".", "(", "s", "1"])
TOKENS = st.lists(st.one_of(PLAIN.filter(lambda token: token not in REPLACED), MARKS), min_size=1)


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("' cats ' and dogs", "'cats' and dogs"),
        ('He said " yes , no " ( maybe ) .', 'He said "yes, no" (maybe).'),
        ("Hata 's man do n't and did not don ' t", "Hata's man don't and did not don't"),
        ("IL - 1 and 5 . 0 kb at 14 : 56", "IL-1 and 5.0 kb at 14:56"),
        ("the parents ' house , 'high", "the parents' house, 'high"),
        ("-LRB- r. 1627 -RRB- ``so ''", '(r. 1627) ``so "'),
        ("# tag @ name $ 5", "#tag @name $5"),
        ("word - and", "word-and"),
    ],
)
def test_tokens_join_to_natural_text(tokens: str, text: str) -> None:
    assert detokenize(tokens.split())[0] == text


@given(TOKENS)
def test_every_token_is_found_at_its_offsets(tokens: list[str]) -> None:
    text, offsets = detokenize(tokens)
    assert [text[start:end] for start, end in offsets] == tokens
    assert all(a[1] <= b[0] for a, b in pairwise(offsets))
