"""Which texts are suggested for annotation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from glinermt import Query, Suggestion, suggest
from glinermt.cli import app
from tests.stub import StubExtractor
from tests.tiny_models import tiny_model

SCORES = {"ann left": 0.95, "bob left": 0.55, "cem left": 0.3, "dan left": 0.05, "x": 0.0}


def unsure(query: Query) -> list[tuple[str, str, float]]:
    """Find the first word of a text with the score written down for the text."""
    return [(query.text.split()[0], query.labels[0], SCORES[query.text])]


def indices(found: Sequence[Suggestion]) -> list[int]:
    return [one.index for one in found]


def test_margin_takes_what_is_nearest_to_the_threshold_first() -> None:
    found = suggest(list(SCORES), ["person"], n=4, model=StubExtractor(unsure))
    assert indices(found) == [1, 2, 0, 3]
    assert [round(one.score, 2) for one in found] == [0.9, 0.6, 0.1, 0.1]


def test_margin_counts_from_a_labels_own_threshold() -> None:
    labels = {"person": {"threshold": 0.95}}
    (best,) = suggest(list(SCORES), labels, n=1, model=StubExtractor(unsure))
    assert (best.text, best.score) == ("ann left", 1.0)


def test_entropy_adds_the_doubt_of_all_candidates() -> None:
    def script(query: Query) -> list[tuple[str, str, float]]:
        return [(word, "person", 0.5) for word in query.text.split()]

    found = suggest(
        ["ann", "ann bob cem", "ann bob"], ["person"], by="entropy", model=StubExtractor(script)
    )
    assert [(one.index, one.score) for one in found] == [(1, 3.0), (2, 2.0), (0, 1.0)]


def test_disagreement_of_models_takes_what_they_find_differently() -> None:
    def first(_: Query) -> list[tuple[str, str, float]]:
        return [("ann", "person", 0.9)]

    def second(query: Query) -> list[tuple[str, str, float]]:
        return first(query) if query.text == "ann left" else [("ann", "city", 0.9)]

    models = [StubExtractor(first), StubExtractor(second)]
    found = suggest(["ann left", "ann came"], ["person", "city"], by="disagreement", model=models)
    assert [(one.text, one.score) for one in found] == [("ann came", 1.0), ("ann left", 0.0)]


def test_one_model_disagrees_with_itself_where_the_order_of_labels_matters() -> None:
    def script(query: Query) -> list[tuple[str, str, float]]:
        sure = query.text == "ann left" or query.labels[0] == "city"
        return [("ann", "city" if sure else "person", 0.9)]

    texts = ["ann left", "ann came"]
    found = suggest(texts, ["person", "city"], by="disagreement", model=StubExtractor(script))
    assert indices(found) == [1, 0]
    assert found[1].score == 0
    with pytest.raises(ValueError, match="give model= a list of models"):
        suggest(texts, ["person"], by="disagreement", model=StubExtractor(script))


def test_diversity_takes_what_differs_from_what_was_taken(tmp_path: Path) -> None:
    same = ["bill gates founded microsoft", "bill gates founded microsoft."]
    texts = [*same, "paris paris paris 1 2 3", same[0]]
    found = suggest(texts, ["person"], by="diversity", model=tiny_model(tmp_path))
    assert sorted(indices(found)) == [0, 1, 2]
    assert 2 in indices(found)[:2]
    assert found[-1].score < found[1].score


def test_a_text_is_suggested_once_and_a_blank_one_never() -> None:
    texts = ["ann left", " ", "ann left", "bob left"]
    found = suggest(texts, ["person"], model=StubExtractor(unsure))
    assert indices(found) == [3, 0]
    assert all(texts[one.index] == one.text for one in found)
    assert suggest([" "], ["person"], model=StubExtractor(unsure)) == []


def test_a_pool_may_be_a_series_of_pandas_or_a_generator() -> None:
    """A Series that was filtered or sorted keeps its index, which says nothing of places."""
    pandas = pytest.importorskip("pandas")
    texts = ["ann left", "bob left"]
    expected = suggest(texts, ["person"], model=StubExtractor(unsure))
    for pool in (pandas.Series(texts, index=[1, 0]), (text for text in texts)):
        assert suggest(pool, ["person"], model=StubExtractor(unsure)) == expected


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": "luck"}, ValueError, "unknown strategy 'luck': choose from 'disagreement'"),
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"labels": []}, ValueError, "there are no labels"),
        ({"texts": "ann"}, TypeError, "texts must be several, got one str"),
        ({"texts": [3]}, TypeError, "text 0 must be str, got int"),
        ({"texts": [None]}, TypeError, "got NoneType; leave out what has no text"),
        ({"texts": {"ann left"}}, TypeError, "got set, which has no order; pass a list"),
        ({"texts": {"ann left": 1}}, TypeError, "read as its keys"),
        ({"by": "diversity"}, TypeError, "'diversity' needs a model with vectors"),
        ({"model": [StubExtractor(unsure)] * 2}, ValueError, "'margin' takes one model, not 2"),
    ],
)
def test_bad_input_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    given = {"texts": ["x"], "labels": ["person"], "model": StubExtractor(unsure), **options}
    with pytest.raises(error, match=message):
        suggest(given.pop("texts"), given.pop("labels"), **given)


def test_the_command_prints_indices_and_texts(tmp_path: Path) -> None:
    tiny_model(tmp_path / "encoder").save_pretrained(tmp_path / "model")
    pool = tmp_path / "pool.jsonl"
    pool.write_text('{"text": "bill gates"}\n{"text": "in paris"}\n', encoding="utf-8")
    command = ["suggest", str(pool), "--labels", "person, city", "--model", str(tmp_path / "model")]
    done = CliRunner().invoke(app, [*command, "-n", "1", "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stdout.startswith('{"index": ')
    assert len(done.stdout.splitlines()) == 1
