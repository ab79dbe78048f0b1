"""``python -m glinermt.training.shipped.weak_labels``: builds the weakly labelled files."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from glinermt.exits import run_script
from glinermt.jsonl import read_jsonl, write_jsonl
from glinermt.training.data.detokenize import detokenize
from glinermt.training.shipped.weak_labels.examples import ExampleMaker, Passage, passages
from glinermt.training.shipped.weak_labels.mentions import (
    Mention,
    defined_mentions,
    wordnet_mentions,
)
from glinermt.training.shipped.weak_labels.roles import ROLES
from glinermt.training.shipped.weak_labels.wordnet import WordNet, read_wordnet
from glinermt.types import Example

TEXTS = ("wikipedia_docred_intros", "wikipedia_gap_snippets", "wikipedia_squadshifts_paragraphs",
         "wikipedia_wikinews_qamr_paragraphs", "wikitext2_articles")  # fmt: skip
_UNKNOWN = "<unk>"
CONTEXTS = ("squad11_dev_extra13",)


def main(
    data_root: Annotated[Path, typer.Option(help="Folder with train/text, train/re, train/qa.")],
    wordnet: Annotated[Path, typer.Option(help="WordNet's dict folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    seed: int = 0,
    cap: Annotated[int, typer.Option(help="Most examples that ask for one type.")] = 250,
) -> None:
    """Write roles.jsonl.xz and texts.jsonl.xz below OUT, and print what is in them."""
    net = read_wordnet(wordnet)
    out.mkdir(parents=True, exist_ok=True)
    for name, read in (("roles", _role_passages), ("texts", _text_passages)):
        rng = random.Random(f"{seed}:{name}")
        found = list({p.text: p for p in read(data_root, net, rng)}.values())
        rng.shuffle(found)
        maker = ExampleMaker(found, net, cap=cap)
        made = (maker.make(p, rng) for p in track(found, description=name))
        _write(_fewer_empty([e for e in made if e is not None]), out / f"{name}.jsonl.xz")


def _role_passages(root: Path, net: WordNet, rng: random.Random) -> Iterator[Passage]:
    for file in ("re_docred", "fewrel_train64_lower"):
        for _, row in read_jsonl(root / f"train/re/{file}.train.jsonl.xz"):
            text, offsets = detokenize(row["tokens"])
            types: dict[tuple[int, int], dict[str, None]] = defaultdict(dict)
            for relation in row["relations"]:
                roles = ROLES.get(relation["relation"], ((), ()))
                for side, names in zip(("head", "tail"), roles, strict=True):
                    place = relation[side]
                    span = offsets[place["start"]][0], offsets[place["end"]][1]
                    types[span].update(dict.fromkeys(names))
            mentions = [Mention(s, e, tuple(t)) for (s, e), t in sorted(types.items()) if t]
            if file == "re_docred":
                mentions += [m for m in wordnet_mentions(text, net) if text[m.start].isupper()]
                yield from passages(text, _disjoint(mentions), rng)
            elif mentions:
                yield Passage(text, tuple(_disjoint(mentions)), sparse=True)


def _text_passages(root: Path, net: WordNet, rng: random.Random) -> Iterator[Passage]:
    texts = [
        row["text"]
        for name in TEXTS
        for _, row in read_jsonl(root / f"train/text/{name}.train.jsonl.xz")
    ]
    texts += [
        row["context"]
        for name in CONTEXTS
        for _, row in read_jsonl(root / f"train/qa/{name}.train.jsonl.xz")
    ]
    for text in track(list(dict.fromkeys(texts)), description="texts: mentions"):
        if _UNKNOWN in text:  # WikiText's rare words, names above all
            text = ". ".join(s for s in text.split(". ") if _UNKNOWN not in s)
        mentions = [*defined_mentions(text, net), *wordnet_mentions(text, net)]
        yield from passages(text, _disjoint(mentions), rng)


def _fewer_empty(examples: list[Example]) -> list[Example]:
    """Keep one example without spans for every eight with some."""
    filled = [e for e in examples if e.spans]
    empty = [e for e in examples if not e.spans]
    return filled + empty[: len(filled) // 8]


def _disjoint(mentions: Iterable[Mention]) -> list[Mention]:
    """Of overlapping mentions keep the first given; the same span gathers all its types."""
    kept: dict[tuple[int, int], Mention] = {}
    for m in mentions:
        old = kept.get((m.start, m.end))
        if old is not None:
            types = tuple(dict.fromkeys([*old.types, *m.types]))
            kept[m.start, m.end] = Mention(m.start, m.end, types)
        elif not any(k.start < m.end and m.start < k.end for k in kept.values()):
            kept[m.start, m.end] = m
    return sorted(kept.values(), key=lambda m: m.start)


def _write(examples: list[Example], path: Path) -> None:
    write_jsonl(path, (example.to_dict() for example in examples))
    types = Counter(span.label for example in examples for span in example.spans)
    most = ", ".join(f"{name} {count}" for name, count in types.most_common(25))
    print(f"{path}: {len(examples)} examples, {len(types)} types, {types.total()} spans: {most}")


if __name__ == "__main__":
    run_script(main)
