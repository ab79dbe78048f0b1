"""How GLiNER2 asks: groups of names before the text, every piece tokenised on its own.

``( [P] prompt ( [E] name [E] name ) ) [SEP_STRUCT] ( ... ) [SEP_TEXT] word word``, with neither
CLS nor SEP. The span and the boundary checkpoints share it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

SEPARATOR, TEXT, PROMPT = "[SEP_STRUCT]", "[SEP_TEXT]", "[P]"
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
