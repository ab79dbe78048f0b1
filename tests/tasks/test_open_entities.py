"""Open entities: the instruction is the prompt, and the label is ``match`` unless named."""

import pytest

from glinermt.config import TaskSettings
from glinermt.tasks import extract_open_entities
from glinermt.types import Query, Span
from tests.stub import StubExtractor

TEXT = "Apple sells the iPhone; Samsung sells the Galaxy."


def products(query: Query) -> list[tuple[str, str, float]]:
    if "Apple" in query.prompt:
        return [("iPhone", query.labels[0], 0.8)]
    return [("iPhone", query.labels[0], 0.8), ("Galaxy", query.labels[-1], 0.4)]


def test_the_instruction_says_what_is_found() -> None:
    model = StubExtractor(products)
    (span,) = extract_open_entities(TEXT, "all products of Apple", model=model)
    assert span == Span(16, 22, "iPhone", "match", 0.8)
    assert model.queries == [Query(TEXT, ("match",), "all products of Apple")]


def test_labels_sort_what_is_found() -> None:
    model = StubExtractor(products)
    labels = {"phone": "a telephone", "other": {"threshold": 0.3}}
    spans = extract_open_entities(TEXT, "all products", labels, model=model)
    assert [(span.text, span.label) for span in spans] == [("iPhone", "phone"), ("Galaxy", "other")]
    assert model.queries[0].labels == ("phone: a telephone", "other")


def test_the_models_wordings_and_threshold_are_used() -> None:
    settings = TaskSettings(
        thresholds={"open_entities": 0.3},
        prompts={"open_entities": "Extract: {instruction}"},
        labels={"open_entities": "entity"},
    )
    model = StubExtractor(products, settings=settings)
    spans = extract_open_entities(TEXT, "all {products}", model=model)
    assert model.queries[0] == Query(TEXT, ("entity",), "Extract: all {products}")
    assert [span.label for span in spans] == ["match", "match"]
    extract_open_entities(TEXT, "products", ["match", "brand"], model=model)
    assert model.queries[1].labels == ("match", "brand")


@pytest.mark.parametrize(
    ("instruction", "error", "message"),
    [
        ("", ValueError, "instruction is empty; say what you look for"),
        (" \n", ValueError, "instruction is empty"),
        (None, TypeError, "instruction must be str, got NoneType"),
        (7, TypeError, "instruction must be str, got int: 7"),
        (b"all", TypeError, "instruction must be str, got bytes"),
    ],
)
def test_an_instruction_that_says_nothing_is_refused(
    instruction: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        extract_open_entities(TEXT, instruction, model=StubExtractor(products))
