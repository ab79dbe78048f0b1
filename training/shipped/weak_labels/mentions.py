"""Finds typed mentions in plain text: WordNet's nouns, definitions and appositions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from glinermt.training.shipped.weak_labels import wordnet as wn
from glinermt.training.shipped.weak_labels.wordnet import Synset, WordNet


@dataclass(frozen=True, slots=True)
class Mention:
    """Characters of a text and the types they are known to have, the most telling first."""

    start: int
    end: int
    types: tuple[str, ...]


_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_NAME = r"[A-Z][\w.'’&-]*(?:(?: (?:of|the|de|la|van|von|and|for|&))* (?:[A-Z][\w.'’&-]*|\d+))*"
_DEFINITION = re.compile(
    rf"(?:^|(?<=[.!?] ))(?:The |the )?(?P<name>{_NAME})(?: \([^()]{{1,120}}\))?,?"
    r"(?: (?:also|better|formerly|commonly|sometimes) [^,.]{1,60},)?"
    r" (?:is|was|are|were) (?:an?|the|one of the) (?P<kind>[^.,;:()]{3,80})"
)
_BEFORE = re.compile(
    rf"\b(?:[Tt]he|[Aa]n?) (?P<kind>[a-z]+(?:[ -][a-z]+){{0,2}}) (?P<name>{_NAME})"
)
_AFTER = re.compile(
    rf"(?P<name>{_NAME}), (?:an?|the) (?P<kind>[A-Za-z -]{{3,60}}?)"
    r"(?=[,.;]| (?:of|in|from|who|that|which|by|and) )"
)
_KIND_END = re.compile(
    r"\b(?:of|in|from|by|for|on|at|to|with|that|which|who|whose|where|and|or|based|known|used|"
    r"located|born|made|held|set|as|published|released|written|founded|currently|between)\b.*"
)
_COMMON_KINDS = frozenset({wn.ANIMAL, wn.ARTIFACT, wn.BODY, wn.FOOD, wn.PLANT, wn.SUBSTANCE})
_PLACES = frozenset({wn.LOCATION, wn.OBJECT})
_MAX_WORDS = 4


def wordnet_mentions(text: str, net: WordNet) -> Iterator[Mention]:
    """Find names and concrete nouns with one clear meaning, the longest first."""
    words = list(_WORD.finditer(text))
    i = 0
    while i < len(words):
        for size in range(min(_MAX_WORDS, len(words) - i), 0, -1):
            start, end = words[i].start(), words[i + size - 1].end()
            types = _noun_types(text[start:end], net, first=_opens_sentence(text, start))
            if types:
                yield Mention(start, end, types)
                i += size - 1
                break
        i += 1


def defined_mentions(text: str, net: WordNet) -> Iterator[Mention]:
    """Find names that the text itself says the kind of, and their other mentions in it."""
    for pattern in (_DEFINITION, _BEFORE, _AFTER):
        for match in pattern.finditer(text):
            if pattern is _BEFORE and _KIND_END.search(match["kind"]):
                continue  # "the death of Claire Williamson" says nothing of her kind
            types = kind_types(match["kind"], net)
            name = match["name"]
            if not types or len(name) < 3 or name.lower() in _NO_NAMES:
                continue
            for again in re.finditer(rf"\b{re.escape(name)}(?!\w)", text):
                yield Mention(again.start(), again.end(), types)


def kind_types(phrase: str, net: WordNet) -> tuple[str, ...]:
    """Return the types a noun phrase names ("American rock band from X": rock band, band, ...)."""
    words = _KIND_END.sub("", phrase).strip().split()
    while words and (words[0][0].isupper() or not words[0][0].isalpha()):
        words.pop(0)
    if not words or len(words) > 5 or not all(word.isalpha() or "-" in word for word in words):
        return ()
    head = net.singular(words[-1].lower())
    ids = net.senses.get(head, ())
    if not ids or head in net.generic or head in _NO_KINDS:
        return ()
    synset = net.sense(head) or net.synsets[ids[0]]
    if synset.kind not in _NAMED_KINDS:
        return ()
    full = [" ".join([*(w.lower() for w in words[-2:-1]), head])] if len(words) > 1 else []
    return tuple(dict.fromkeys([*full, head, *_levels(synset, net)[:2]]))


_NAMED_KINDS = frozenset(
    {wn.ARTIFACT, wn.COMMUNICATION, wn.EVENT, wn.GROUP, wn.LOCATION, wn.OBJECT, wn.PERSON}
    | {wn.ANIMAL, wn.PLANT, wn.FOOD, wn.SUBSTANCE, wn.STATE}
)
_NO_NAMES = frozenset(
    "he she it they this that these those there who what i we you his her its their in on at by "
    "from for as after during while when however although both many some one two but if".split()
)
_NO_KINDS = frozenset(
    "name term word type kind form part member series number group list version example result "
    "reason time year day man woman person people place thing way case name title son daughter "
    "brother sister father mother wife husband child friend side end one first last home house "
    "center centre capital record hit success failure sign official native resident".split()
)


def _noun_types(phrase: str, net: WordNet, *, first: bool) -> tuple[str, ...]:
    is_name = phrase[0].isupper()
    word = phrase.lower()
    if is_name and word not in net.senses:
        return ()
    if not is_name:
        head, _, last = word.rpartition(" ")
        word = f"{head} {net.singular(last)}".strip()
    synset = net.sense(word)
    if synset is None or (" " not in word and word in net.other_classes) or len(word) < 4:
        return ()
    if synset.is_instance:
        # A single capitalised word may be anybody's surname, but hardly another country.
        fits = is_name and (" " in word or (not first and synset.kind in _PLACES))
    else:
        fits = not is_name and (synset.kind in _COMMON_KINDS or _is_disease_or_field(synset, net))
    return tuple(_levels(synset, net)) if fits else ()


def _is_disease_or_field(synset: Synset, net: WordNet) -> bool:
    above = {word for ancestor in net.ancestors(synset) for word in ancestor.words}
    return bool(above & {"disease", "discipline", "musical instrument", "music genre", "game"})


def _levels(synset: Synset, net: WordNet) -> list[str]:
    """Return one word for each synset above, nearest first, up to the first generic one."""
    levels = []
    for ancestor in net.ancestors(synset):
        word = ancestor.words[0]
        if word in net.generic:
            continue
        levels.append(word)
    return levels[:2]


def _opens_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip()
    return not before or before[-1] in '.!?"“”:;'
