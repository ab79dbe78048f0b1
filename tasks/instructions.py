"""Extraction by instruction, which open NER and open information extraction share."""

from collections.abc import Iterable
from dataclasses import replace

from glinermt.tasks.entities import renamed
from glinermt.tasks.inputs import Argument, check_string, shaped, string_argument
from glinermt.tasks.labels import Label, LabelSpec, is_one_spec, read_labels
from glinermt.tasks.run import ask, default_threshold, wording
from glinermt.types import Example, Extractor, Query, Span

LABEL = "match"
THRESHOLD = 0.5
PROMPT = "{instruction}"


def extract_instructed(
    text: str | Iterable[str],
    instruction: str | Iterable[str],
    labels: LabelSpec | Iterable[LabelSpec],
    *,
    task: str,
    threshold: float | None,
    model: Extractor,
) -> list[Span]:
    """Find what the instruction asks for; see ``extract_open_entities``."""

    def run(texts: list[str], rows: list[tuple[str, LabelSpec]]) -> list[list[Span]]:
        limit = default_threshold(model, task, threshold, THRESHOLD)
        labels_of = [_worded(read_labels(spec), task, model) for _, spec in rows]
        queries, thresholds = [], []
        for t, (asked, _), found in zip(texts, rows, labels_of, strict=True):
            instruction = check_string("instruction", asked)
            prompt = wording(model.settings.prompts, task, PROMPT, instruction=instruction)
            queries.append(Query(t, tuple(label.asked for label in found), prompt))
            thresholds.append(
                {s.asked: limit if s.threshold is None else s.threshold for s in found}
            )
        results = ask(model, task, queries, thresholds)
        return [renamed(spans, found) for spans, found in zip(results, labels_of, strict=True)]

    arguments = [
        string_argument("instruction", instruction),
        Argument("labels", labels, is_one_spec(labels)),
    ]
    return shaped(text, arguments, run)


def example(text: str, instruction: str, spans: Iterable[Span], label: str = LABEL) -> Example:
    """Make the training example of a single label; spans may carry any."""
    found = tuple(replace(span, label=label) for span in spans)
    return Example(Query(text, (label,), instruction), found)


def _worded(labels: list[Label], task: str, model: Extractor) -> list[Label]:
    """Word the default label as the model was trained with it; leave the caller's own alone."""
    if [label.asked for label in labels] != [LABEL]:
        return labels
    return [replace(labels[0], asked=wording(model.settings.labels, task, LABEL))]
