"""The calls of the package ``gliner``, so that what was written for it runs with our models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from glinermt.config import check_share, tempered
from glinermt.errors import UsageError
from glinermt.long_texts import cut, moved
from glinermt.types import Extractor, Query, Span, Threshold

TASK = "entities"

Labels = Sequence[str] | Mapping[str, str]
"""Names, or names with descriptions."""


def entity_dicts(
    model: Extractor,
    texts: Sequence[str],
    labels: Labels | Sequence[Labels],
    *,
    threshold: Threshold,
    flat_ner: bool,
    multi_label: bool,
    across_lines: bool,
    replaced: bool,
) -> list[list[dict[str, Any]]]:
    """Return the entities of each text as that package does, asked as the task ``entities`` is.

    The model's settings hold: the words it reads at once, its temperature and its prompt; but
    the threshold is the caller's alone.

    Args:
        model: whom to ask.
        texts: what to read.
        labels: those of all texts, or one list or mapping for each text.
        threshold: least score, one number or one for each label.
        flat_ner: no entity lies in another.
        multi_label: an entity may have several labels.
        across_lines: an entity may run on behind a line's end.
        replaced: a description is asked in its name's place, as that package does; else behind it.

    Raises:
        TypeError: something is not of its type.
        ValueError: there are not as many lists of labels as texts.
    """
    if type(flat_ner) is not bool:
        raise TypeError(f"flat_ner must be True or False, got {flat_ner!r:.80}")
    settings = model.settings
    temperature = settings.temperatures.get(TASK, 1.0)
    asked = [_asked(names, replaced) for names in _for_each(labels, len(texts))]
    pieces: list[tuple[int, Query]] = []
    ends = []
    for text, names in zip(texts, asked, strict=True):
        query = Query(text, tuple(names), settings.prompts.get(TASK, ""), across_lines=across_lines)
        pieces += cut(query, settings.words_at_once.get(TASK, 0))
        ends.append(len(pieces))
    found = model.extract(
        [query for _, query in pieces],
        threshold=_own_threshold(threshold, asked, temperature),
        overlap="flat" if flat_ner else "nested",
        multi_label=multi_label,
        span_score=settings.span_score,
    )
    spans = [
        [replace(span, score=tempered(span.score, temperature)) for span in moved(each, start)]
        for each, (start, _) in zip(found, pieces, strict=True)
    ]
    return [
        [_entity(span, names) for part in spans[first:last] for span in part]
        for names, (first, last) in zip(asked, pairwise([0, *ends]), strict=True)
    ]


def _own_threshold(
    threshold: Threshold, asked: Sequence[Mapping[str, str]], temperature: float
) -> Threshold:
    """Return the threshold of the model's own scores, for labels as they are asked."""
    if not isinstance(threshold, Mapping):
        return tempered(check_share("threshold", threshold), 1 / temperature)
    known = {label: name for names in asked for label, name in names.items() if name in threshold}
    return {
        label: tempered(check_share(f"label {name!r}: threshold", threshold[name]), 1 / temperature)
        for label, name in known.items()
    }


def refuse_unknown(options: Mapping[str, Any], *, known: Sequence[str]) -> None:
    """Pass over options of that package that are off, and refuse what would change the result.

    Raises:
        TypeError: an option is on that has no counterpart here, or there is no such option.
    """
    for name, value in options.items():
        if name not in known:
            raise TypeError(f"unexpected argument {name!r}")
        if value:
            raise TypeError(f"{name}={value!r:.80} has no counterpart in glinermt; leave it out")


def _for_each(labels: Labels | Sequence[Labels], number: int) -> Sequence[Labels]:
    if isinstance(labels, str):
        raise TypeError(f"labels must be a list or a mapping, got {labels!r}; write [{labels!r}]")
    several = not isinstance(labels, Mapping) and labels and not isinstance(labels[0], str)
    if not several:
        return [labels] * number  # type: ignore[list-item]  # one list for all
    if len(labels) != number:
        raise UsageError(f"{number} texts have {len(labels)} lists of labels; give each text one")
    return labels  # type: ignore[return-value]


def _asked(labels: Labels, replaced: bool) -> dict[str, str]:
    """Return what the model is asked, and the name that the caller knows it by."""
    if not isinstance(labels, Mapping):
        return {name: name for name in labels}
    asked: dict[str, str] = {}
    for name, about in labels.items():
        described = about if replaced else f"{name}: {about}"
        words = described if about else name
        if words in asked:
            raise UsageError(
                f"labels {asked[words]!r} and {name!r} are both described as {words!r:.80}; "
                "describe them differently"
            )
        asked[words] = name
    return asked


def _entity(span: Span, names: Mapping[str, str]) -> dict[str, Any]:
    return {**span.to_dict(), "label": names[span.label]}
