"""How GLiNER2 asks: groups of names before the text, every piece tokenised on its own.

``( [P] prompt ( [E] name [E] name ) ) [SEP_STRUCT] ( ... ) [SEP_TEXT] word word``, with neither
CLS nor SEP. The span and the boundary checkpoints share it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from glinermt.structures import Structure
from glinermt.types import Query

SEPARATOR, TEXT, PROMPT = "[SEP_STRUCT]", "[SEP_TEXT]", "[P]"
ENTITIES, CLASSIFICATION = "entities", "classification"
FIELD, ENTITY, RELATION, CLASS = "[C]", "[E]", "[R]", "[L]"
EXAMPLE, OUTPUT, DESCRIPTION = "[EXAMPLE]", "[OUTPUT]", "[DESCRIPTION]"
ADDED_TOKENS = (
    SEPARATOR, TEXT, PROMPT, FIELD, ENTITY, RELATION, CLASS, EXAMPLE, OUTPUT, DESCRIPTION,
)  # fmt: skip

TokenIds = Callable[[Sequence[str]], list[list[int]]]
"""Pieces -> the tokens of each, tokenised alone."""


@dataclass(frozen=True, slots=True)
class Group:
    """Names that are asked together, and what is read before them."""

    marker: str
    prompt: str
    names: tuple[str, ...]
    choices: tuple[tuple[str, ...], ...] = ()
    """The values that each field of a structure may have, none where these are spans."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The groups of a row, and which of the query's labels of each kind they ask for."""

    groups: tuple[Group, ...]
    labels: range = range(0)
    relations: range = range(0)
    classes: range = range(0)
    structures: range = range(0)


@dataclass(frozen=True, slots=True)
class Head:
    """The part of a row before the words: its tokens, and where its markers stand."""

    token_ids: list[int]
    prompts: list[int]
    """Position of each group's ``[P]``."""
    names: list[list[int]]
    """Positions of the markers of each group's names."""


def described(name: str, descriptions: Sequence[tuple[str, str]]) -> str:
    """Return the prompt of a group whose names have descriptions."""
    return name + "".join(f" {DESCRIPTION} {field}: {text}" for field, text in descriptions)


def head(groups: Sequence[Group], token_ids: TokenIds, markers: Mapping[str, int]) -> Head:
    """Return the tokens of the groups and of ``[SEP_TEXT]`` behind them.

    Args:
        groups: in the order of the row.
        token_ids: tokenises prompts, names and brackets.
        markers: vocabulary ids of ``ADDED_TOKENS``.
    """
    pieces = ["(", ")", *(piece for group in groups for piece in (group.prompt, *group.names))]
    known = dict(zip(pieces, token_ids(pieces), strict=True))
    ids: list[int] = []
    prompts: list[int] = []
    names: list[list[int]] = []
    for i, group in enumerate(groups):
        ids += [markers[SEPARATOR]] if i else []
        ids += known["("]
        prompts.append(len(ids))
        ids += [markers[PROMPT], *known[group.prompt], *known["("]]
        names.append([])
        for name in group.names:
            names[-1].append(len(ids))
            ids += [markers[group.marker], *known[name]]
        ids += 2 * known[")"]
    return Head([*ids, markers[TEXT]], prompts, names)


def closed(text: str) -> str:
    """Return the text with a full stop where it ends in none, as the model was trained."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def split_gliner2(text: str) -> list[tuple[int, int]]:
    """Split as GLiNER2 does: addresses and handles whole, marks with their letters."""
    return [match.span() for match in _pattern().finditer(text)]


@cache
def _pattern() -> re.Pattern[str]:
    word = rf"[\w{_marks()}\u200c\u200d]"
    return re.compile(
        rf"(?i:https?://\S+|www\.\S+|[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{{2,}}|@[a-z0-9_]+)"
        rf"|{word}+(?:[-_]{word}+)*|\S"
    )


def _marks() -> str:
    """Return all combining marks as ranges of a character class."""
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in _runs_of_marks())


def _runs_of_marks() -> Iterator[tuple[int, int]]:
    first = -1
    for code in (
        *range(0x20000),
        *range(0xE0000, 0xE1000),
    ):  # no other plane has letters with marks
        is_mark = unicodedata.category(chr(code)).startswith("M")
        if is_mark and first < 0:
            first = code
        elif not is_mark and first >= 0:
            yield first, code - 1
            first = -1


def kinds_asked(query: Query) -> tuple[Sequence[Any], ...]:
    """Return what is asked, kind by kind, in the order of ``Asked``."""
    names = (query.labels, query.relations, query.classes)
    return (*(tuple(dict.fromkeys(kind)) for kind in names), query.structures)


def question(query: Query, parts: Sequence[range]) -> Asked:
    """Return the groups of these parts, in the order in which the package has them."""
    labels, relations, classes, structures = (
        [asked[i] for i in part] for asked, part in zip(kinds_asked(query), parts, strict=True)
    )
    groups = []
    for structure in structures:
        about = [(f.name, f.description) for f in structure.fields if f.description]
        names = tuple(f.name for f in structure.fields)
        choices = tuple(f.choices for f in structure.fields)
        groups.append(Group(FIELD, described(structure.name, about), names, choices))
    if labels:
        group = _described(ENTITY, ENTITIES, labels)
        groups.append(replace(group, names=(*group.names, *attribute_names(query))))
    groups += [Group(RELATION, relation, ("head", "tail")) for relation in relations]
    first = 0
    for name, number in query.class_groups or (
        (query.prompt or CLASSIFICATION, len(kinds_asked(query)[2])),
    ):
        own = [c for i, c in zip(parts[2], classes, strict=True) if first <= i < first + number]
        groups += [_described(CLASS, name, own)] if own else []
        first += number
    return Asked(tuple(groups), *parts)


def attribute_names(query: Query) -> tuple[str, ...]:
    """Return what is read behind the labels for the attributes, each once, in the row's order."""
    return tuple(sorted({name for group in query.attributes for name in group.asked}))


def _described(marker: str, prompt: str, labels: Sequence[str]) -> Group:
    names, about = zip(*map(_name_and_description, labels), strict=True)
    known = [(n, a) for n, a in zip(names, about, strict=True) if a]
    return Group(marker, described(prompt, known), names)


def _name_and_description(label: str) -> tuple[str, str]:
    name, _, description = label.partition(": ")
    return name, description.strip()


def choice_prefix(structures: Iterable[Structure]) -> list[str]:
    """Return the words that name the choices before the text."""
    words: list[str] = []
    for structure in structures:
        inner: list[str] = []
        for one in structure.fields:
            if one.choices:
                options = [piece for choice in one.choices for piece in ("|", choice)][1:]
                inner += [*([","] if inner else []), one.name, "(", *options, ")"]
        words += ["(", f"{structure.name}:", *inner, ")"] if inner else []
    return words
