"""``python -m glinermt.training.shipped.written``: builds the files of written texts."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from glinermt.errors import DataError
from glinermt.exits import run_script
from glinermt.jsonl import write_jsonl
from glinermt.tasks.questions import ANSWER, Question
from glinermt.tasks.task import example
from glinermt.training.config import Sampling
from glinermt.training.data.relations import PairSampler, RelationSampler
from glinermt.training.data.rows import RelationRow
from glinermt.training.shipped.written.passages import Domain, Passage, Thing, read_domain
from glinermt.training.shipped.written.questions import read_topic
from glinermt.types import Example, Query, Span

WHOLE = 10_000
"""Words: no passage is cut."""
RENAMED_SHARE = 0.5
"""Share of names that are replaced by another of their domain and type."""
JOINED_SHARE = 0.4
"""Share of passages that stand among others of their domain: nothing holds from one to another."""
MOST_JOINED = 3
TYPED_SHARE = 0.4
"""Share of questions for relations that ask for types of entities besides."""
MOST_TYPES = 10
BOTH_WAYS = 0.4
"""Share of relations asked both as themselves and as their inverse."""
INVERSE_SHARE = 0.3
"""Share of the others asked as their inverse alone."""


def main(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    texts: Annotated[Path | None, typer.Option(help="Folder of domains (shipped ones).")] = None,
    questions: Annotated[Path | None, typer.Option(help="Folder of topics (shipped ones).")] = None,
    times: Annotated[int, typer.Option(help="Examples made of each passage.")] = 10,
    seed: int = 0,
) -> None:
    """Write pairs, tails, entities, typed and questions (.jsonl.xz) below OUT."""
    domains = [read_domain(path) for path in _files(texts, "texts")]
    rows = [row for path in _files(questions, "questions") for row in read_topic(path)]
    rng = random.Random(seed)
    made: dict[str, list[Example]] = defaultdict(list)
    for domain in domains:
        for _ in range(times):
            for name, asked in examples(domain, rng):
                made[name].append(asked)
    kinds = sum(len(domain.relations) for domain in domains)
    passages = sum(len(domain.passages) for domain in domains)
    print(f"{len(domains)} domains, {kinds} relations, {passages} passages")
    made["questions"] = [example(ANSWER, r.text, Question(r.question), r.answers) for r in rows]
    for name, found in made.items():
        rng.shuffle(found)
        write_jsonl(out / f"{name}.jsonl.xz", (made_of.to_dict() for made_of in found))
        print(f"{out / name}.jsonl.xz: {len(found)} examples")


def _files(folder: Path | None, shipped: str) -> list[Path]:
    folder = folder or Path(str(resources.files(__package__) / shipped))
    found = sorted(folder.glob("*.txt"))
    if not found:
        raise DataError(f"{folder}: no .txt file is in it")
    return found


def examples(domain: Domain, rng: random.Random) -> Iterator[tuple[str, Example]]:
    """Ask once about each passage of a domain; all in the same wordings of its relations.

    One wording a relation, so that no other wording of what holds is taken for what does not.
    A domain without relations is asked for its types only. Yields (file, Example).
    """
    wordings = _wordings(domain, rng)
    sampling = Sampling(max_words=WHOLE, max_relation_labels=16, frequency_share=0.2)
    names = _names(domain)
    passages = [_renamed(passage, names, rng) for passage in domain.passages]
    passages = [_among_others(passage, passages, rng) for passage in passages]
    if not domain.relations:
        for passage in passages:
            yield "typed", _entities(passage, domain, rng)
        return
    rows = [_row(passage, domain, wordings) for passage in passages]
    ask_pairs = PairSampler(rows, sampling)
    ask_tails = RelationSampler(rows, sampling)
    for passage, row in zip(passages, rows, strict=True):
        pairs = ask_pairs(row, rng)
        if rng.random() < TYPED_SHARE:
            labels, spans = _typed(passage, domain, rng)
            query = replace(pairs.query, labels=labels)
            pairs = replace(pairs, query=query, spans=spans)
        yield "pairs", pairs
        if row.triples:
            yield "tails", ask_tails(row, rng)
        yield "entities", _entities(passage, domain, rng)


def _wordings(domain: Domain, rng: random.Random) -> list[tuple[str, bool, str]]:
    """Choose the relations asked: (first wording, whether swapped, wording)."""
    chosen = []
    for name, kind in domain.relations.items():
        forward, inverse = True, False
        if kind.inverse:
            inverse = rng.random() < BOTH_WAYS
            if not inverse and rng.random() < INVERSE_SHARE:
                forward, inverse = False, True
        if forward:
            chosen.append((name, False, rng.choice(kind.wordings)))
        if inverse:
            chosen.append((name, True, rng.choice(kind.inverse)))
    return chosen


def _row(passage: Passage, domain: Domain, wordings: list[tuple[str, bool, str]]) -> RelationRow:
    """Return the passage with what holds between any two of its mentions, and what does not."""
    mentions: dict[str, list[Span]] = defaultdict(list)
    for thing in passage.things:
        words = passage.text[thing.start : thing.end]
        mentions[thing.name].append(Span(thing.start, thing.end, words, ""))
    triples, related = [], set()
    for head, name, tail in passage.triples:
        for of, swapped, wording in wordings:
            if of == name:
                ends = [(tail, head) if swapped else (head, tail)]
                if domain.relations[name].symmetric:
                    ends.append((tail, head))
                related.update(ends)
                triples += [
                    (h, wording, t) for a, b in ends for h in mentions[a] for t in mentions[b]
                ]
    unrelated = [
        (h, t)
        for a in mentions
        for b in mentions
        if (a, b) not in related
        for h in mentions[a]
        for t in mentions[b]
        if h != t
    ]
    return RelationRow(passage.text, tuple(triples), tuple(unrelated))


def _entities(passage: Passage, domain: Domain, rng: random.Random) -> Example:
    labels, spans = _typed(passage, domain, rng)
    return Example(Query(passage.text, labels=labels), spans, "entities")


def _typed(
    passage: Passage, domain: Domain, rng: random.Random
) -> tuple[tuple[str, ...], tuple[Span, ...]]:
    """Ask for some types of the domain; return their labels and what is of them."""
    present = {thing.type for thing in passage.things}
    general = {domain.general[name] for name in present}
    absent = sorted(domain.types.keys() - present - general)
    asked = [name for name in sorted(present) if rng.random() < 0.9]
    room = max(0, MOST_TYPES - len(asked))
    asked += rng.sample(absent, min(len(absent), room, rng.randint(0 if asked else 1, 6)))
    rng.shuffle(asked)
    labels = {name: rng.choice(domain.types[name]) for name in asked}
    spans = tuple(
        Span(thing.start, thing.end, passage.text[thing.start : thing.end], labels[thing.type])
        for thing in passage.things
        if thing.type in labels
    )
    return tuple(dict.fromkeys(labels.values())), spans


def _names(domain: Domain) -> dict[str, list[str]]:
    """Type -> names of things of it that can stand for each other."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for passage in domain.passages:
        for thing in passage.things:
            words = passage.text[thing.start : thing.end]
            if _is_name(words):
                found[thing.type][words] = None
    return {type_: list(names) for type_, names in found.items()}


def _is_name(words: str) -> bool:
    return words[0].isupper() and not words.startswith(("The ", "A ", "An ", "Its ", "Our "))


def _renamed(passage: Passage, names: dict[str, list[str]], rng: random.Random) -> Passage:
    """Give some things, named alike throughout, another name of their type.

    One that shares a word with another thing keeps its name: "Longwind E3" is told to be of
    "Longwind Motors" by that.
    """
    words: dict[str, set[str]] = defaultdict(set)
    for thing in passage.things:
        words[thing.name].add(passage.text[thing.start : thing.end])
    new: dict[str, str] = {}
    taken = {word for found in words.values() for word in found}
    parts = Counter(part for found in words.values() for part in set(" ".join(found).split()))
    for thing in passage.things:
        old = passage.text[thing.start : thing.end]
        alike = words[thing.name] == {old} and _is_name(old) and " " in old
        shared = any(parts[part] > 1 for part in old.split())
        if thing.name in new or not alike or shared or rng.random() >= RENAMED_SHARE:
            continue
        name = rng.choice(names[thing.type])
        if name not in taken:
            new[thing.name] = name
            taken.add(name)
    text, things, end = "", [], 0
    for thing in passage.things:
        text += passage.text[end : thing.start]
        name = new.get(thing.name, passage.text[thing.start : thing.end])
        things.append(Thing(len(text), len(text) + len(name), thing.type, thing.name))
        text += name
        end = thing.end
    return Passage(text + passage.text[end:], tuple(things), passage.triples)


def _among_others(passage: Passage, others: Sequence[Passage], rng: random.Random) -> Passage:
    """Read a share of the passages before or behind others."""
    if rng.random() >= JOINED_SHARE:
        return passage
    parts = rng.sample(others, min(len(others), rng.randint(1, MOST_JOINED)))
    parts = [passage, *(part for part in parts if part is not passage)]
    rng.shuffle(parts)
    gap = rng.choice((" ", "\n"))
    text, things, triples = "", [], []
    for number, part in enumerate(parts):
        start = len(text) + len(gap) if number else 0
        text += gap * bool(number) + part.text
        things += [
            replace(t, start=t.start + start, end=t.end + start, name=f"{t.name}.{number}")
            for t in part.things
        ]
        triples += [(f"{h}.{number}", name, f"{t}.{number}") for h, name, t in part.triples]
    return Passage(text, tuple(things), tuple(triples))


if __name__ == "__main__":
    run_script(main)
