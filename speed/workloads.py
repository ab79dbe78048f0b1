"""Texts and labels of the benchmark: made of the same sentences, the same on every machine."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

SENTENCES = Path(__file__).with_name("sentences.txt").read_text(encoding="utf-8").splitlines()
LABELS = (
    "person", "organization", "city", "country", "date", "event", "product", "money", "sports team",
    "disease", "mountain", "law or treaty", "work of art", "job title", "scientific instrument",
    "river", "drug", "university", "newspaper", "food", "software", "quantity", "percentage",
    "vehicle", "building", "language", "award", "musical instrument", "crop", "court",
)  # fmt: skip


@dataclass(frozen=True)
class Workload:
    """Texts that are given at once, or one after another."""

    name: str
    texts: tuple[str, ...]
    one_by_one: bool = False

    @property
    def num_words(self) -> int:
        return sum(len(text.split()) for text in self.texts)


def workloads(*, quick: bool = False) -> list[Workload]:
    """Return the four rows of the table; with ``quick`` fewer texts of each."""
    random = Random(0)
    single = random.sample(SENTENCES, 4 if quick else 12)
    bulk = [random.choice(SENTENCES) for _ in range(6 if quick else 48)]
    lengths = [random.lognormvariate(4.0, 0.9) for _ in range(6 if quick else 24)]
    mixed = [text_of(random, min(max(int(length), 5), 250)) for length in lengths]
    long = [text_of(random, 300) for _ in range(1 if quick else 3)]
    return [
        Workload("one short text", tuple(single), one_by_one=True),
        Workload("short texts", tuple(bulk)),
        Workload("mixed lengths", tuple(mixed)),
        Workload("long texts", tuple(long)),
    ]


def text_of(random: Random, num_words: int) -> str:
    """Return whole sentences in random order until there are words enough, cut to the number."""
    words: list[str] = []
    while len(words) < num_words:
        words += random.choice(SENTENCES).split()
    return " ".join(words[:num_words])
