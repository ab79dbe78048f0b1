"""Read a domain's file: its types, its relations, and its passages with all that holds in them."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from glinermt.errors import DataError

_MARK = re.compile(r"\[([^\[\]|]+)\|([^\[\]|]+)\|([a-z]\d?)\]")
_TRIPLE = re.compile(r"([a-z]\d?) > (.+) > ([a-z]\d?)")


@dataclass(frozen=True, slots=True)
class Kind:
    """A relation: its wordings, and those of its inverse (``()``: it has none)."""

    wordings: tuple[str, ...]
    inverse: tuple[str, ...] = ()
    symmetric: bool = False


@dataclass(frozen=True, slots=True)
class Thing:
    """A marked place of a passage's text; ``name`` is the same for all mentions of one thing."""

    start: int
    end: int
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Passage:
    text: str
    things: tuple[Thing, ...]
    triples: tuple[tuple[str, str, str], ...] = ()
    """Of names of things, and the first wording of a relation."""


@dataclass(frozen=True, slots=True)
class Domain:
    types: dict[str, tuple[str, ...]]
    """First wording -> all wordings."""
    general: dict[str, str]
    """First wording -> the general type that it is a kind of."""
    relations: dict[str, Kind]
    passages: tuple[Passage, ...]


def read_domain(path: Path) -> Domain:
    """Read a domain's file.

    Raises:
        DataError: a line is none of those above, or names what is not declared or not marked.
    """
    types: dict[str, tuple[str, ...]] = {}
    general: dict[str, str] = {}
    relations: dict[str, Kind] = {}
    passages: list[Passage] = []
    begun = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("type:"):
                listed, kind_of = line.removeprefix("type:").split("<")
                wordings = _wordings(listed)
                types[wordings[0]] = wordings
                general[wordings[0]] = kind_of.strip()
            elif line.startswith("rel:"):
                kind = _kind(line.removeprefix("rel:"))
                relations[kind.wordings[0]] = kind
            elif line == "---":
                begun = True
            elif begun:
                passages.append(_passage(line.replace("\\n", "\n"), types))
                begun = False
                if relations and len({thing.name for thing in passages[-1].things}) < 2:
                    raise ValueError("fewer than two marked things: nothing holds between them")
            elif passages:
                passages[-1] = _with_triple(passages[-1], line, relations)
            else:
                raise ValueError("a passage begins behind a line of ---")
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}: {line!r:.80}") from error
    return Domain(types, general, relations, tuple(passages))


def _wordings(listed: str) -> tuple[str, ...]:
    found = tuple(word.strip() for word in listed.split(";"))
    if not all(found):
        raise ValueError("an empty wording")
    return found


def _kind(declared: str) -> Kind:
    forward, other, *_ = (part.strip() for part in declared.split("|"))
    if other.startswith("inverse:"):
        return Kind(_wordings(forward), _wordings(other.removeprefix("inverse:")))
    if other not in ("symmetric", "no inverse"):
        raise ValueError(f"neither inverse:, symmetric nor no inverse: {other!r}")
    return Kind(_wordings(forward), symmetric=other == "symmetric")


def _passage(line: str, types: dict[str, tuple[str, ...]]) -> Passage:
    text, things, end = "", [], 0
    for mark in _MARK.finditer(line):
        words, type_, name = mark.groups()
        if type_ not in types:
            raise ValueError(f"type {type_!r} is not declared")
        text += line[end : mark.start()]
        things.append(Thing(len(text), len(text) + len(words), type_, name))
        text += words
        end = mark.end()
    text += line[end:]
    if re.search(r"[\[\]|]", text):
        raise ValueError("a broken mark")
    return Passage(text, tuple(things))


def _with_triple(passage: Passage, line: str, relations: dict[str, Kind]) -> Passage:
    match = _TRIPLE.fullmatch(line)
    if match is None:
        raise ValueError("no line of this format")
    head, relation, tail = match.groups()
    names = {thing.name for thing in passage.things}
    if relation not in relations or not {head, tail} <= names or head == tail:
        raise ValueError("a relation that is not declared, or things that are not marked")
    return replace(passage, triples=(*passage.triples, (head, relation, tail)))
