"""Distillation: a strong model annotates texts with its scores, a small one learns them.

    OUT/annotations.jsonl   what the teacher found, an Example a line with a score for each span
    OUT/run/                the training run; see ``training.run.train``

Both parts go on where a killed run stood.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from glinermt.checkpoints import SHIPPED
from glinermt.config import TaskSettings, tempered
from glinermt.errors import ConfigError, DataError, UsageError
from glinermt.eval.measure import model_hash
from glinermt.eval.metrics.entities import span_f1
from glinermt.jsonl import cut_unfinished, read_jsonl, to_line, write_jsonl, write_text
from glinermt.model import GlinerMT
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.labels import read_labels
from glinermt.tasks.run import run
from glinermt.tasks.task import DEFAULT, example
from glinermt.training.config import Dev, Loss, Optim, Sampling, Source, Stage, TrainConfig
from glinermt.training.dev_scores import label_scores, predict
from glinermt.training.run.checkpointing import has_state
from glinermt.training.run.loop import Stop
from glinermt.training.run.metrics_log import read_journal
from glinermt.training.run.stepper import Trainable
from glinermt.training.run.train import forget, train
from glinermt.types import Example, Extractor, Span

ANNOTATIONS, ABOUT, GOLD, RUN = "annotations.jsonl", "distill.json", "gold.jsonl", "run"
CHUNK = 64
"""Texts annotated between two writes."""


@dataclass(frozen=True, slots=True)
class Distillation:
    """How to distil."""

    steps: int = 500
    temperature: float = 1.0
    """Divides the log odds of the teacher's scores: above 1 it is taught to be less sure. What is
    above or below 0.5 stays there."""
    floor: float = 0.1
    """Candidates that the teacher scores lower are taught as absent."""
    gold_share: float = 0.3
    """Share of examples drawn from ``gold``, whose spans count in full."""
    batch_size: int = 8
    evaluations: int = 10
    """Times the dev set is scored, spread evenly."""
    save_every: int = 100
    """Steps between checkpoints."""
    optim: Optim = field(default_factory=lambda: Optim(encoder_lr=2e-5, other_lr=1e-4, warmup=0.1))
    loss: Loss = field(default_factory=lambda: Loss(positive_weight=0.5, negative_weight=0.5))
    """The same weight for both sides, or the student's scores would lie above the teacher's."""
    sampling: Sampling = field(
        default_factory=lambda: Sampling(drop_share=0.0, max_positives=30, max_negatives=30)
    )
    seed: int = 42


@dataclass(frozen=True, slots=True)
class DistillationReport:
    """What distillation did."""

    num_texts: int
    spans: dict[str, int]
    """Candidates that the teacher found, per label."""
    finished: bool
    """False where the run was stopped and can be gone on with."""
    before: float
    """Strict F1 of the student on the dev set at the start; NaN without one."""
    after: float
    labels: dict[str, tuple[float, float]]
    """F1 before and after, per label."""
    refused: bool
    """No dev score was above the start."""
    model: Path | None
    """The folder of the student that has learned; None where it is not finished or refused."""


def distill(
    teacher: Extractor,
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    student: str | Path | None = None,
    out: str | Path,
    gold: Sequence[Example] = (),
    dev: Sequence[Example] = (),
    settings: Distillation | None = None,
    resume: bool = False,
    overwrite: bool = False,
    stop: Stop | None = None,
) -> DistillationReport:
    """Let the teacher annotate the texts and train the student on its scores.

    Args:
        teacher: any model that extracts entities.
        texts: of the domain; they need no labels.
        labels: entity types to learn.
        student: folder or hub id of the model to train; None = the shipped one.
        out: folder for annotations and the run.
        gold: labelled examples mixed in.
        dev: labelled examples that pick the best weights; a result no better than the start is
            refused.
        settings: steps, temperature, rates.
        resume: go on with what is in ``out``.
        overwrite: begin anew, without what an earlier distillation left in ``out``; what else is
            there stays. Means nothing beside ``resume``.
        stop: may end the run before.

    Raises:
        ValueError: there are no texts or labels, the teacher finds nothing, or ``overwrite`` would
            remove the student.
        ConfigError: ``out`` holds a distillation and neither ``resume`` nor ``overwrite`` is set,
            or it is another one that ``resume`` is to go on with.
    """
    if not texts or not labels:
        raise UsageError("distillation needs texts and labels")
    settings, out, stop = settings or Distillation(), Path(out), stop or Stop()
    start = GlinerMT.from_pretrained(student)
    start.network.check_trainable()
    about = _about(texts, labels, gold, settings, _weights_of(teacher), str(student or SHIPPED))
    if overwrite and not resume:
        check_stays(student, out)
        _forget(out)
    _claim(out, about, resume=resume)
    examples = annotate(
        teacher,
        texts,
        labels,
        out / ANNOTATIONS,
        settings=settings,
        wordings=start.settings,
        stop=stop,
    )
    found = [span for row in examples for span in row.spans]
    wanted, old = [row.spans for row in dev], predict(start, dev)
    before = span_f1(wanted, old) if dev else float("nan")
    counts = dict(sorted(Counter(span.label for span in found).items()))
    report = DistillationReport(len(examples), counts, False, before, before, {}, False, None)
    if len(examples) < len(texts):
        return report
    if not found:
        raise UsageError(
            f"the teacher scores nothing in {len(texts)} texts at {settings.floor} or more"
        )
    if gold:
        write_jsonl(out / GOLD, (row.to_dict() for row in gold))
    config = _config(str(student or SHIPPED), out, bool(gold), settings)
    run_folder = out / RUN

    def score(model: Trainable) -> dict[str, float]:
        return {"all": span_f1(wanted, predict(model, dev))}

    last = train(config, resume=has_state(run_folder), stop=stop, score=score if dev else None)
    if stop.early:
        return report
    records = read_journal(run_folder)
    reached = max((record["dev"] for record in records if "dev" in record), default=before)
    if dev and reached <= before:
        labels_before = label_scores(wanted, old, old)
        return replace(report, finished=True, refused=True, labels=labels_before)
    folder = run_folder / "best" if dev else last
    new = predict(GlinerMT.from_pretrained(folder), dev)
    return replace(
        report,
        finished=True,
        after=span_f1(wanted, new) if dev else before,
        labels=label_scores(wanted, old, new),
        model=folder,
    )


def annotate(
    teacher: Extractor,
    texts: Sequence[str],
    labels: Sequence[str],
    file: Path,
    *,
    settings: Distillation,
    wordings: TaskSettings = DEFAULT,
    stop: Stop | None = None,
) -> list[Example]:
    """Write what the teacher finds behind what an earlier run has written; return all of it.

    Candidates may overlap and have several labels: how sure the teacher is of each is the lesson.
    """
    done = [Example.from_dict(row) for row in _whole_rows(file)]
    task = replace(ENTITIES, overlap="nested", multi_label=True)
    asked = read_labels(list(labels))
    rest = iter(texts[len(done) :])
    with file.open("ab") as stream:
        while (chunk := list(islice(rest, CHUNK))) and not (stop and stop.asked):
            answers = run(task, teacher, chunk, [asked] * len(chunk), threshold=settings.floor)
            for text, spans in zip(chunk, answers, strict=True):
                soft = [_softened(span, settings.temperature) for span in spans]
                row = example(ENTITIES, text, asked, soft, wordings)
                stream.write(to_line(row.to_dict()))
                done.append(row)
            stream.flush()
    return done


def _softened(span: Span, temperature: float) -> Span:
    # Two digits: targets are set score by score.
    return replace(span, score=round(tempered(span.score, temperature), 2))


def _whole_rows(file: Path) -> Iterator[dict[str, object]]:
    """Yield the rows of the file, and cut off a last line that a kill left unfinished."""
    cut_unfinished(file)
    if file.exists():
        for _, row in read_jsonl(file):
            yield row


def _about(
    texts: Sequence[str],
    labels: Sequence[str],
    gold: Sequence[Example],
    settings: Distillation,
    teacher: str | None,
    student: str,
) -> str:
    """Return what must stay the same for a run to be gone on with."""
    digest = hashlib.sha256()
    for part in (*texts, "", *(json.dumps(row.to_dict()) for row in gold)):
        digest.update(part.encode("utf-8", "backslashreplace") + b"\0")
    about = {
        "texts": len(texts),
        "sha256": digest.hexdigest(),
        "labels": list(labels),
        "settings": dataclasses.asdict(settings),
        "teacher": teacher,
        "student": student,
    }
    return json.dumps(about, indent=2) + "\n"


def _weights_of(teacher: Extractor) -> str | None:
    """Return what tells the teacher's weights from others; None where it shows none."""
    try:
        return model_hash(teacher)
    except DataError:
        return None


def check_stays(model: str | Path | None, out: Path) -> None:
    """Refuse a model that beginning anew in ``out`` would remove.

    Raises:
        ValueError: it is one that the distillation in ``out`` wrote.
    """
    run_folder = (out / RUN).resolve()
    if model is not None and Path(model).expanduser().resolve().is_relative_to(run_folder):
        raise UsageError(
            f"{model} is part of the distillation in {out}, which beginning anew removes; choose "
            "another output folder, or copy the model out of it"
        )


def _forget(out: Path) -> None:
    """Remove what a distillation wrote for itself, the file that it is known by at the end."""
    if not (out / ABOUT).exists():
        return
    forget(out / RUN)
    for name in (ANNOTATIONS, GOLD, ABOUT):
        (out / name).unlink(missing_ok=True)


def _claim(out: Path, about: str, *, resume: bool) -> None:
    file = out / ABOUT
    if not file.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_text(file, about)
        return
    if not resume:
        raise ConfigError(
            f"{out} holds a distillation: resume it, overwrite it, or choose another folder"
        )
    try:
        known, given = json.loads(file.read_text(encoding="utf-8")), json.loads(about)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}:0: cannot be read ({error})") from error
    # What was begun before teacher and student were written down is gone on with.
    changed = [name for name in given if name in known and known[name] != given[name]]
    if changed:
        raise ConfigError(
            f"{out} was begun with other {', '.join(changed)}; resume with those, or choose "
            "another folder"
        )


def _every(settings: Distillation) -> int:
    return max(1, settings.steps // max(1, settings.evaluations))


def _config(student: str, out: Path, has_gold: bool, settings: Distillation) -> TrainConfig:
    sources = [Source(ANNOTATIONS, "examples", group="teacher")]
    shares = {"teacher": 1.0}
    if has_gold:
        sources.append(Source(GOLD, "examples", group="gold"))
        shares = {"teacher": 1 - settings.gold_share, "gold": settings.gold_share}
    stage = Stage(
        name="distill",
        steps=settings.steps,
        sources=tuple(sources),
        shares=shares,
        batch_tokens=0,
        batch_size=settings.batch_size,
        sampling=settings.sampling,
        loss=settings.loss,
        optim=settings.optim,
    )
    return TrainConfig(
        stages=(stage,),
        init=student,
        data_root=str(out),
        output=str(out / RUN),
        seed=settings.seed,
        pad_multiple=1,
        save_every=settings.save_every,
        trackers=(),
        dev=Dev(every=_every(settings)),
    )
