"""Free types of names, read off a dependency parse: appositions, copulas, "such as", titles."""

from collections.abc import Iterable, Iterator
from typing import Any

from glinermt.training.shipped.weak_labels.mentions import Mention, kind_types
from glinermt.training.shipped.weak_labels.wordnet import WordNet

MAX_WORDS = 8
"""Words of a name, at most."""
_NUMBERS = frozenset("DATE TIME PERCENT MONEY QUANTITY ORDINAL CARDINAL".split())
_EXAMPLES = frozenset(["like", "including"])


def described_mentions(doc: Any, net: WordNet) -> list[Mention]:
    """Return the names of a parsed text that the text says the kind of, at every place of theirs.

    Args:
        doc: a ``spacy.tokens.Doc`` with entities, tags and a parse.
        net: knows which nouns name kinds of things that have names.
    """
    types: dict[str, dict[str, None]] = {}
    for name, phrase in _descriptions(doc):
        for kind in kind_types(phrase, net):
            types.setdefault(name, {})[kind] = None
    return [
        Mention(start, end, tuple(types[text])) for start, end, text in names(doc) if text in types
    ]


def names(doc: Any) -> list[tuple[int, int, str]]:
    """Return start, end and text of each name in a parsed text, entities or other proper nouns."""
    found = [
        (ent.start_char, ent.end_char, ent.text)
        for ent in doc.ents
        if ent.label_ not in _NUMBERS and any(token.pos_ == "PROPN" for token in ent)
    ]
    taken = {token.i for ent in doc.ents for token in ent}
    run: list[Any] = []
    for token in [*doc, None]:
        if token is not None and token.pos_ == "PROPN" and token.i not in taken:
            run.append(token)
        elif run:
            start, end = run[0].idx, run[-1].idx + len(run[-1])
            found.append((start, end, doc.text[start:end]))
            run = []
    return sorted(found)


def _descriptions(doc: Any) -> Iterator[tuple[str, str]]:
    """Yield names, each with a noun phrase that says what it is."""
    for token in doc:
        for one, other in _described(token):
            yield from _pair(doc, one, other)


def _described(token: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the two tokens of which ``token`` says that one is what the other is called."""
    if token.dep_ == "appos":
        yield token.head, token
    elif token.dep_ == "attr" and token.head.lemma_ == "be":
        around = list(token.head.children)
        if not any(child.dep_ == "neg" for child in around):
            yield from ((child, token) for child in around if child.dep_ == "nsubj")
    elif token.dep_ == "prep" and token.head.pos_ == "NOUN" and _lists_examples(token):
        first = [child for child in token.children if child.dep_ == "pobj"]
        yield from ((named, token.head) for child in first for named in (child, *child.conjuncts))
    elif token.dep_ in ("compound", "nmod") and token.pos_ == "NOUN":
        yield token.head, token


def _lists_examples(preposition: Any) -> bool:
    words = [preposition.text, *(child.text for child in preposition.children)]
    return words[0].lower() in _EXAMPLES or "such" in map(str.lower, words)


def _pair(doc: Any, one: Any, other: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and the phrase of its kind where one token is a name, the other no name."""
    for named, kind in ((one, other), (other, one)):
        if named.pos_ == "PROPN" and kind.pos_ == "NOUN":
            name = _name_at(doc, named)
            if name is not None:
                yield name, _phrase(doc, kind)


def _name_at(doc: Any, token: Any) -> str | None:
    for ent in doc.ents:
        if ent.start <= token.i < ent.end:
            short = len(ent) <= MAX_WORDS and ent.label_ not in _NUMBERS
            return str(ent.text) if short else None
    first = last = token.i
    while first > 0 and doc[first - 1].pos_ == "PROPN":
        first -= 1
    while last + 1 < len(doc) and doc[last + 1].pos_ == "PROPN":
        last += 1
    return str(doc[first : last + 1].text) if last - first < MAX_WORDS else None


def _phrase(doc: Any, noun: Any) -> str:
    """Return a noun with the nouns before it; adjectives say how it is, not what."""
    first = noun.i
    while first > 0 and doc[first - 1].head == noun and doc[first - 1].dep_ == "compound":
        first -= 1
    return str(doc[first : noun.i + 1].text)


def silent_places(
    places: Iterable[tuple[int, int, str]], typed: Iterable[Mention]
) -> list[tuple[int, int]]:
    """Return the places of names whose types nobody has said."""
    known = list(typed)
    return [
        (start, end)
        for start, end, _ in places
        if not any(m.start < end and start < m.end for m in known)
    ]
