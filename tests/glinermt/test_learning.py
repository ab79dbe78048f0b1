"""A tiny model learns eight examples by heart, with each head."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from glinermt.heads.class_ import choice_loss
from glinermt.model import GlinerMT
from glinermt.network import bce_loss
from glinermt.types import Ask, Example, Query, Relation, Span
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


def related_examples() -> list[Example]:
    """Two names and a city, in which only the order of words says who lives there."""
    found = []
    for first, second in (("bill", "gates"), ("gates", "bill")):
        for city in ("paris", "oslo", "rome", "lima"):
            text = f"{first} lives in {city} . {second} left ."
            starts = [(word, text.index(word)) for word in (first, city, second)]
            spans = [Span(start, start + len(word), word, "") for word, start in starts]
            relations = (
                Relation(spans[0], "lives in", spans[1]),
                Relation(spans[2], "left", spans[1]),
            )
            query = Query(text, relations=("lives in", "left", "knows"), entities=tuple(spans))
            found.append(Example(query, (), "relations", relations=relations))
    return found


def train(model: GlinerMT, gold: list[Example], *, steps: int) -> None:
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batch = model.train().collate(gold)
    for _ in range(steps):
        optimizer.zero_grad()
        model.loss(batch).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()


def test_a_tiny_model_learns_eight_examples_of_relations(tmp_path: Path) -> None:
    model, gold = tiny_model(tmp_path).with_heads(classes=False), related_examples()
    train(model, gold, steps=150)
    found = model.read([example.query for example in gold], Ask())
    assert [set(map(places, f.relations)) for f in found] == [
        set(map(places, example.relations)) for example in gold
    ]


def places(relation: Relation) -> tuple[int, str, int]:
    return relation.head.start, relation.label, relation.tail.start


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("reading", ["joint", "apart"])
def test_a_tiny_model_learns_eight_examples_of_classes(
    tmp_path: Path, multi_label: bool, reading: Literal["joint", "apart"]
) -> None:
    model = tiny_model(tmp_path).with_heads(relations=False, class_reading=reading)
    names = ("paris", "city", "person", "answer")
    gold = []
    for i, word in enumerate(("oslo", "rome", "lima", "bill", "gates", "in", "the", "x")):
        classes = (names[i % 4], names[(i + 1) % 4])[: 1 + multi_label]
        query = Query(f"{word} is {word}", classes=names)
        gold.append(Example(query, (), "classify", classes=classes, multi_label=multi_label))
    train(model, gold, steps=200)
    for example, found in zip(gold, model.read([e.query for e in gold], Ask()), strict=True):
        best = sorted(found.classes, key=found.classes.__getitem__)[-len(example.classes) :]
        assert set(best) == set(example.classes)
        if multi_label:
            assert {c for c, logit in found.classes.items() if logit > 0} == set(example.classes)


def test_pairs_that_nobody_judged_do_not_count(tmp_path: Path) -> None:
    model = tiny_model(tmp_path).with_heads(classes=False)
    example = related_examples()[0]
    everything = model.collate([example]).relations
    assert everything is not None
    assert everything.valid.sum() == 6 * 3
    assert everything.targets.sum() == 2
    some = model.collate([replace(example, judged=((0, 2),))]).relations
    assert some is not None
    assert some.valid.sum() == 3 * 3  # the pair judged, and the two that gold relations join
    assert some.targets.sum() == 2


def test_judged_pairs_need_entities(tmp_path: Path) -> None:
    model = tiny_model(tmp_path).with_heads(classes=False)
    query = Query("bill in paris", relations=("in",))
    with pytest.raises(ValueError, match="judged pairs count the query's entities"):
        model.collate([Example(query, (), judged=((0, 1),))])


@pytest.mark.parametrize("head", ["token", "span"])
def test_silent_ranges_do_not_count_but_for_what_is_known_there(tmp_path: Path, head: str) -> None:
    model = tiny_model(tmp_path, head=head)
    query = Query("bill gates in paris today", ("person", "city"))
    paris = Span(14, 19, "paris", "city")
    known = model.collate([Example(query, (paris,), silent=((11, 25),))])
    everything = model.collate([Example(query, (paris,))])
    assert torch.equal(known.targets, everything.targets)
    lost = everything.valid & ~known.valid
    assert not lost[:, :2, :, 0].any()  # words before the range, spans of one word
    assert lost[0, 2:, 0, 0].tolist() == [True, True, True]  # a person may be there
    assert lost[0, 2:, 1, 0].tolist() == [True, False, True]  # the city is known
    if head == "span":
        assert lost[0, 1, 0].tolist() == [False, True, True, True]  # it would reach into the range


def test_a_document_of_relations_weighs_by_the_root_of_their_number(tmp_path: Path) -> None:
    model = tiny_model(tmp_path).with_heads(classes=False)
    one, *rest = related_examples()
    losses = model.network.losses(model.collate([one]))
    assert losses.spans.tolist() == [0.0]
    assert losses.classes.tolist() == [0.0]
    gold = model.collate([one]).relations
    assert gold is not None
    logits = model.network.relate(model.network(model.collate([one]).batch), gold.pairs)
    expected = bce_loss(logits, gold.targets, gold.valid).sum() / 2**0.5
    torch.testing.assert_close(losses.relations[0], expected)
    together = model.network.losses(model.collate([one, *rest])).relations
    torch.testing.assert_close(together[0], expected)


def test_a_choice_among_relations_is_learned_besides_where_asked(tmp_path: Path) -> None:
    model = tiny_model(tmp_path).with_heads(classes=False)
    batch = model.collate(related_examples()[:1])
    assert batch.relations is not None
    gold = batch.relations
    plain = model.network.losses(batch).relations
    logits = model.network.relate(model.network(batch.batch), gold.pairs)
    choice = choice_loss(logits, gold.targets, gold.valid).sum() / 2**0.5
    assert choice > 0
    together = model.network.losses(batch, relation_choice=0.5).relations
    torch.testing.assert_close(together[0], plain[0] + 0.5 * choice)


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
