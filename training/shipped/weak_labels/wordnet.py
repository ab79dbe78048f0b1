"""The nouns of WordNet 3 read from its dictionary files, as far as typing names needs them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from glinermt.errors import DataError

ANIMAL, ARTIFACT, BODY, COGNITION, COMMUNICATION = 5, 6, 8, 9, 10
EVENT, FOOD, GROUP, LOCATION, OBJECT, PERSON, PLANT = 11, 13, 14, 15, 17, 18, 20
STATE, SUBSTANCE = 26, 27
"""Lexicographer files of WordNet: the coarse kinds of its nouns."""

_DOMINANT_COUNT, _DOMINANT_SHARE = 5, 0.85


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning: its words, its kind, and the synsets above it."""

    words: tuple[str, ...]
    kind: int
    parents: tuple[str, ...]
    is_instance: bool
    """A name (Danube) rather than a class (river)."""


@dataclass(frozen=True)
class WordNet:
    """Nouns only. Words are lower case with spaces."""

    synsets: dict[str, Synset]
    senses: dict[str, tuple[str, ...]]
    """Word -> its synsets, the most frequent first."""
    counts: dict[tuple[str, int], int] = field(default_factory=dict)
    """(word, sense number from 1) -> how often the sense was seen in tagged text."""
    other_classes: frozenset[str] = frozenset()
    """Words that were also seen as verb, adjective or adverb."""
    plurals: dict[str, str] = field(default_factory=dict)

    def sense(self, word: str) -> Synset | None:
        """Return the one meaning of ``word``, or the one that dominates; None in doubt."""
        ids = self.senses.get(word, ())
        if len(ids) == 1:
            return self.synsets[ids[0]]
        seen = [self.counts.get((word, i + 1), 0) for i in range(len(ids))]
        if sum(seen) >= _DOMINANT_COUNT and seen[0] >= _DOMINANT_SHARE * sum(seen):
            return self.synsets[ids[0]]
        return None

    def singular(self, word: str) -> str:
        """Return the dictionary form of a noun, the word itself where none is known."""
        if word in self.senses:
            return word
        if word in self.plurals:
            return self.plurals[word]
        for ending, replacement in (("ies", "y"), ("es", ""), ("s", "")):
            stem = word.removesuffix(ending) + replacement
            if word.endswith(ending) and stem in self.senses:
                return stem
        return word

    def ancestors(self, synset: Synset) -> Iterator[Synset]:
        """Yield the synsets above, nearest first, along the first parent of each."""
        while synset.parents:
            synset = self.synsets[synset.parents[0]]
            yield synset

    def related(self, word: str) -> frozenset[str]:
        """Return all words above any meaning of ``word``, and its synonyms."""
        found: set[str] = {word}
        queue = list(self.senses.get(word, ()))
        while queue:
            synset = self.synsets[queue.pop()]
            if not set(synset.words) <= found or synset.words[0] == word:
                queue.extend(synset.parents)
            found.update(synset.words)
        return frozenset(found)

    @cached_property
    def generic(self) -> frozenset[str]:
        """Words with too much below them to say anything: entity, object, act, ..."""
        below: dict[str, int] = {}
        for synset in self.synsets.values():
            for ancestor in self.ancestors(synset):
                below[ancestor.words[0]] = below.get(ancestor.words[0], 0) + 1
        words = {
            word
            for synset in self.synsets.values()
            if below.get(synset.words[0], 0) > _GENERIC_BELOW
            for word in synset.words
        }
        return frozenset(words - _WELCOME | _STOP)


_GENERIC_BELOW = 1500
_WELCOME = frozenset({"person", "animal", "plant", "location", "organism", "food", "event"})
_STOP = frozenset(
    [
        "causal agent",
        "thing",
        "part",
        "unit",
        "instrumentality",
        "artifact",
        "structure",
        "covering",
        "device",
        "content",
        "message",
        "signal",
        "psychological feature",
        "creation",
        "product",
        "commodity",
        "matter",
        "point",
        "line",
        "area",
        "geographical area",
        "adult",
        "worker",
        "male",
        "female",
        "woman",
        "man",
        "peer",
        "contestant",
        "good person",
        "bad person",
        "unfortunate",
        "unskilled person",
        "experience",
        "way",
        "tract",
        "article",
        "equipment",
        "implement",
        "container",
        "facility",
        "extremity",
        "body",
        "auditory communication",
        "people",
        "gathering",
        "social group",
        "grouping",
        "unit of measurement",
        "subject",
        "happening",
        "physical property",
        "constituent",
        "component",
        "elite",
        "individual",
        "somebody",
        "someone",
        "mortal",
        "soul",
        "inhabitant",
        "indweller",
        "denizen",
        "dweller",
        "leader",
        "intellectual",
        "entertainer",
        "user",
    ]
)


def read_wordnet(folder: Path) -> WordNet:
    """Read ``data.noun``, ``index.*``, ``noun.exc`` and ``cntlist.rev``.

    Raises:
        DataError: a file is not there.
    """
    try:
        synsets = dict(_synsets(folder / "data.noun"))
        senses = dict(_senses(folder / "index.noun"))
        classes = [dict(_seen(folder / f"index.{c}")) for c in ("verb", "adj", "adv")]
        plurals = dict(line.split()[:2] for line in _lines(folder / "noun.exc"))
        counts = dict(_counts(folder / "cntlist.rev"))
    except OSError as error:
        raise DataError(f"{folder}: no WordNet here ({error}); give its dict folder") from error
    others = frozenset(word for seen in classes for word, number in seen.items() if number)
    return WordNet(synsets, senses, counts, others, plurals)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith("  "))


def _word(raw: str) -> str:
    return raw.replace("_", " ").lower()


def _synsets(path: Path) -> Iterator[tuple[str, Synset]]:
    for line in _lines(path):
        fields = line.split(" | ")[0].split()
        number = int(fields[3], 16)
        words = tuple(_word(word) for word in fields[4 : 4 + 2 * number : 2])
        pointers = fields[5 + 2 * number :]
        symbols = list(zip(pointers[0::4], pointers[1::4], strict=False))
        parents = tuple(target for symbol, target in symbols if symbol in ("@", "@i"))
        is_instance = any(symbol == "@i" for symbol, _ in symbols)
        yield fields[0], Synset(words, int(fields[1]), parents, is_instance)


def _senses(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in _lines(path):
        fields = line.split()
        yield _word(fields[0]), tuple(fields[-int(fields[2]) :])


def _seen(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each word with the number of its senses that were seen in tagged text."""
    for line in _lines(path):
        fields = line.split()
        yield _word(fields[0]), int(fields[-int(fields[2]) - 1])


def _counts(path: Path) -> Iterator[tuple[tuple[str, int], int]]:
    for line in _lines(path):
        key, sense, count = line.split()
        word, _, rest = key.partition("%")
        if rest.startswith("1"):  # a noun
            yield (_word(word), int(sense)), int(count)
