"""How labels may be given, with descriptions, thresholds, patterns, types; what these refuse."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from glinermt import patterns
from glinermt.config import check_count, check_flag, check_share
from glinermt.errors import UsageError, unknown_choice
from glinermt.tasks.inputs import Argument
from glinermt.types import Relation, Span, Threshold

LabelSpec = Sequence[str] | Mapping[str, str | Mapping[str, Any]]
"""``["person"]``, ``{"person": "a human being"}``,
or ``{"person": {"description": ..., "threshold": 0.4}}``."""

ENTITY_OPTIONS = ("description", "threshold", "pattern", "validator")
"""What may be said of a label that can have a pattern."""
RELATION_OPTIONS = ("description", "threshold", "head", "tail", "symmetric", "max_per_head")
_LISTS = {
    "label": '; questions with their classes go to read(text, {"classes": {question: [...]}})',
    "relation": '; types of its ends are {"head": [...], "tail": [...]}',
}
"""What a list behind a name may have been meant for."""
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
        hint = f"; write {_parted(spec)!r:.80}" if isinstance(spec, str) else ""
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
        raise TypeError(
            f"{what} {name!r}: expected a description or a mapping, got {about!r:.80}"
            + (_LISTS.get(what, "") if isinstance(about, Sequence) else "")
        )
    unknown = [key for key in given if key not in allowed]
    if unknown:
        raise UsageError(
            f"{what} {name!r}: unknown option {unknown[0]!r}; choose from {', '.join(allowed)}"
            + (_LISTS.get(what, "") if unknown[0] == "labels" else "")
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
        ValueError: ``threshold`` names a label that no text is asked for; where the specifications
            come one by one, when the last has been read.
    """
    for_all = is_one_spec(value)
    if isinstance(value, Iterator):
        value = _one_by_one(name, value)
    if isinstance(threshold, Mapping):
        checked = _checked([value] if for_all else value, name.removesuffix("s"), threshold)
        if for_all or isinstance(value, Sequence):
            list(checked)
        else:
            value = checked
    return Argument[LabelSpec](name, value, for_all, "a list of names or a mapping")


def _one_by_one(name: str, values: Iterable[Any]) -> Iterator[LabelSpec]:
    """Yield what a generator has for each text, unless it has names, meant for all texts."""
    for value in values:
        if isinstance(value, str):
            raise TypeError(
                f"{name}: {type(values).__name__} has one value for each text, which is a list or "
                f"a mapping, got {value!r:.80}; for the same {name} in all texts pass list({name})"
            )
        yield value


def _checked(
    specs: Iterable[Any], what: str, threshold: Mapping[str, float]
) -> Iterator[LabelSpec]:
    """Yield the specifications, and then check the threshold."""
    known: dict[str, None] = {}
    for spec in specs:
        labels = read_labels(spec, what=what, options={*ENTITY_OPTIONS, *RELATION_OPTIONS})
        known.update((label.name, None) for label in labels)
        yield spec
    check_threshold(threshold, known)


def check_threshold(
    threshold: Threshold | None, names: Iterable[str], *, argument: str = "threshold"
) -> None:
    """Refuse a threshold for a label that is not asked for.

    Of labels that read the same the first names the findings, and so the threshold.

    Raises:
        ValueError: the label, and those that are asked for.
    """
    if isinstance(threshold, Mapping):
        known = list(names)
        for label in threshold:
            if label not in known:
                raise UsageError(f"{argument}: {unknown_choice('label', label, known)}")


def is_one_spec(labels: Any) -> bool:
    """Whether ``labels`` is for all texts: anything but an iterable of lists or mappings.

    What is empty is one for each of no texts; what ``read_labels`` will refuse, such as a set, is
    for all.
    """
    if isinstance(labels, Mapping):
        return bool(labels)
    if isinstance(labels, str | bytes | Set):
        return True
    if not isinstance(labels, Sequence):
        return not isinstance(labels, Iterable)
    if not len(labels):
        return False
    return isinstance(labels[0], str) or not isinstance(labels[0], Iterable)


def read_relations(spec: LabelSpec) -> list[Label]:
    """Read the relations, and check what ``read_labels`` leaves to us."""
    relations = read_labels(spec, what="relation", options=RELATION_OPTIONS)
    for relation in relations:
        for side in ("head", "tail"):
            types = relation.options.get(side)
            if types is not None and not _are_types(types):
                raise TypeError(
                    f"relation {relation.name!r}: {side} must be a list of entity types, "
                    f"got {types!r}"
                )
        check_flag(
            f"relation {relation.name!r}: symmetric", relation.options.get("symmetric", False)
        )
        if relation.options.get("max_per_head") is not None:
            check_count(
                f"relation {relation.name!r}: max_per_head", relation.options["max_per_head"]
            )
    return relations


def check_ends(relations: Iterable[Label], types: Iterable[str]) -> None:
    """Refuse a relation that can never hold, since no type of one of its ends is looked for.

    Raises:
        ValueError: the relation, the end, and what is looked for.
    """
    asked = list(types)
    known = set(map(readable, asked))
    for relation in relations:
        for side in ("head", "tail"):
            ends = relation.options.get(side)
            if ends and known.isdisjoint(map(readable, ends)):
                raise UsageError(
                    f"relation {relation.name!r} can never hold: none of its {side}'s types is "
                    f"looked for: {unknown_choice('entity type', next(iter(ends)), asked)}"
                )


def _parted(given: str) -> list[str]:
    """Return a string of names as the list that was probably meant."""
    return [name.strip() for name in given.split(",") if name.strip()] or [given]


def _are_types(given: Any) -> bool:
    several = isinstance(given, Sequence | Set) and not isinstance(given, str | bytes)
    return several and all(isinstance(kind, str) for kind in given)


def is_allowed(span: Span, types: Sequence[str] | None) -> bool:
    """Whether the span is of one of the types; any is where none are named."""
    return not types or readable(span.label) in map(readable, types)


def are_one(one: Span, other: Span) -> bool:
    """Whether two mentions name the same thing, by the same name or a shorter one ("Sarah" Bush).

    Things of different types may share a name or its words: "Paris was born in Paris", "New York"
    and "The New York Times". So may, by the same name, those of types that nobody has said.
    """
    if one.label and other.label and one.label != other.label:
        return False
    short, long = sorted((_words(one), _words(other)), key=len)
    if short == long:
        return bool(one.label and other.label)
    number = len(short)
    return number > 0 and any(long[i : i + number] == short for i in range(len(long) - number + 1))


def _words(span: Span) -> list[str]:
    return [word.casefold() for word in re.findall(r"\w+", span.text)]


def finished(relations: Iterable[Relation], kinds: Iterable[Label]) -> list[Relation]:
    """Return what the options leave of the relations, in the order of their heads.

    Of a symmetric relation found both ways between two names the surer way is kept, as it is of any
    relation between two mentions of one name; of those of a head, the surest ``max_per_head``.
    """
    options = {kind.name: kind.options for kind in kinds}
    surer: dict[tuple[str, frozenset[object]], object] = {}
    per_head: dict[tuple[str, str], int] = {}
    kept: list[Relation] = []
    for r in sorted(relations, key=lambda r: -r.score):
        of_one_name = r.head.text == r.tail.text
        if of_one_name or options[r.label].get("symmetric"):
            ends: tuple[object, object] = (r.head.text, r.tail.text)
            if of_one_name:
                ends = ((r.head.start, r.head.end), (r.tail.start, r.tail.end))
            if surer.setdefault((r.label, frozenset(ends)), ends[0]) != ends[0]:
                continue
        most = options[r.label].get("max_per_head")
        number = per_head.get((r.label, r.head.text), 0)
        if most is not None and number >= most:
            continue
        per_head[r.label, r.head.text] = number + 1
        kept.append(r)
    return sorted(kept, key=lambda r: (r.head.start, r.tail.start, r.label))


def with_patterns(text: str, spans: Sequence[Span], labels: Sequence[Label]) -> list[Span]:
    """Return the spans of the model and of the labels' patterns, in the order of the text.

    A match of a pattern has score 1 and takes the place of every span that it overlaps; of matches
    that overlap, the longest is kept, then the one whose label was given first. A validator
    refuses spans of its label, whoever found them.

    Raises:
        TypeError: a pattern or validator is of another type.
        ValueError: a regular expression that cannot be read.
    """
    matches = [
        span
        for label in labels
        if label.options.get("pattern") is not None
        for span in patterns.find(text, label.name, label.options["pattern"])
    ]
    validators = {
        label.name: _validator(label)
        for label in labels
        if label.options.get("validator") is not None
    }
    matches = _longest(_valid(matches, validators))
    rest = [span for span in _valid(spans, validators) if not _touches(span, matches)]
    return sorted([*matches, *rest], key=lambda span: (span.start, span.end))


def _validator(label: Label) -> Callable[[str], Any]:
    validator = label.options["validator"]
    if not callable(validator):
        raise TypeError(f"label {label.name!r}: validator must be a function, got {validator!r}")
    checked: Callable[[str], Any] = validator
    return checked


def _valid(spans: Sequence[Span], validators: Mapping[str, Callable[[str], Any]]) -> list[Span]:
    return [
        span for span in spans if span.label not in validators or validators[span.label](span.text)
    ]


def _longest(matches: Sequence[Span]) -> list[Span]:
    """Keep, from the longest on, what overlaps nothing that is kept; sorted by place."""
    taken: list[Span] = []
    covered: set[int] = set()
    for span in sorted(matches, key=lambda span: span.start - span.end):
        if not any(place in covered for place in range(span.start, span.end)):
            taken.append(span)
            covered.update(range(span.start, span.end))
    return sorted(taken, key=lambda span: span.start)


def _touches(span: Span, matches: Sequence[Span]) -> bool:
    """Whether one of the sorted, disjoint matches overlaps the span."""
    first = bisect_right(matches, span.start, key=lambda match: match.end)
    return first < len(matches) and matches[first].start < span.end
