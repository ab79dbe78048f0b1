"""Sentences for Lead-3 and the oracle, so that neither depends on any model's splitter."""

import re

_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9])|\n+")
_ABBREVIATIONS = {"mr.", "mrs.", "ms.", "dr.", "st.", "gen.", "sen.", "rep.", "gov.", "col.", "lt."}


def split_sentences(text: str) -> list[str]:
    """Give the sentences, by end marks and a few English abbreviations."""
    sentences, start = [], 0
    for match in _END.finditer(text):
        words = text[start : match.end()].split()
        last = words[-1].lower() if words else ""
        if last in _ABBREVIATIONS or re.fullmatch(r"(?:[a-z]\.)+", last):
            continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]
