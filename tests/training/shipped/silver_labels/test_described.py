"""Free types read off hand-made parses; the parser itself is spaCy's business."""

from typing import Any

import pytest

from glinermt.training.shipped.silver_labels.described import (
    described_mentions,
    names,
    silent_places,
)
from glinermt.training.shipped.weak_labels.wordnet import OBJECT, PERSON, Synset, WordNet

pytest.importorskip("spacy", reason="the silver labels are made with spaCy")

NET = WordNet(
    synsets={
        "top": Synset(("entity",), 3, (), False),
        "person": Synset(("person",), PERSON, ("top",), False),
        "writer": Synset(("writer",), PERSON, ("person",), False),
        "river": Synset(("river",), OBJECT, ("top",), False),
    },
    senses={"person": ("person",), "writer": ("writer",), "river": ("river",)},
)


def _doc(
    words: list[str], tags: list[str], heads: list[int], deps: list[str], ents: list[str]
) -> Any:
    from spacy.tokens import Doc
    from spacy.vocab import Vocab

    lemmas = ["be" if word in ("is", "was") else word.lower() for word in words]
    return Doc(Vocab(), words=words, pos=tags, heads=heads, deps=deps, ents=ents, lemmas=lemmas)


@pytest.fixture
def apposition() -> Any:
    return _doc(
        ["Munro", ",", "a", "writer", ",", "met", "Bohr", ".", "Munro", "left", "."],
        "PROPN PUNCT DET NOUN PUNCT VERB PROPN PUNCT PROPN VERB PUNCT".split(),
        [5, 0, 3, 0, 0, 5, 5, 5, 9, 9, 9],
        "nsubj punct det appos punct ROOT dobj punct nsubj ROOT punct".split(),
        ["B-PERSON", "O", "O", "O", "O", "O", "B-PERSON", "O", "B-PERSON", "O", "O"],
    )


def _typed(doc: Any) -> list[tuple[str, str]]:
    return [(doc.text[m.start : m.end], m.types[0]) for m in described_mentions(doc, NET)]


def test_an_apposition_types_every_mention_of_the_name(apposition: Any) -> None:
    assert _typed(apposition) == [("Munro", "writer")] * 2


def test_names_without_a_described_type_are_silent(apposition: Any) -> None:
    typed = described_mentions(apposition, NET)
    silent = silent_places(names(apposition), typed)
    assert [apposition.text[start:end] for start, end in silent] == ["Bohr"]


def test_a_copula_says_what_a_name_is_unless_it_is_negated() -> None:
    words = ["Inn", "is", "a", "river", "."]
    tags = ["PROPN", "AUX", "DET", "NOUN", "PUNCT"]
    ents = ["B-LOC", "O", "O", "O", "O"]
    plain = _doc(words, tags, [1, 1, 3, 1, 1], ["nsubj", "ROOT", "det", "attr", "punct"], ents)
    assert _typed(plain) == [("Inn", "river")]
    words[2:2], tags[2:2], ents[2:2] = ["not"], ["PART"], ["O"]
    deps = ["nsubj", "ROOT", "neg", "det", "attr", "punct"]
    assert _typed(_doc(words, tags, [1, 1, 1, 4, 1, 1], deps, ents)) == []


def test_examples_of_a_kind_have_that_kind() -> None:
    doc = _doc(
        ["big", "rivers", "such", "as", "Inn", "and", "Isar"],
        ["ADJ", "NOUN", "ADJ", "ADP", "PROPN", "CCONJ", "PROPN"],
        [1, 1, 3, 1, 3, 4, 4],
        ["amod", "ROOT", "amod", "prep", "pobj", "cc", "conj"],
        ["O", "O", "O", "O", "B-LOC", "O", "B-LOC"],
    )
    assert _typed(doc) == [("Inn", "river"), ("Isar", "river")]


def test_a_noun_before_a_name_is_its_kind_and_amounts_are_no_names() -> None:
    doc = _doc(
        ["writer", "Alice", "Munro", "paid", "two", "dollars"],
        ["NOUN", "PROPN", "PROPN", "VERB", "NUM", "NOUN"],
        [2, 2, 3, 3, 5, 3],
        ["compound", "compound", "nsubj", "ROOT", "nummod", "dobj"],
        ["O", "B-PERSON", "I-PERSON", "O", "B-MONEY", "I-MONEY"],
    )
    assert _typed(doc) == [("Alice Munro", "writer")]
    assert [text for _, _, text in names(doc)] == ["Alice Munro"]
