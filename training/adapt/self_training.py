"""Self-training: a model annotates texts of a new domain and learns from what it was sure of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from glinermt.config import check_share
from glinermt.errors import DataError, UsageError
from glinermt.eval.metrics.entities import span_f1
from glinermt.jsonl import (
    JSONL_ENDS,
    TEXT_ENDS,
    data_files,
    has_end,
    read_jsonl,
    read_lines,
)
from glinermt.tasks.entities import ENTITIES
from glinermt.tasks.labels import read_labels
from glinermt.tasks.run import run
from glinermt.tasks.task import example
from glinermt.training.adapt.fine_tuning import Tuning, tune
from glinermt.training.config import Loss, Optim, Sampling
from glinermt.training.dev_scores import label_scores, predict
from glinermt.training.run.stepper import Trainable
from glinermt.types import Example, Extractor


def paper_tuning() -> Tuning:
    """Return the paper's settings (section 3.4): rates 5e-6 and 7e-6, label smoothing 0.2."""
    return Tuning(
        optim=Optim(encoder_lr=5e-6, other_lr=7e-6, warmup=0.1, schedule="linear"),
        loss=Loss(smoothing=0.2),
        sampling=Sampling(drop_share=0.0, max_negatives=30, max_positives=30),
        replay_share=0.0,
        patience=2,
    )


@dataclass(frozen=True, slots=True)
class SelfTraining:
    """How to self-train: the paper's way; how sure is sure, it leaves open."""

    steps: int = 500
    threshold: float = 0.6
    """Score from which a span is taken as gold."""
    margin: float = 0.2
    """A label with a span between ``threshold - margin`` and ``threshold`` is unsure in that text
    and not asked there, neither as present nor as absent; both lie in [0, 1]."""
    max_empty_share: float = 0.2
    """Texts without any span kept, per text with one."""
    tuning: Tuning = field(default_factory=paper_tuning)
    allow_worse: bool = False
    """Keep the last weights also where no dev score reached that of the start."""

    def __post_init__(self) -> None:
        check_share("threshold", self.threshold)
        check_share("margin", self.margin)


@dataclass(frozen=True, slots=True)
class SelfTrainingReport:
    """What self-training did."""

    num_examples: int
    """Texts learned from."""
    spans: dict[str, int]
    """Spans taken as gold, per label."""
    before: float
    """Strict F1 on the dev set at the start; NaN without one."""
    after: float
    """The same with the weights the model now has."""
    labels: dict[str, tuple[float, float]]
    """F1 before and after, per label."""
    steps: int
    refused: bool
    """No dev score was above the start: the model is as it was."""


def self_train(
    model: Trainable,
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    dev: Sequence[Example] = (),
    settings: SelfTraining | None = None,
) -> SelfTrainingReport:
    """Train ``model`` in place on its own confident annotations of ``texts``.

    Args:
        model: a ``GlinerMT``.
        texts: unlabelled texts of the domain.
        labels: what to look for.
        dev: labelled examples; training stops when the score on them falls, and a result no
            better than the start is refused.
        settings: confidence, steps, rates.

    Raises:
        TypeError: the model is of a kind that cannot be trained here.
        ValueError: there are no texts or labels, or the model is sure of nothing.
    """
    settings = settings or SelfTraining()
    model.network.check_trainable()
    examples = annotate(model, texts, labels, settings=settings)
    gold, threshold = [e.spans for e in dev], settings.tuning.threshold
    old = predict(model, dev, threshold=threshold)
    report = tune(
        model,
        examples,
        steps=settings.steps,
        replay=(),
        score=(lambda m: span_f1(gold, predict(m, dev, threshold=threshold))) if dev else None,
        tuning=settings.tuning,
        keep_best=not settings.allow_worse,
    )
    refused = bool(dev) and report.best_step == 0
    new = predict(model, dev, threshold=threshold)
    return SelfTrainingReport(
        num_examples=len(examples),
        spans=dict(Counter(span.label for e in examples for span in e.spans)),
        before=span_f1(gold, old) if dev else float("nan"),
        after=span_f1(gold, new) if dev else float("nan"),
        labels=label_scores(gold, old, new),
        steps=report.steps,
        refused=refused,
    )


def annotate(
    model: Extractor, texts: Sequence[str], labels: Sequence[str], *, settings: SelfTraining
) -> list[Example]:
    """Return Examples of what the model is sure about in the texts.

    Raises:
        ValueError: there are no texts or labels, or the model is sure of nothing.
    """
    if not texts or not labels:
        raise UsageError("self-training needs texts and labels")
    asked = read_labels(labels)
    low = max(0.0, settings.threshold - settings.margin)
    found, empty = [], []
    results = run(ENTITIES, model, texts, [asked] * len(texts), threshold=low)
    for text, spans in zip(texts, results, strict=True):
        unsure = {span.label for span in spans if span.score < settings.threshold}
        sure = [label for label in asked if label.name not in unsure]
        kept = [replace(span, score=1.0) for span in spans if span.label not in unsure]
        if kept:
            found.append(example(ENTITIES, text, sure, kept, model.settings))
        elif sure and text.strip():
            empty.append(example(ENTITIES, text, sure, (), model.settings))
    if not found:
        raise UsageError(
            f"no span of {len(texts)} texts reaches the threshold {settings.threshold} with no "
            "doubtful one of its label beside it; lower the threshold or the margin"
        )
    return found + empty[: round(settings.max_empty_share * len(found))]


def read_texts(path: Path) -> list[str]:
    """Read a file's or folder's texts: each line of ``*.txt``, ``text`` of each row of ``*.jsonl``.

    Both may be packed, as ``.gz``, ``.xz`` or ``.zst``; other files of a folder, and texts without
    a letter, are passed over.

    Raises:
        DataError: there are no texts, or a line of JSON has no ``text``.
    """
    texts: list[str] = []
    for file in data_files(path, (*TEXT_ENDS, *JSONL_ENDS)):
        if has_end(file, TEXT_ENDS):
            texts += [line.strip() for _, line in read_lines(file)]
        else:
            texts += [_text(f"{file}:{number}", row) for number, row in read_jsonl(file)]
    if kept := [text for text in texts if text.strip()]:
        return kept
    raise DataError(f"{path}: there is no text in it")


def _text(where: str, row: dict[str, Any]) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise DataError(f'{where}: expected {{"text": ...}}, got {row!r:.80}')
    return text
