"""Weak labels on a hand-made WordNet of a few synsets."""

import random
from pathlib import Path

import pytest

from glinermt.errors import DataError
from glinermt.training.shipped.weak_labels.examples import ExampleMaker, Passage, passages
from glinermt.training.shipped.weak_labels.mentions import (
    Mention,
    defined_mentions,
    kind_types,
    wordnet_mentions,
)
from glinermt.training.shipped.weak_labels.roles import ROLES
from glinermt.training.shipped.weak_labels.wordnet import (
    ARTIFACT,
    OBJECT,
    PERSON,
    Synset,
    WordNet,
    read_wordnet,
)

NET = WordNet(
    synsets={
        "top": Synset(("entity",), 3, (), False),
        "person": Synset(("person",), PERSON, ("top",), False),
        "writer": Synset(("writer",), PERSON, ("person",), False),
        "novelist": Synset(("novelist",), PERSON, ("writer",), False),
        "river": Synset(("river",), OBJECT, ("top",), False),
        "danube": Synset(("danube",), OBJECT, ("river",), True),
        "instrument": Synset(("musical instrument",), ARTIFACT, ("top",), False),
        "violin": Synset(("violin",), ARTIFACT, ("instrument",), False),
        "bank": Synset(("bank",), OBJECT, ("top",), False),
        "bank2": Synset(("bank",), ARTIFACT, ("top",), False),
    },
    senses={
        "person": ("person",),
        "writer": ("writer",),
        "novelist": ("novelist",),
        "river": ("river",),
        "danube": ("danube",),
        "musical instrument": ("instrument",),
        "violin": ("violin",),
        "bank": ("bank", "bank2"),
    },
)


def found(text: str, mentions: list[Mention]) -> set[tuple[str, str]]:
    return {(text[m.start : m.end], m.types[0]) for m in mentions}


def test_names_and_plural_nouns_with_one_meaning_are_found() -> None:
    text = "He saw the Danube and played two violins near the bank."
    assert found(text, list(wordnet_mentions(text, NET))) == {
        ("Danube", "river"),
        ("violins", "musical instrument"),
    }


def test_a_definition_types_every_mention_of_its_name() -> None:
    text = "Ann Lee was an American novelist. Later Ann Lee moved."
    mentions = list(defined_mentions(text, NET))
    assert {text[m.start : m.end] for m in mentions} == {"Ann Lee"}
    assert len({m.start for m in mentions}) == 2
    assert mentions[0].types == ("novelist", "writer", "person")


def test_the_death_of_a_person_is_not_their_kind() -> None:
    assert not list(defined_mentions("After the river of Ann Lee came rain.", NET))


@pytest.mark.parametrize(
    ("phrase", "types"),
    [
        ("American novelist", ("novelist", "writer", "person")),
        ("famous novelist of the north", ("famous novelist", "novelist", "writer", "person")),
        ("Ann", ()),
        ("unheard thing", ()),
    ],
)
def test_a_noun_phrase_names_types_from_narrow_to_broad(
    phrase: str, types: tuple[str, ...]
) -> None:
    assert kind_types(phrase, NET) == types


def test_absent_types_are_unrelated_to_what_is_there() -> None:
    there = Passage("Ann Lee wrote it all.", (Mention(0, 7, ("novelist",)),))
    others = [Passage("The Danube.", (Mention(4, 10, ("river", "writer", "person")),))]
    maker = ExampleMaker([there, *others], NET, cap=100)
    for seed in range(20):
        example = maker.make(there, random.Random(seed))
        assert example is not None
        assert [(s.text, s.label) for s in example.spans] == [("Ann Lee", "novelist")]
        assert set(example.query.labels) <= {"novelist", "river"}


def test_passages_never_cut_a_mention() -> None:
    text = "One two three four five. Six seven eight nine ten. The end of it comes now."
    mention = Mention(text.index("five"), text.index("Six") + 3, ("x",))
    for seed in range(10):
        pieces = list(passages(text, [mention], random.Random(seed)))
        assert [p.text[m.start : m.end] for p in pieces for m in p.mentions] == ["five. Six"]


def test_roles_are_lower_case_words() -> None:
    names = [name for sides in ROLES.values() for side in sides for name in side]
    assert names
    assert all(name == name.lower().strip() for name in names)


def test_a_missing_wordnet_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no WordNet here"):
        read_wordnet(tmp_path)
