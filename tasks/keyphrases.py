"""Key phrases: the pieces of a text that say what it is about, the best first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glinermt.config import TaskSettings, check_count
from glinermt.default_model import load_extractor
from glinermt.tasks.inputs import by_shape, restore, rows
from glinermt.tasks.labels import Label
from glinermt.tasks.run import one_threshold, stream
from glinermt.tasks.task import Task
from glinermt.types import Extractor, Found, Query, Span, SpanScore

LABEL = "keyphrase"


@dataclass(frozen=True, slots=True)
class Phrases:
    """How many key phrases a text may have."""

    most: int = 10


@by_shape
def extract_keyphrases(
    text: str | Iterable[str],
    *,
    top_k: int = 10,
    threshold: float | None = None,
    span_score: SpanScore | None = None,
    model: Extractor | str | Path | None = None,
) -> list[Span]:
    """Find the phrases that say what a text is about, the best first, labelled ``keyphrase``.

    A phrase is given once, at the place where it scores best; letter case does not matter.

    Args:
        text: one text, a list, or an iterable of texts; the result has the same shape.
        top_k: the most phrases of a text.
        threshold: least score of a phrase; None = the model's, else 0.1.
        span_score: how a phrase's score comes from its words'; None = as the model says.
        model: a loaded model, a folder or hub id, or None for the shipped one.

    Raises:
        TypeError: a text is not a string, or ``top_k`` not a whole number.
        ValueError: ``top_k`` below 1, or a threshold outside [0, 1].
    """
    phrases = Phrases(check_count("top_k", top_k))
    task = replace(KEYPHRASES, span_score=span_score)
    asked = ((t, phrases) for (t,) in rows(text))
    return restore(
        text, stream(task, load_extractor(model), asked, threshold=one_threshold(threshold))
    )


def _labels(_: Phrases, settings: TaskSettings) -> Sequence[Label]:
    return [Label(LABEL, KEYPHRASES.word_label(settings), {})]


def _query(text: str, _: Phrases, settings: TaskSettings) -> list[Query]:
    return [Query(text, (KEYPHRASES.word_label(settings),), KEYPHRASES.word_prompt(settings))]


def _read(_: str, asked: Phrases, found: Sequence[Found], __: TaskSettings) -> list[Span]:
    best: dict[str, Span] = {}
    for span in sorted(found[0].spans, key=lambda span: (-span.score, span.start)):
        best.setdefault(" ".join(span.text.casefold().split()), replace(span, label=LABEL))
    return list(best.values())[: asked.most]


KEYPHRASES: Task[Phrases, list[Span]] = Task(
    name="keyphrases",
    query=_query,
    labels=_labels,
    read=_read,
    prompt="Find the key phrases, which say what the text is about:",
    label=LABEL,
    threshold=0.1,  # they are ranked
)
