"""Questions that their paragraph no longer answers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glinermt.training.config import Sampling, Source
from glinermt.training.data.questions import edit
from glinermt.training.data.rows import QuestionRow
from glinermt.training.data.sampling import make_sampler
from glinermt.types import Span

TEXT = "The bridge in Rome was built by Otto in 1848, the one in Pisa by Karl in 1903."


@pytest.mark.parametrize(
    ("question", "answer", "possible"),
    [
        ("Who built the bridge in Pisa?", "Karl", {"Rome", "Otto", "destroyed"}),
        ("Who built a bridge in 1903?", "Karl", {"1848", "destroyed"}),
        ("what is the oldest bridge?", "Rome", {"youngest", "not"}),
        ("Where did they build?", "Rome", {"not"}),
    ],
)
def test_one_detail_is_changed_and_the_answer_never_put_in(
    question: str, answer: str, possible: set[str]
) -> None:
    for seed in range(40):
        edited = edit(question, TEXT, [answer], random.Random(seed))
        assert edited is not None
        new = set(edited.strip("?").split()) - set(question.strip("?").split())
        assert len(new) == 1
        assert new <= possible
        assert answer not in edited


def test_a_question_with_nothing_to_change_is_left_alone() -> None:
    assert edit("Who came?", "nobody came", [], random.Random(0)) is None


@given(st.text(max_size=80), st.text(max_size=80), st.integers(0, 99))
def test_any_text_can_be_edited(question: str, text: str, seed: int) -> None:
    edited = edit(question, text, ["x"], random.Random(seed))
    assert edited is None or edited != question


def test_edited_questions_keep_their_paragraph_and_lose_their_answer() -> None:
    answer = Span(TEXT.index("Karl"), TEXT.index("Karl") + 4, "Karl", "answer")
    row = QuestionRow(TEXT, "Who built the oldest bridge in Pisa?", (answer,))
    sampling = Sampling(unanswerable_share=1.0, edited_share=1.0)
    sampler = make_sampler(Source("x", "qa"), [row], [], sampling)
    examples = [sampler(row, random.Random(seed)) for seed in range(20)]
    assert {example.query.text for example in examples} == {TEXT}
    assert not any(example.spans for example in examples)
    assert not any(row.question in example.query.prompt for example in examples)
