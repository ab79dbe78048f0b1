"""The calls of the package ``gliner``, so that what was written for it runs with our models."""

from collections.abc import Mapping, Sequence
from typing import Any

from glinermt.errors import UsageError
from glinermt.types import Extractor, Query, Span, Threshold

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
    """Return the entities of each text as that package does.

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
    asked = [_asked(names, replaced) for names in _for_each(labels, len(texts))]
    queries = [
        Query(text, tuple(names), across_lines=across_lines)
        for text, names in zip(texts, asked, strict=True)
    ]
    found = model.extract(
        queries,
        threshold=threshold,
        overlap="flat" if flat_ner else "nested",
        multi_label=multi_label,
        span_score=model.settings.span_score,
    )
    return [
        [_entity(span, names) for span in spans] for spans, names in zip(found, asked, strict=True)
    ]


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
            raise ValueError(
                f"labels {asked[words]!r} and {name!r} are both described as {words!r:.80}; "
                "describe them differently"
            )
        asked[words] = name
    return asked


def _entity(span: Span, names: Mapping[str, str]) -> dict[str, Any]:
    return {**span.to_dict(), "label": names[span.label]}
