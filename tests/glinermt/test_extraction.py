"""Properties of GlinerMT.extract that hold for any text, label and model."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glinermt.model import GlinerMT
from glinermt.types import Query, Span, SpanScore
from tests.tiny_models import tiny_model

EASY = settings(max_examples=25, deadline=None)
PIECES = ["Bill", "Gates", "founded", "the", "city", "Zo\u0308e", "\u200b", "😀", "مرحبا", "東京"]
PIECES += ["<<ENT>>", "[SEP]", "<<SEP>>", "a-b_c", "$5.00", "\r\n", "\t", "é" * 40]
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join), st.text(max_size=60)
)
label_lists = st.lists(
    st.sampled_from(["person", "city", "<<ENT>> x", "a longer label", "[SEP]"]),
    min_size=1,
    max_size=4,
    unique=True,
).map(tuple)


@pytest.fixture(scope="module", params=["token", "span"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GlinerMT:
    return tiny_model(tmp_path_factory.mktemp("deberta"), head=request.param)


@pytest.fixture(scope="module", params=["token", "span"])
def short_model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> GlinerMT:
    """A model that reads 64 tokens at a time."""
    return tiny_model(tmp_path_factory.mktemp("bert"), kind="bert", head=request.param)


def close(a: list[Span], b: list[Span]) -> bool:
    """Same spans, scores alike; spans whose score lies at the threshold may differ."""
    left = {(s.start, s.end, s.label): s.score for s in a}
    right = {(s.start, s.end, s.label): s.score for s in b}
    return left.keys() == right.keys() and all(abs(left[k] - right[k]) < 1e-4 for k in left)


@EASY
@given(text=texts, labels=label_lists)
def test_offsets_slice_to_the_text(
    short_model: GlinerMT, text: str, labels: tuple[str, ...]
) -> None:
    for span in short_model.extract([Query(text, labels)], threshold=0.3)[0]:
        assert text[span.start : span.end] == span.text
        assert span.label in labels
        assert 0.3 <= span.score <= 1


@EASY
@given(texts_=st.lists(texts, min_size=2, max_size=5), labels=label_lists)
def test_a_batch_gives_what_its_texts_give_alone(
    model: GlinerMT, texts_: list[str], labels: tuple[str, ...]
) -> None:
    queries = [Query(text, labels) for text in texts_]
    together = model.extract(queries, threshold=0.4)
    alone = [model.extract([query], threshold=0.4)[0] for query in queries]
    for a, b in zip(together, alone, strict=True):
        assert close(a, b)


@EASY
@given(text=texts)
def test_flat_spans_are_disjoint_and_sorted(model: GlinerMT, text: str) -> None:
    spans = model.extract([Query(text, ("person", "city"))], threshold=0.2)[0]
    for left, right in pairwise(spans):
        assert left.end <= right.start


@EASY
@given(text=texts)
def test_nested_spans_never_overlap_in_part(model: GlinerMT, text: str) -> None:
    spans = model.extract([Query(text, ("person", "city"))], threshold=0.2, overlap="nested")[0]
    for a in spans:
        for b in spans:
            inside = a.start >= b.start and a.end <= b.end
            assert not a.overlaps(b) or inside or (b.start >= a.start and b.end <= a.end)


@EASY
@given(text=texts, prompt=texts)
def test_no_span_touches_the_prompt(short_model: GlinerMT, text: str, prompt: str) -> None:
    query = Query(text, ("person",), prompt[:12])
    for span in short_model.extract([query], threshold=0.1)[0]:
        assert text[span.start : span.end] == span.text


def test_a_prompt_changes_the_scores_but_not_the_offsets(model: GlinerMT) -> None:
    text = "Bill Gates founded Microsoft in Paris."
    plain, prompted = model.extract(
        [Query(text, ("person",)), Query(text, ("person",), "Who founded Microsoft?")],
        threshold=0.0,
    )
    assert plain != prompted
    assert all(text[s.start : s.end] == s.text for s in prompted)


@pytest.mark.parametrize("num_words", [50, 400])
def test_every_word_of_a_long_text_is_read(short_model: GlinerMT, num_words: int) -> None:
    text = " ".join(f"w{i}" for i in range(num_words))
    found = short_model.extract([Query(text, ("person",))], threshold=0.0, multi_label=True)[0]
    covered = {i for span in found for i in range(span.start, span.end)}
    assert covered >= {i for i, c in enumerate(text) if c != " "}


def test_a_text_that_fits_gives_the_same_with_room_to_spare(short_model: GlinerMT) -> None:
    query = Query("Bill Gates founded Microsoft in Paris.", ("person", "city"))
    before = short_model.extract([query], threshold=0.3)[0]
    encoder = short_model.query_encoder
    before_tokens = encoder.max_tokens
    encoder.max_tokens -= 4
    try:
        assert close(before, short_model.extract([query], threshold=0.3)[0])
    finally:
        encoder.max_tokens = before_tokens


def test_a_word_longer_than_a_window_is_kept(short_model: GlinerMT) -> None:
    text = "Paris " + "x" * 3000 + " Bill"
    spans = short_model.extract([Query(text, ("person",))], threshold=0.0, overlap="nested")[0]
    assert {"Paris", "Bill"} <= {word for span in spans for word in span.text.split()}
    assert any("x" * 3000 in span.text for span in spans)


def test_more_labels_than_fit_are_asked_in_several_passes(short_model: GlinerMT) -> None:
    labels = tuple(f"kind {i}" for i in range(60))
    spans = short_model.extract(
        [Query("Bill Gates founded Microsoft.", labels)], threshold=0.0, multi_label=True
    )[0]
    assert {span.label for span in spans} == set(labels)


def test_text_that_looks_like_special_tokens_is_plain_text(model: GlinerMT) -> None:
    encoder = model.query_encoder
    special = {*encoder.markers, encoder.sep_token_id, *encoder.prefix, *encoder.suffix}
    query = Query("a <<ENT>> b [SEP] [CLS]", ("<<ENT>>", "[SEP] x"), "<<SEP>> [MASK]")
    (tokenized,) = encoder.tokenize([query])
    labels, _, _ = tokenized.label_ids
    pieces = [*labels, tokenized.prompt.token_ids, tokenized.text.token_ids]
    assert not special & {token for piece in pieces for token in piece}


def test_a_word_without_tokens_shifts_nothing(model: GlinerMT) -> None:
    (plain,) = model.query_encoder.tokenize([Query("Bill Gates", ("person",))])
    (odd,) = model.query_encoder.tokenize([Query("Bill \u200b Gates", ("person",))])
    assert odd.text.token_ids == plain.text.token_ids
    assert odd.text.offsets == [(0, 4), (5, 6), (7, 12)]
    assert odd.text.num_tokens(1, 2) == 0


@EASY
@given(text=texts, rule=st.sampled_from(["min", "geometric"]), low=st.floats(0.1, 0.5))
def test_a_lower_threshold_loses_no_span(
    model: GlinerMT, text: str, rule: SpanScore, low: float
) -> None:
    query = [Query(text, ("person", "city"))]
    few, many = (
        model.extract(query, threshold=threshold, span_score=rule)[0]
        for threshold in (low + 0.2, low)
    )
    assert all(
        any(b.start <= a.start and a.end <= b.end and a.label == b.label for b in many) for a in few
    )


def test_thresholds_may_differ_by_label(model: GlinerMT) -> None:
    query = Query("Bill Gates founded Microsoft in Paris", ("person", "city"))
    spans = model.extract([query], threshold={"person": 0.2, "city": 1.0})[0]
    assert {span.label for span in spans} == {"person"}


def test_an_iterator_is_read_lazily(model: GlinerMT) -> None:
    read = []

    def queries() -> object:
        for i in range(2000):
            read.append(i)
            yield Query("Bill", ("person",))

    results = model.extract(queries())  # type: ignore[call-overload]
    assert not read
    next(iter(results))
    assert len(read) < 2000


@pytest.mark.parametrize(
    "query", [Query("", ("person",)), Query(" \n\t", ("person",)), Query("Bill", ())]
)
def test_nothing_asked_or_nothing_to_read_finds_nothing(model: GlinerMT, query: Query) -> None:
    assert model.extract([query]) == [[]]


def test_labels_given_twice_count_once(model: GlinerMT) -> None:
    once = model.extract([Query("Bill Gates", ("person", "city"))], threshold=0.1)
    twice = model.extract([Query("Bill Gates", ("person", "city", "person"))], threshold=0.1)
    assert close(once[0], twice[0])


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (Query(None, ("a",)), TypeError, "text must be str, got NoneType"),  # type: ignore[arg-type]
        (Query(b"a", ("a",)), TypeError, "got bytes; decode it first"),  # type: ignore[arg-type]
        (Query("a", "person"), TypeError, "labels must be several strings"),  # type: ignore[arg-type]
        (Query("a", ("",)), ValueError, "label 0 is empty"),
        (Query("a", ("x", 3)), TypeError, "label 1 must be str, got int"),  # type: ignore[arg-type]
        ("text", TypeError, "expected a Query, got str"),
    ],
)
def test_bad_queries_are_named(
    model: GlinerMT, query: Query, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        model.extract([query])


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), {"person": 2.0}])
def test_thresholds_outside_0_to_1_are_refused(model: GlinerMT, threshold: float) -> None:
    with pytest.raises(ValueError, match=r"lies outside \[0, 1\]"):
        model.extract([Query("a", ("person",))], threshold=threshold)


@pytest.mark.parametrize("threshold", [True, "0.5", {"person": None}, {"person": False}])
def test_thresholds_that_are_no_numbers_are_refused(model: GlinerMT, threshold: float) -> None:
    with pytest.raises(TypeError, match="threshold must be a number, got "):
        model.extract([Query("a", ("person",))], threshold=threshold)


def test_a_label_without_threshold_is_named(model: GlinerMT) -> None:
    with pytest.raises(ValueError, match="no threshold for label 'city'"):
        model.extract([Query("a", ("person", "city"))], threshold={"person": 0.5})


def test_a_prompt_too_long_to_read_is_refused(short_model: GlinerMT) -> None:
    with pytest.raises(ValueError, match="shorten the prompt or the labels"):
        short_model.extract([Query("Bill Gates founded it", ("person",), "why " * 60)])


def _odds(model: GlinerMT, text: str, casing: float, threshold: float = 1e-6) -> dict[str, float]:
    query = Query(text, ("person",), casing=casing)
    (spans,) = model.extract(
        [query], threshold=threshold, overlap="nested", multi_label=True, span_score="min"
    )
    return {span.text: span.score / (1 - span.score) for span in spans}


def test_spans_that_part_capitalised_words_are_doubted(model: GlinerMT) -> None:
    text = "He met Ada Lovelace King there. In Paris it rained."
    plain, doubted = _odds(model, text, 0.0), _odds(model, text, 1.0)
    ends = {"Ada": 1, "Lovelace": 2, "King": 1, "In": 1, "Paris": 0, "He": 0, "met": 0}
    for name, parted in ends.items():
        assert doubted[name] == pytest.approx(plain[name] * math.exp(-parted), rel=1e-4)
    for same in (text.lower(), text.upper(), "Ada Lovelace King Of Paris"):
        assert _odds(model, same, 1.0) == _odds(model, same, 0.0)


def test_an_article_too_much_or_a_number_too_little_is_doubted(model: GlinerMT) -> None:
    text = "the Louvre\n1992 Olympics\na museum"  # a span stays in its line
    plain, doubted = _odds(model, text, 0.0), _odds(model, text, 1.0)
    doubts = {"1992 Olympics": 0, "Olympics": 1, "the Louvre": 1, "Louvre": 0, "a museum": 0}
    for name, doubt in doubts.items():
        assert doubted[name] == pytest.approx(plain[name] * math.exp(-doubt), rel=1e-4)
    for same in (text.lower(), text.upper()):
        assert _odds(model, same, 1.0) == _odds(model, same, 0.0)


def test_a_number_is_not_missed_where_no_span_with_it_is_found(model: GlinerMT) -> None:
    names = ["1992 Olympics", "12 Monkeys", "24 Hours", "7 Wonders", "3 Musketeers", "39 Steps"]
    text = "\n".join(["a small museum", "the house", *names])
    odds = _odds(model, text, 0.0)
    surer = next(name for name in names if odds[name.split()[1]] > odds[name])
    alone = surer.split()[1]
    between = math.sqrt(odds[alone] * odds[surer])
    found = _odds(model, text, 1.0, threshold=between / (1 + between))
    assert surer not in found
    assert found[alone] == pytest.approx(odds[alone], rel=1e-4)
