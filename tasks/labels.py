"""How labels may be given: names, names with descriptions, names with their own thresholds."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from glinermt.config import check_share
from glinermt.errors import UsageError, unknown_choice
from glinermt.tasks.inputs import Argument
from glinermt.types import Span, Threshold

LabelSpec = Sequence[str] | Mapping[str, str | Mapping[str, Any]]
"""``["person"]``, ``{"person": "a human being"}``,
or ``{"person": {"description": ..., "threshold": 0.4}}``."""

_AROUND = " .,;:!?'\"`()[]{}*"


@dataclass(frozen=True, slots=True)
class Label:
    """A label as the user names it, as the model reads it, and what else was said of it."""

    name: str
    asked: str
    options: Mapping[str, Any]

    @property
    def threshold(self) -> float | None:
        value = self.options.get("threshold")
        return None if value is None else float(value)

    def with_threshold(self, limit: float) -> "Label":
        """Return the label with another threshold of its own."""
        return replace(self, options={**self.options, "threshold": limit})


def read_labels(
    spec: LabelSpec, *, what: str = "label", options: Iterable[str] = ("description", "threshold")
) -> list[Label]:
    """Read a specification; a name given twice counts once, also in another form.

    Of names that ``readable`` makes equal, the first names the findings, and its options hold.

    Args:
        spec: what the user gave.
        what: the word for it in errors.
        options: keys that may stand in a label's mapping.

    Raises:
        TypeError: a single string, or a name or description that is not str.
        ValueError: an empty name, an unknown option, a threshold outside [0, 1], or two names
            that with their descriptions read the same.
    """
    if isinstance(spec, str | bytes) or not isinstance(spec, Sequence | Mapping):
        hint = f"; write [{spec!r}]" if isinstance(spec, str) else ""
        raise TypeError(f"{what}s must be a list or a mapping, got {spec!r:.80}{hint}")
    items = spec.items() if isinstance(spec, Mapping) else ((name, {}) for name in spec)
    allowed = tuple(options)
    labels: dict[str, Label] = {}
    for name, about in items:
        label = _label(name, about, what, allowed)
        first = labels.setdefault(label.asked, label)
        if readable(first.name) != readable(label.name):
            raise UsageError(
                f"{what}s {first.name!r} and {label.name!r} both read {label.asked!r}; reword one"
            )
    return list(labels.values())


def readable(name: str) -> str:
    """Return a label as the model reads it: what labels that mean the same have in common.

    That is lower case, single spaces in place of underscores, and no punctuation around it, since a
    model finds less for ``City!`` or ``city_name`` than for the words it was trained on.
    """
    words = " ".join(name.replace("_", " ").split())
    return words.strip(_AROUND).lower() or words


def _label(name: Any, about: Any, what: str, allowed: tuple[str, ...]) -> Label:
    if not isinstance(name, str):
        raise TypeError(f"a {what} must be str, got {type(name).__name__}: {name!r}")
    if not name.strip():
        raise UsageError(f"a {what} is empty; it is read by the model, so name what you look for")
    given: Mapping[str, Any] = {"description": about} if isinstance(about, str) else about
    if not isinstance(given, Mapping):
        raise TypeError(f"{what} {name!r}: expected a description or a mapping, got {about!r}")
    unknown = [key for key in given if key not in allowed]
    if unknown:
        raise UsageError(
            f"{what} {name!r}: unknown option {unknown[0]!r}; choose from {', '.join(allowed)}"
        )
    if given.get("threshold") is not None:
        check_share(f"{what} {name!r}: threshold", given["threshold"])
    description = given.get("description") or ""
    if not isinstance(description, str):
        raise TypeError(f"{what} {name!r}: description must be str, got {description!r}")
    # A label of a LabelIndex brings its vector along, so it must stay what it is.
    asked = readable(name) if type(name) is str else name
    return Label(name, f"{asked}: {description}" if description else asked, given)


def renamed(spans: Iterable[Span], labels: Iterable[Label]) -> list[Span]:
    """Return the spans under the names the user knows their labels by."""
    names = {label.asked: label.name for label in labels}
    return [replace(span, label=names.get(span.label, span.label)) for span in spans]


def spec_argument(
    name: str, value: LabelSpec | Iterable[LabelSpec], threshold: Threshold | None = None
) -> Argument[LabelSpec]:
    """Return an argument that is a specification for all texts or one for each.

    Raises:
        ValueError: ``threshold`` names a label that no text is asked for.
    """
    for_all = is_one_spec(value)
    if isinstance(threshold, Mapping) and for_all and isinstance(value, Sequence | Mapping):
        for label in threshold:
            if label not in value:
                raise UsageError(f"threshold: {unknown_choice('label', label, map(str, value))}")
    return Argument[LabelSpec](name, value, for_all)


def is_one_spec(labels: Any) -> bool:
    """Whether ``labels`` is for all texts: anything but an iterable of lists or mappings.

    An empty list is for all texts, and so is what ``read_labels`` will refuse, such as a set.
    """
    if isinstance(labels, Mapping | str | bytes | Set):
        return True
    if not isinstance(labels, Sequence):
        return not isinstance(labels, Iterable)
    return not labels or isinstance(labels[0], str) or not isinstance(labels[0], Iterable)
