"""Distillation: a student learns a teacher's scores."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from glinermt.errors import ConfigError, UntrainableError
from glinermt.jsonl import read_jsonl
from glinermt.model import GlinerMT
from glinermt.training.adapt import distill as module
from glinermt.training.adapt.cli import register
from glinermt.training.adapt.distill import Distillation, DistillationReport, distill
from glinermt.training.adapt.fine_tuning import fine_tune
from glinermt.training.adapt.self_training import self_train
from glinermt.training.config import Optim
from glinermt.training.run.loop import Stop
from glinermt.types import Query
from tests.stub import StubExtractor
from tests.training.tiny import CITIES, NAMES, sentences, tuning

EXAMPLES = sentences(NAMES, CITIES)
TEXTS = [example.query.text for example in EXAMPLES]
LABELS = ["person", "city"]
FAST = Optim(encoder_lr=5e-3, other_lr=1e-2, warmup=0.1)


@pytest.fixture
def student(model: GlinerMT, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path / "student")
    return tmp_path / "student"


def unsure(query: Query) -> list[tuple[str, str, float]]:
    """Name the person at 0.7 and the city at 0.95."""
    name, _, _, city, _ = query.text.split()
    return [(name, "person", 0.7), (city, "city", 0.95)]


def settings(**changes: object) -> Distillation:
    return Distillation(**{"steps": 60, "optim": FAST, **changes})  # type: ignore[arg-type]


def test_the_student_learns_what_and_how_sure_the_teacher_is(student: Path, tmp_path: Path) -> None:
    report = distill(
        StubExtractor(unsure), TEXTS, LABELS, student=student, out=tmp_path / "out",
        dev=EXAMPLES[:4], settings=settings(steps=120),
    )  # fmt: skip
    assert report.finished
    assert report.spans == {"city": 16, "person": 16}
    assert report.after == 1.0 > report.before
    assert report.labels["person"][1] == 1.0
    assert report.model is not None
    learned = GlinerMT.from_pretrained(report.model.with_name("last"))
    [spans] = learned.extract([Query(TEXTS[0], ("person", "city"))])
    scores = {span.label: span.score for span in spans}
    assert scores["person"] == pytest.approx(0.7, abs=0.1)
    assert scores["city"] == pytest.approx(0.95, abs=0.05)


def test_the_temperature_softens_what_is_taught(student: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    distill(
        StubExtractor(unsure), TEXTS[:2], LABELS, student=student, out=out,
        settings=settings(steps=1, temperature=2.0),
    )  # fmt: skip
    [row, _] = [row for _, row in read_jsonl(out / "annotations.jsonl")]
    # ln(0.7 / 0.3) / 2 and ln(0.95 / 0.05) / 2, as scores
    assert [span["score"] for span in row["spans"]] == [0.6, 0.81]


class EndsAt(Stop):
    """Its time is up at the question of that number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number

    @property
    def asked(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_a_run_stopped_and_resumed_equals_one_in_one_go(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 5)

    def started(out: str, stop: Stop, resume: bool) -> DistillationReport:
        return distill(
            StubExtractor(unsure), TEXTS, LABELS, student=student, out=tmp_path / out,
            gold=EXAMPLES[:3], settings=settings(steps=6), resume=resume, stop=stop,
        )  # fmt: skip

    whole = started("whole", Stop(), False)
    first = started("parts", EndsAt(2), False)  # two chunks of texts
    assert (first.finished, first.num_texts) == (False, 10)
    lines = tmp_path / "parts/annotations.jsonl"
    lines.write_bytes(lines.read_bytes() + b'{"text": "cut off by a ki')
    second = started("parts", EndsAt(5), True)  # the two that are left, and some steps
    assert (second.finished, second.num_texts) == (False, 16)
    last = started("parts", Stop(), True)
    assert last.finished
    assert whole.model is not None
    assert last.model is not None
    one, other = (GlinerMT.from_pretrained(report.model).state_dict() for report in (whole, last))
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_another_distillation_in_the_folder_is_not_gone_on_with(
    student: Path, tmp_path: Path
) -> None:
    def begin(labels: list[str], resume: bool) -> None:
        distill(
            StubExtractor(unsure), TEXTS[:2], labels, student=student, out=tmp_path / "out",
            settings=settings(steps=1), resume=resume,
        )  # fmt: skip

    begin(LABELS, False)
    with pytest.raises(ConfigError, match="holds a distillation: resume it"):
        begin(LABELS, False)
    with pytest.raises(ConfigError, match="was begun with other labels"):
        begin([*LABELS, "river"], True)


def test_overwriting_begins_anew_and_removes_nothing_else(student: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def begin(name: str, of: Path = student, **options: Any) -> DistillationReport:
        return distill(
            StubExtractor(unsure), TEXTS, LABELS, student=of, out=tmp_path / name,
            settings=settings(steps=2), **options,
        )  # fmt: skip

    distill(
        StubExtractor(unsure), TEXTS[:2], ["city", "person"], student=student, out=out,
        gold=EXAMPLES[:1], dev=EXAMPLES[:4], settings=settings(steps=30, evaluations=2),
    )  # fmt: skip
    assert (out / "run/best").exists()
    notes = [out / "notes.txt", out / "run/notes.txt"]
    for note in notes:
        note.write_text("mine")
    with pytest.raises(ValueError, match="is part of the distillation in"):
        begin("out", out / "run/last", overwrite=True)
    anew, whole = begin("out", overwrite=True), begin("whole", overwrite=True)
    assert (anew.finished, anew.spans) == (True, {"city": 16, "person": 16})
    assert [note.read_text() for note in notes] == ["mine", "mine"]
    assert not (out / "gold.jsonl").exists()
    assert not (out / "run/best").exists()
    lines = [tmp_path / name / "annotations.jsonl" for name in ("out", "whole")]
    assert lines[0].read_text() == lines[1].read_text()
    metrics = [tmp_path / name / "run/metrics.jsonl" for name in ("out", "whole")]
    steps = [[row["step"] for _, row in read_jsonl(file)] for file in metrics]
    assert steps[0] == steps[1]
    assert anew.model is not None
    assert whole.model is not None
    weights = [GlinerMT.from_pretrained(each.model).state_dict() for each in (anew, whole)]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_no_other_teacher_goes_on_with_what_one_began(
    model: GlinerMT, student: Path, tmp_path: Path
) -> None:
    def go_on(teacher: GlinerMT, of: Path = student) -> None:
        distill(
            teacher, TEXTS[:2], LABELS, student=of, out=tmp_path / "out",
            settings=settings(steps=1), resume=True,
        )  # fmt: skip

    go_on(model)
    go_on(model)
    other = GlinerMT.from_pretrained(student)
    with torch.no_grad():
        next(iter(other.parameters())).add_(1)
    with pytest.raises(ConfigError, match="was begun with other teacher"):
        go_on(other)
    shutil.copytree(student, tmp_path / "another")
    with pytest.raises(ConfigError, match="was begun with other student"):
        go_on(model, tmp_path / "another")


def test_a_result_no_better_than_the_start_is_refused(student: Path, tmp_path: Path) -> None:
    wrong = StubExtractor(lambda query: [(query.text.split()[1], "person", 0.9)])
    report = distill(
        wrong, TEXTS, LABELS, student=student, out=tmp_path / "out", dev=EXAMPLES[:4],
        settings=settings(steps=20),
    )  # fmt: skip
    assert (report.finished, report.refused, report.model) == (True, True, None)


def test_an_export_learns_nothing_and_says_so_before_the_teacher_annotates(
    student: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    GlinerMT.from_pretrained(student).export_onnx(tmp_path / "export")
    exported = GlinerMT.from_pretrained(tmp_path / "export")
    teacher, texts = StubExtractor(unsure), [f"{name} left ." for name in NAMES]
    message = "fine-tune the model that this one was made from"
    with pytest.raises(UntrainableError, match=message):
        distill(teacher, texts, ["person"], student=tmp_path / "export", out=tmp_path / "out")
    with pytest.raises(UntrainableError, match=message):
        self_train(exported, texts, ["person"])
    with pytest.raises(UntrainableError, match=message):
        fine_tune(exported, sentences(NAMES[:1], CITIES[:1]), steps=1)
    assert not teacher.calls
    assert not (tmp_path / "out").exists()


def test_a_teacher_that_finds_nothing_is_an_error(student: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scores nothing in 16 texts at 0\.1 or more"):
        distill(StubExtractor(lambda _: []), TEXTS, LABELS, student=student, out=tmp_path / "out")


def test_the_command_writes_the_student(student: Path, tmp_path: Path) -> None:
    teacher = GlinerMT.from_pretrained(student)
    fine_tune(teacher, EXAMPLES, steps=60, tuning=tuning())
    teacher.save_pretrained(tmp_path / "teacher")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("\n".join(TEXTS))
    app = typer.Typer()
    register(app)
    arguments = ["distill", "--teacher", str(tmp_path / "teacher"), "--labels", "person,city"]
    arguments += ["--student", str(student), "--texts", str(tmp_path / "texts")]
    arguments += ["--out", str(tmp_path / "out"), "--steps", "3"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'out'}: the model is written" in done.stdout
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["finished"], report["num_texts"]) == (True, 16)
    GlinerMT.from_pretrained(tmp_path / "out")
    again = CliRunner().invoke(app, arguments)
    assert "holds a model" in str(again.exception)
    arguments[arguments.index("person,city")] = "city"  # another one: nothing can be gone on with
    anew = CliRunner().invoke(app, [*arguments, "--overwrite"])
    assert anew.exit_code == 0, anew.output
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert list(report["spans"]) == ["city"]
    best = tmp_path / "out/run/last"
    lost = CliRunner().invoke(app, [*arguments, "--overwrite", "--teacher", str(best)])
    assert "is part of the distillation in" in str(lost.exception)
    assert best.is_dir()
