"""What may be said of a relation (types, symmetry, number), and what it leaves of those found."""

from collections.abc import Iterable, Sequence, Set
from typing import Any

from glinermt.config import check_count
from glinermt.tasks.labels import Label, LabelSpec, read_labels, readable
from glinermt.types import Relation, Span

OPTIONS = ("description", "threshold", "head", "tail", "symmetric", "max_per_head")


def read_relations(spec: LabelSpec) -> list[Label]:
    """Read the relations, and check what ``read_labels`` leaves to us."""
    relations = read_labels(spec, what="relation", options=OPTIONS)
    for relation in relations:
        for side in ("head", "tail"):
            types = relation.options.get(side)
            if types is not None and not _are_types(types):
                raise TypeError(
                    f"relation {relation.name!r}: {side} must be a list of entity types, "
                    f"got {types!r}"
                )
        symmetric = relation.options.get("symmetric", False)
        if not isinstance(symmetric, bool):
            raise TypeError(
                f"relation {relation.name!r}: symmetric must be True or False, got {symmetric!r}"
            )
        if relation.options.get("max_per_head") is not None:
            check_count(
                f"relation {relation.name!r}: max_per_head", relation.options["max_per_head"]
            )
    return relations


def _are_types(given: Any) -> bool:
    several = isinstance(given, Sequence | Set) and not isinstance(given, str | bytes)
    return several and all(isinstance(kind, str) for kind in given)


def is_allowed(span: Span, types: Sequence[str] | None) -> bool:
    """Whether the span is of one of the types; any is where none are named."""
    return not types or readable(span.label) in map(readable, types)


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
