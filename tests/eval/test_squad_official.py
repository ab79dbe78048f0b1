"""Our SQuAD 2.0 numbers are those of the official script, on the sample's real questions."""

import random
from types import SimpleNamespace

import pytest
from transformers.data.metrics.squad_metrics import squad_evaluate  # the official script, ported

from glinermt.eval.benchmarks import SAMPLES
from glinermt.eval.benchmarks.squad2 import Squad2
from glinermt.eval.data.cases import QaCase
from glinermt.eval.scores import evaluate

THRESHOLD = 0.4
BENCHMARK = Squad2()
CASES = BENCHMARK.load(SAMPLES / "squad2")
Prediction = dict[str, object]


def predictions(seed: int) -> list[Prediction]:
    """Right, longer, shorter, wrong and odd answers of all scores."""
    rng = random.Random(seed)
    return [prediction(case, rng) for case in CASES]


def prediction(case: QaCase, rng: random.Random) -> Prediction:
    gold = rng.choice(case.answers or ("nothing",))
    words = gold.split()
    longer, shorter = f"The {gold.upper()}, and more", " ".join(words[: len(words) // 2 + 1])
    text = rng.choice([gold, longer, shorter, case.text[:40].strip(), "...", "a"])
    score = rng.random()
    return {"text": text, "score": score, "no_answer_score": 1 - score}


@pytest.mark.parametrize("seed", range(5))
def test_every_metric_is_the_official_one(seed: int) -> None:
    found = predictions(seed)
    official = squad_evaluate(
        [
            SimpleNamespace(qas_id=case.id, answers=[{"text": text} for text in case.answers])
            for case in CASES
        ],
        {case.id: p["text"] for case, p in zip(CASES, found, strict=True)},
        {case.id: p["no_answer_score"] for case, p in zip(CASES, found, strict=True)},
        1 - THRESHOLD,
    )
    settings = {"threshold": THRESHOLD}
    [result] = evaluate(BENCHMARK, CASES, {"model": found}, settings, rounds=1)
    ours = {name: 100 * metric.value for name, metric in result.metrics.items()}
    for name in ("exact", "f1", "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1"):
        assert ours[name] == pytest.approx(official[name]), name
    assert 0 < ours["NoAns_f1"] < 100
    extras = BENCHMARK.extras(CASES, found, settings)
    assert 100 * extras["best_f1"] == pytest.approx(official["best_f1"])


@pytest.mark.network
def test_the_package_evaluate_agrees() -> None:
    import evaluate as hub

    found = predictions(0)
    [result] = evaluate(BENCHMARK, CASES, {"model": found}, {"threshold": 0.0}, rounds=1)
    theirs = hub.load("squad_v2").compute(
        predictions=[
            {"id": c.id, "prediction_text": p["text"], "no_answer_probability": 0.0}
            for c, p in zip(CASES, found, strict=True)
        ],
        references=[
            {"id": c.id, "answers": {"text": list(c.answers), "answer_start": [0] * len(c.answers)}}
            for c in CASES
        ],
    )
    assert 100 * result.metrics["f1"].value == pytest.approx(theirs["f1"])
