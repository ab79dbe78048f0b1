"""Joins the tokens of a corpus to natural text, keeping where each token went."""

from collections.abc import Sequence

REPLACED = {
    "-LRB-": "(",
    "-RRB-": ")",
    "-LSB-": "[",
    "-RSB-": "]",
    "-LCB-": "{",
    "-RCB-": "}",
    "``": '"',
    "''": '"',
}
"""Names that treebanks write for marks."""
_NO_SPACE_BEFORE = frozenset(
    [
        ",",
        ".",
        ";",
        ":",
        "!",
        "?",
        ")",
        "]",
        "}",
        "%",
        "...",
        "’",
        "”",
        "n't",
        "'s",
        "'S",
        "'re",
        "'ve",
        "'ll",
        "'d",
        "'m",
        "’s",
        "n’t",
    ]
)
_NO_SPACE_AFTER = frozenset(["(", "[", "{", "“", "‘", "@", "#", "$", "£", "€"])
_TIGHT = frozenset(["-", "/", "–"])
_CONTRACTED = frozenset(["s", "t", "re", "ve", "ll", "d", "m", "S", "T"])


def detokenize(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text and each token's character offsets in it.

    A closing mark follows its word, an opening one sticks to the next; straight quotes alternate;
    a hyphen or slash between two words joins them, as the splitters that cut it off found it.
    """
    text, offsets, glue = "", [], True
    quote_open = {'"': False, "'": False}
    for i, raw in enumerate(tokens):
        token = REPLACED.get(raw, raw)
        space = not glue and token not in _NO_SPACE_BEFORE
        glue = token in _NO_SPACE_AFTER
        if _joins(tokens, i):
            space, glue = False, True
        elif token == "'" and i and not quote_open["'"] and tokens[i - 1].endswith("s"):
            space = False
        elif token in quote_open:
            space, glue = space and not quote_open[token], not quote_open[token]
            quote_open[token] = not quote_open[token]
        if space:
            text += " "
        offsets.append((len(text), len(text) + len(token)))
        text += token
    return text, offsets


def _joins(tokens: Sequence[str], i: int) -> bool:
    """Whether the mark at ``i`` was cut out of a word: a hyphen, a decimal point, an apostrophe."""
    if not 0 < i < len(tokens) - 1:
        return False
    mark, before, after = tokens[i], tokens[i - 1][-1:], tokens[i + 1]
    if mark in _TIGHT:
        return before.isalnum() and after[:1].isalnum()
    if mark in (".", ":"):
        return before.isdigit() and after[:1].isdigit()
    return mark in ("'", "’") and before.isalpha() and after in _CONTRACTED
