"""Fine-tuning a tiny model."""

import itertools
import json
import lzma
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from glinermt.config import TaskSettings
from glinermt.errors import BackendError, DataError
from glinermt.eval.metrics.entities import span_f1
from glinermt.model import GlinerMT
from glinermt.tasks import answer
from glinermt.training.adapt.cli import register
from glinermt.training.adapt.fine_tuning import Tuning, fine_tune, learning_curve
from glinermt.training.adapt.self_training import SelfTraining
from glinermt.training.adapt.watching import Callback, TuningReport
from glinermt.training.config import Optim, Sampling
from glinermt.training.run.stepper import Stepper
from glinermt.training.shipped.domains import DOMAINS, PATH, few_shot, self_trained, table
from glinermt.types import Example, Query, Span
from tests.training.tiny import CITIES, NAMES, entity_rows, sentences, tuning


def f1(model: GlinerMT, examples: Sequence[Example]) -> float:
    return span_f1([e.spans for e in examples], model.extract([e.query for e in examples]))


def test_fine_tuning_raises_the_dev_score_and_keeps_the_best_weights(model: GlinerMT) -> None:
    train, dev = sentences(NAMES, CITIES[:3]), sentences(NAMES, CITIES[3:])
    report = fine_tune(model, train, steps=60, dev=dev, tuning=tuning())
    scores = dict(report.scores)
    assert scores[report.best_step] == max(scores.values()) > scores[0]
    assert f1(model, dev) == pytest.approx(scores[report.best_step])
    assert not model.training


def test_fine_tuning_without_a_dev_set_ends_with_the_last_weights(model: GlinerMT) -> None:
    report = fine_tune(model, sentences(NAMES, CITIES), steps=3, tuning=tuning())
    assert (report.steps, report.best_step, report.scores) == (3, 3, ())


def test_a_single_step_learns(model: GlinerMT) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fine_tune(model, sentences(NAMES, CITIES), steps=1)
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_example_that_asks_for_nothing_is_an_error(model: GlinerMT) -> None:
    with pytest.raises(ValueError, match="an example asks for no label: 'ann left'"):
        fine_tune(model, [Example(Query("ann left", ()), ())], steps=1)


def seen_queries(model: GlinerMT, monkeypatch: pytest.MonkeyPatch) -> list[Query]:
    """Return a list that fills with what the model is trained on."""
    seen: list[Query] = []
    collate = model.collate

    def watched(examples: Sequence[Example], **options: Any) -> Any:
        seen.extend(example.query for example in examples)
        return collate(examples, **options)

    monkeypatch.setattr(model, "collate", watched)
    return seen


def test_rare_labels_are_seen_more_often(model: GlinerMT, monkeypatch: pytest.MonkeyPatch) -> None:
    common = sentences(NAMES, CITIES)[:15]
    rare = Example(Query("kim visits river", ("river",)), (Span(11, 16, "river", "river"),))
    shares = []
    for balance in (0.0, 1.0):
        with monkeypatch.context() as patch:
            seen = seen_queries(model, patch)
            fine_tune(model, [*common, rare], steps=10, tuning=tuning(balance=balance))
        shares.append(sum(query.text == rare.query.text for query in seen) / len(seen))
    # 1 of 16 examples; with sqrt(16) copies 4 of 19 or a few more where others are repeated too.
    assert shares[0] < 0.13 < shares[1] < 0.35


def test_what_the_model_wrongly_finds_is_asked_more_often(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = ("person", "city", "river")
    rows = [
        replace(row, query=replace(row.query, labels=labels)) for row in sentences(NAMES, CITIES)
    ]
    wrong = rows[3].query.text

    def extract(queries: Sequence[Query], **_: Any) -> list[list[Span]]:
        river = Span(0, 3, wrong[:3], "river", 0.9)
        return [[river] if query.text == wrong else [] for query in queries]

    monkeypatch.setattr(model, "extract", extract)
    seen = seen_queries(model, monkeypatch)
    sampling = Sampling(max_negatives=0)  # else the label would be asked by chance, too
    fine_tune(model, rows, steps=10, tuning=tuning(hard_share=0.5, sampling=sampling))
    asked = [query for query in seen if "river" in query.labels]
    assert {query.text for query in asked} == {wrong}
    assert 0.3 < len(asked) / len(seen) < 0.7


def test_shares_that_leave_nothing_for_the_examples_are_refused(model: GlinerMT) -> None:
    rows = sentences(NAMES, CITIES)
    with pytest.raises(ValueError, match="hard_share and replay_share together must be below 1"):
        fine_tune(model, rows, replay=rows, tuning=tuning(hard_share=0.8, replay_share=0.3))


def words(query: Query) -> tuple[str, str, tuple[str, ...]]:
    return query.text, query.prompt, query.labels


def test_a_model_learns_the_prompts_it_is_asked_with(
    model: GlinerMT, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.settings = TaskSettings(
        prompts={"answer": "Answer this: {question}"}, labels={"answer": "reply"}
    )
    learned: set[tuple[str, str, tuple[str, ...]]] = set()
    collate = model.collate

    def seen(examples: Sequence[Example], **options: Any) -> Any:
        learned.update(words(example.query) for example in examples)
        return collate(examples, **options)

    monkeypatch.setattr(model, "collate", seen)
    text = "Ann lives in Paris"
    gold = (Span(13, 18, "Paris", "answer"),)
    fine_tune(model, [Example(Query(text, ("answer",), "Where?"), gold, "answer")], steps=1)
    asked: list[Query] = []
    extract = model.extract

    def spied(queries: Sequence[Query], **options: Any) -> Any:
        asked.extend(queries)
        return extract(queries, **options)

    monkeypatch.setattr(model, "extract", spied)
    answer("Where?", text, model=model)
    assert learned == set(map(words, asked)) == {(text, "Answer this: Where?", ("reply",))}


def test_fine_tuning_stops_when_the_score_no_longer_rises(model: GlinerMT) -> None:
    still = tuning(optim=Optim(encoder_lr=0.0, other_lr=0.0), evaluations=10, patience=2)
    examples = sentences(NAMES[:1], CITIES[:1])
    report = fine_tune(model, examples, steps=100, dev=examples, tuning=still)
    assert (report.steps, report.best_step) == (20, 0)


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ({"head_only": True}, "encoder.encoder."),
        ({"frozen_layers": 1}, "encoder.encoder.embeddings"),
    ],
)
def test_parts_that_are_frozen_stay_as_they_are(
    model: GlinerMT, change: dict[str, Any], still: str
) -> None:
    before = state_of(model)
    fine_tune(model, sentences(NAMES, CITIES), steps=3, tuning=tuning(**change))
    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert changed
    assert not [name for name in changed if name.startswith(still)]
    assert all(parameter.requires_grad for parameter in model.parameters())


class Watcher(Callback):
    """Writes down what it is told, and ends after a step."""

    def __init__(self, end: int) -> None:
        self.end, self.steps, self.scores = end, [], []  # type: ignore[var-annotated]
        self.report: TuningReport | None = None

    def on_step(self, step: int, loss: float) -> bool:
        self.steps.append((step, loss))
        return step == self.end

    def on_score(self, step: int, score: float) -> None:
        self.scores.append((step, score))

    def on_end(self, report: TuningReport) -> None:
        self.report = report


def test_callbacks_see_steps_and_scores_and_can_end_it(model: GlinerMT) -> None:
    watcher = Watcher(end=5)
    examples = sentences(NAMES, CITIES)
    settings = tuning(evaluations=5, patience=0)
    report = fine_tune(
        model, examples, steps=10, dev=examples, tuning=settings, callbacks=[watcher]
    )
    assert report == watcher.report
    assert report.steps == 5
    assert [step for step, _ in watcher.steps] == [1, 2, 3, 4, 5]
    assert watcher.scores == list(report.scores)
    losses = [loss for _, loss in watcher.steps]
    expected = [sum(losses[:2]) / 2, sum(losses[2:4]) / 2, losses[4]]
    assert [step for step, _ in report.losses] == [2, 4, 5]
    assert [loss for _, loss in report.losses] == pytest.approx(expected)


def test_a_learning_curve_rises_with_examples_and_leaves_the_model(model: GlinerMT) -> None:
    before = state_of(model)
    examples = sentences(NAMES, CITIES)
    curve = learning_curve(
        model, examples, examples[:6], sizes=(1, 16), steps=30, tuning=tuning(patience=0)
    )
    assert [size for size, _ in curve] == [0, 1, 16]
    assert curve[0][1] < curve[2][1]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    with pytest.raises(ValueError, match="sizes must be from 1 to 16, not"):
        learning_curve(model, examples, examples, sizes=(0, 17))


def state_of(model: GlinerMT) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("lora_rank", [0, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_model_whose_tuning_fails_is_as_it_was(
    model: GlinerMT,
    monkeypatch: pytest.MonkeyPatch,
    lora_rank: int,
    error: type[BaseException],
) -> None:
    before, kinds = state_of(model), [type(module) for module in model.modules()]
    model.eval()
    model.head.train()
    model.encoder.encoder.embeddings.requires_grad_(False)
    frozen = [parameter.requires_grad for parameter in model.parameters()]
    steps = itertools.count()
    step = Stepper.step

    def failing(self: Stepper, *arguments: Any, **more: Any) -> float:
        if next(steps) == 2:
            raise error
        return step(self, *arguments, **more)

    monkeypatch.setattr(Stepper, "step", failing)
    settings = tuning(lora_rank=lora_rank)
    with pytest.raises(error):
        fine_tune(model, sentences(NAMES, CITIES), steps=5, tuning=settings)
    assert [type(module) for module in model.modules()] == kinds
    assert model.state_dict().keys() == before.keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert (model.training, model.head.training) == (False, True)
    assert [parameter.requires_grad for parameter in model.parameters()] == frozen
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_what_the_caller_froze_stays_frozen_and_unchanged(model: GlinerMT, lora_rank: int) -> None:
    model.encoder.encoder.embeddings.requires_grad_(False)
    table = model.encoder.encoder.embeddings.word_embeddings.weight
    before = table.clone()
    settings = tuning(lora_rank=lora_rank)
    fine_tune(model, sentences(NAMES, CITIES), steps=3, tuning=settings)
    assert not table.requires_grad
    assert torch.equal(table, before)


def test_fine_tuning_leaves_the_callers_random_numbers_alone(model: GlinerMT) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fine_tune(model, sentences(NAMES, CITIES), steps=2, tuning=tuning(lora_rank=2))
    assert torch.equal(torch.rand(4), expected)


def test_a_missing_peft_names_the_extra(model: GlinerMT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(BackendError, match=r"pip install 'glinermt\[training\]'"):
        fine_tune(model, sentences(NAMES, CITIES), steps=2, tuning=tuning(lora_rank=2))


def test_replay_is_learned_along(model: GlinerMT) -> None:
    examples = sentences(NAMES, CITIES)
    other = [Example(Query("ann visits rome .", ("river",)), ())]
    report = fine_tune(model, examples, steps=20, replay=other, tuning=tuning(replay_share=0.5))
    assert report.steps == 20


def test_adapters_are_merged_and_leave_an_ordinary_model(model: GlinerMT, tmp_path: Path) -> None:
    names = set(model.state_dict())
    examples = sentences(NAMES, CITIES)
    fine_tune(model, examples, steps=40, dev=examples[:4], tuning=tuning(lora_rank=4))
    assert set(model.state_dict()) == names
    assert all(p.requires_grad for p in model.parameters())
    model.save_pretrained(tmp_path / "saved")
    assert f1(GlinerMT.from_pretrained(tmp_path / "saved"), examples) == f1(model, examples) > 0


@pytest.mark.parametrize(("number", "steps"), [(0, 5), (1, 0)])
def test_nothing_to_learn_is_an_error(model: GlinerMT, number: int, steps: int) -> None:
    with pytest.raises(ValueError, match=r"no examples|at least 1, got 0"):
        fine_tune(model, sentences(NAMES, CITIES)[:number], steps=steps)


ONE = sentences(NAMES, CITIES)[0]


@pytest.mark.parametrize(
    ("slip", "message"),
    [
        ({"examples": "train.jsonl"}, r"examples must be a list of Examples, got 'train.jsonl'"),
        ({"examples": ONE}, r"examples must be a list of Examples, got one; write \[example\]"),
        ({"examples": [ONE.to_dict()]}, "examples 0 must be an Example, got dict; Example.from"),
        ({"dev": ["ann lives in rome ."]}, "dev 0 must be an Example, got str"),
        (
            {"examples": [replace(ONE, spans=(Span(0, 3, "bob", "person"),))]},
            "examples 0: span 'bob' is not at 0:3, where the text has 'ann'",
        ),
        (
            {"examples": [replace(ONE, spans=(Span(0, 3, "ann", "name"),))]},
            "examples 0: span 'ann' has the label 'name', which is not among those asked: 'person'",
        ),
        (
            {"examples": [Example(Query("ann", "person"), ())]},  # type: ignore[arg-type]
            "examples 0: labels must be several strings, got 'person'",
        ),
        ({"tuning": {"lora_rank": 8}}, r"tuning must be a Tuning, got .*; write Tuning\(lora_rank"),
        ({"tuning": Tuning(balance=20)}, "tuning: balance: should be less than or equal to 1"),
        ({"tuning": Tuning(lora_rank="8")}, "tuning: lora_rank: should be a valid integer"),  # type: ignore[arg-type]
        ({"callbacks": [print]}, "a callback must be an object of a subclass of Callback, got"),
        ({"steps": "10"}, "steps must be a whole number, got '10'"),
        ({"model": "my-model"}, r"must be loaded: GlinerMT.from_pretrained\('my-model'\)"),
    ],
)
def test_a_slip_is_named(model: GlinerMT, slip: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"model": model, "examples": [ONE], "steps": 1, **slip}
    with pytest.raises((TypeError, ValueError), match=message):
        fine_tune(**given)


def test_the_command_writes_the_model_and_a_report(model: GlinerMT, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "model")
    for name, examples in (("e", sentences(NAMES, CITIES[:3])), ("d", sentences(NAMES, CITIES))):
        lines = "".join(json.dumps(example.to_dict()) + "\n" for example in examples)
        (tmp_path / f"{name}.jsonl").write_text(lines)
    app = typer.Typer()
    register(app)
    arguments = ["fine-tune", "--model", str(tmp_path / "model"), "--steps", "2"]
    arguments += ["--examples", str(tmp_path / "e.jsonl"), "--replay", str(tmp_path / "d.jsonl")]
    arguments += ["--dev", str(tmp_path / "d.jsonl"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [step for step, _ in report["scores"]] == [0, 1, 2]
    GlinerMT.from_pretrained(tmp_path / "out")
    told = done.stdout.splitlines()[-1]
    assert told.startswith(f"{tmp_path / 'out'}: the model is written")
    assert told.endswith(f"--model {tmp_path / 'out'}")
    curve = [*arguments[:-1], str(tmp_path / "curve"), "--curve", "1,4", "--head-only"]
    done = CliRunner().invoke(app, curve)
    assert [line.split()[0] for line in done.output.splitlines()] == ["0", "1", "4"]
    assert not (tmp_path / "curve/model.safetensors").exists()
    refused = CliRunner().invoke(app, [*curve[:-2], "ten"])
    assert "--curve 'ten': expected numbers of examples" in str(refused.exception)
    (tmp_path / "file").write_text("")
    refused = CliRunner().invoke(app, [*arguments[:-1], str(tmp_path / "file")])
    assert isinstance(refused.exception, DataError)
    assert "a file; name a folder" in str(refused.exception)
    assert "F1" not in refused.output
    refused = CliRunner().invoke(app, arguments)
    assert isinstance(refused.exception, DataError)
    assert "holds a model (glinermt_config.json), which would be lost" in str(refused.exception)
    assert CliRunner().invoke(app, [*arguments, "--overwrite"]).exit_code == 0
    refused = CliRunner().invoke(app, [*arguments[:-1], str(tmp_path / "model")])
    assert "which would be lost" in str(refused.exception)


def test_moving_to_domains_is_measured_on_their_test_files(model: GlinerMT, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "model")
    for domain in DOMAINS:
        for split in ("train", "dev", "test"):
            path = tmp_path / PATH.format(domain=domain, split=split)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(json.dumps(row) + "\n" for row in entity_rows())
            path.write_bytes(lzma.compress(text.encode()))

    def load() -> GlinerMT:
        return GlinerMT.from_pretrained(tmp_path / "model")

    moved = few_shot(load, tmp_path, number=4, steps=2, limit=3)
    assert [row.domain for row in moved] == list(DOMAINS)
    assert all(row.before == row.others_before for row in moved)  # the files are the same
    settings = SelfTraining(steps=1, threshold=0.01, margin=0.0)
    rows = self_trained(load, tmp_path, settings=settings, limit=3)
    assert "texts, " in table("T", rows)
