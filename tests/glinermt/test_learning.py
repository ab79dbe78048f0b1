"""A tiny model learns eight examples by heart, with each head."""

from pathlib import Path

import pytest
import torch

from glinermt.types import Example, Query, Span
from tests.tiny_models import tiny_model


def examples() -> list[Example]:
    found = []
    for name in ("bill", "gates"):
        for city in ("paris", "oslo", "rome", "lima"):
            text = f"{name} lives in {city} ."
            at = text.index(city)
            spans = (
                Span(0, len(name), name, "person"),
                Span(at, at + 4 + (city == "paris"), city, "city"),
            )
            found.append(Example(Query(text, ("person", "city", "river")), spans))
    return found


@pytest.mark.parametrize("head", ["token", "span"])
def test_a_tiny_model_overfits_eight_examples(tmp_path: Path, head: str) -> None:
    model = tiny_model(tmp_path, head=head).train()
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    gold = examples()
    batch = model.collate(gold)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(batch).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    found = model.extract([example.query for example in gold])
    places = [{(s.start, s.end, s.label) for s in spans} for spans in found]
    assert places == [{(s.start, s.end, s.label) for s in example.spans} for example in gold]


def test_a_long_example_trains_in_windows_and_loses_no_span(tmp_path: Path) -> None:
    model = tiny_model(tmp_path, kind="bert")
    text = "in " * 60 + "paris"
    span = Span(len(text) - 5, len(text), "paris", "city")
    batch = model.collate([Example(Query(text, ("city",)), (span,))])
    assert len(batch.example) > 1
    assert batch.targets.sum() == 3  # start, end and inside of one word
    assert model.loss(batch).shape == (1,)


def test_padding_and_prompt_do_not_count_in_the_loss(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    short = Example(Query("bill in paris", ("city",), "the answer"), ())
    long = Example(Query("bill " * 20, ("city", "person")), ())
    together = model.loss(model.collate([short, long]))
    torch.testing.assert_close(together[0], model.loss(model.collate([short]))[0])
    assert model.collate([short]).valid.sum() == 3 * 3


def test_a_span_inside_a_word_takes_the_whole_word(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    example = Example(Query("in Paris today", ("city",)), (Span(3, 6, "Par", "city"),))
    target = model.collate([example]).targets[0, :, 0]
    assert target.tolist() == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
