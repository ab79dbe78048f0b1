"""The shipped model learns a real domain from fifty sentences."""

from pathlib import Path

import pytest

from glinermt.eval.metrics.entities import span_f1
from glinermt.model import GlinerMT
from glinermt.training.adapt.fine_tuning import Tuning, fine_tune
from glinermt.training.config import Source
from glinermt.training.dev_scores import entity_examples
from glinermt.types import Example

DATA = Path(__file__).parents[1] / "data"


def politics(split: str) -> list[Example]:
    source = Source(f"crossner_politics.{split}.jsonl", "ner", exclude_labels=("miscellaneous",))
    return entity_examples(source, DATA)


@pytest.mark.slow
def test_fifty_sentences_of_a_domain_raise_its_dev_score() -> None:
    model, dev = GlinerMT.from_pretrained(), politics("dev")

    def score() -> float:
        return span_f1([e.spans for e in dev], model.extract([e.query for e in dev]))

    before = score()
    assert before > 0.2
    fine_tune(model, politics("train"), steps=40, tuning=Tuning(seed=0))
    assert score() > before + 0.02
