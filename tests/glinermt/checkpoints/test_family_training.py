"""Published checkpoints of families with rows of their own are fine-tuned, saved and loaded."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glinermt.model import GlinerMT
from glinermt.training import fine_tune
from glinermt.training.adapt.fine_tuning import Tuning
from glinermt.types import Ask, Example, Query, Relation, Span
from tests.glinermt.checkpoints.peer_cases import FIXTURES

NAMES, CITIES = ("bill", "gates"), ("paris", "oslo", "rome", "lima")
LABELS, RELATIONS = ("person", "city", "river"), ("lives in", "left")


def span(text: str, word: str, label: str) -> Span:
    start = text.index(word)
    return Span(start, start + len(word), word, label)


def examples(relations: tuple[str, ...] = ()) -> list[Example]:
    """Who lives in a city and who left it: only the order of words tells."""
    found = []
    for first, second in (NAMES, NAMES[::-1]):
        for city in CITIES:
            text = f"{first} lives in {city} . {second} left ."
            people = [span(text, name, "person") for name in (first, second)]
            place = span(text, city, "city")
            holding = (
                Relation(people[0], "lives in", place),
                Relation(people[1], "left", place),
            )
            query = Query(text, LABELS, relations=relations)
            found.append(Example(query, (*people, place), relations=holding if relations else ()))
    return found


def learned(model: GlinerMT, gold: list[Example]) -> list[tuple[object, ...]]:
    """Return what the model finds in the examples, in the form of ``wanted``."""
    found = model.read([example.query for example in gold], Ask(span_score="min"))
    return [
        (
            {(s.start, s.end, s.label) for s in one.spans},
            {(r.head.start, r.label, r.tail.start) for r in one.relations},
        )
        for one in found
    ]


def wanted(gold: list[Example]) -> list[tuple[object, ...]]:
    return [
        (
            {(s.start, s.end, s.label) for s in example.spans},
            {(r.head.start, r.label, r.tail.start) for r in example.relations},
        )
        for example in gold
    ]


def without_dropout(name: str) -> GlinerMT:
    model = GlinerMT.from_pretrained(FIXTURES / name / "checkpoint")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def learn(model: GlinerMT, gold: list[Example], steps: int) -> tuple[float, float]:
    """Train on all examples at once; return the loss before and after."""
    model.train()
    batch = model.collate(gold)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.loss(batch).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    model.eval()
    return losses[0], losses[-1]


@pytest.mark.parametrize(
    ("name", "relations"), [("biencoder/token", ()), ("relex/token_mlp", RELATIONS)]
)
def test_a_published_checkpoint_learns_eight_examples_and_keeps_them(
    name: str, relations: tuple[str, ...], tmp_path: Path
) -> None:
    model, gold = without_dropout(name), examples(relations)
    assert learned(model, gold) != wanted(gold)
    learn(model, gold, 45)
    assert learned(model, gold) == wanted(gold)
    model.save_pretrained(tmp_path)
    assert learned(GlinerMT.from_pretrained(tmp_path), gold) == wanted(gold)


@pytest.mark.parametrize(
    "name",
    ["biencoder/span_v2", "relex/span_gcn", "variants/token_t5_max_spans", "variants/query"],
)
def test_the_loss_of_every_trained_layout_falls(name: str) -> None:
    """Span heads, graph layers over mentions, span vectors of proposals, poolings."""
    model = without_dropout(name)
    before, after = learn(model, examples(RELATIONS if name.startswith("relex") else ()), 12)
    assert after < 0.7 * before


def test_a_relation_is_learned_from_mentions_alone() -> None:
    model = without_dropout("relex/token_mlp")
    gold = [replace(e, query=replace(e.query, labels=()), spans=()) for e in examples(RELATIONS)]
    losses = model.loss(model.collate(gold)).detach()
    assert len(losses) == len(gold)
    assert (losses > 0).all()


def test_only_the_encoder_of_a_bi_encoder_may_stay_as_it_is() -> None:
    model = without_dropout("biencoder/token")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    fine_tune(model, examples(), steps=2, tuning=Tuning(head_only=True))
    changed = {
        n.split(".")[0] for n, w in model.state_dict().items() if not torch.equal(w, before[n])
    }
    assert changed == {"head", "label_projection"}  # both encoders are frozen


@pytest.mark.parametrize(
    "name", ["gliner2/count_lstm", "gliner25/shared", "gliformer/text_default"]
)
def test_other_families_say_that_they_are_not_fine_tuned(name: str) -> None:
    model = GlinerMT.from_pretrained(FIXTURES / name / "checkpoint")
    with pytest.raises(TypeError, match="cannot be fine-tuned here; fine-tune a GLiNER, bi-enc"):
        fine_tune(model, examples(), steps=1)
