"""``python -m glinermt.training.shipped.silver_labels``: builds the silver files."""

import json
import lzma
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from glinermt.exits import run_script
from glinermt.training.shipped.silver_labels.described import (
    described_mentions,
    names,
    silent_places,
)
from glinermt.training.shipped.weak_labels.examples import ExampleMaker, Passage
from glinermt.training.shipped.weak_labels.mentions import Mention
from glinermt.training.shipped.weak_labels.wordnet import read_wordnet

TEXTS = ("wikipedia_docred_intros", "wikipedia_squadshifts_paragraphs", "wikipedia_gap_snippets",
         "wikipedia_wikinews_qamr_paragraphs")  # fmt: skip
TYPES = {
    "PERSON": "person",
    "NORP": "nationality or group",
    "FAC": "facility",
    "ORG": "organization",
    "GPE": "geopolitical entity",
    "LOC": "location",
    "PRODUCT": "product",
    "EVENT": "event",
    "WORK_OF_ART": "work of art",
    "LAW": "law",
    "LANGUAGE": "language",
    "DATE": "date",
    "TIME": "time",
    "PERCENT": "percent",
    "MONEY": "money",
    "QUANTITY": "quantity",
    "ORDINAL": "ordinal",
    "CARDINAL": "cardinal",
}
"""The pipeline's labels, of OntoNotes 5, and what they are called here."""
MOST_SENTENCES = 12
MOST_WORDS = 150
LOWER_SHARE = 0.25
"""Share of passages of which a lower-cased copy is kept instead: people type that way."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some sentences of a text with all that the pipeline says of them."""

    text: str
    entities: tuple[tuple[int, int, str], ...]
    described: tuple[Mention, ...]
    silent: tuple[tuple[int, int], ...]


def main(
    data_root: Annotated[Path, typer.Option(help="Folder with train/text.")],
    wordnet: Annotated[Path, typer.Option(help="WordNet's dict folder.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    pipeline: Annotated[str, typer.Option(help="spaCy pipeline.")] = "en_core_web_sm",
    seed: int = 0,
    cap: Annotated[int, typer.Option(help="Most examples that ask for one free type.")] = 150,
    most_texts: Annotated[int, typer.Option(help="Texts of each file, at most.")] = 1500,
) -> None:
    """Write entities, described and topics (.jsonl.xz) below OUT, and print what is in them."""
    import spacy

    net = read_wordnet(wordnet)
    nlp = spacy.load(pipeline, exclude=["textcat"])
    rng = random.Random(seed)
    texts = [text for name in TEXTS for text in _texts(data_root, name, most_texts)]
    pieces = [piece for doc in nlp.pipe(texts, batch_size=32) for piece in _pieces(doc, net, rng)]
    rng.shuffle(pieces)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "entities.jsonl.xz", (_entity_row(piece, rng) for piece in pieces))
    described = list(_described_rows(pieces, net, cap, rng))
    _write(out / "described.jsonl.xz", described)
    _write(out / "topics.jsonl.xz", _topic_rows(described))


def _texts(root: Path, name: str, most: int) -> list[str]:
    with lzma.open(root / f"train/text/{name}.train.jsonl.xz", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    return [text for text in dict.fromkeys(texts) if "<unk>" not in text][:most]


def _pieces(doc: Any, net: Any, rng: random.Random) -> Iterator[Piece]:
    """Cut a parsed text into pieces of one to ``MOST_SENTENCES`` sentences."""
    described, places = described_mentions(doc, net), names(doc)
    sents = list(doc.sents)
    i = 0
    while i < len(sents):
        j, wanted = i + 1, i + rng.choice((1, 1, 2, 3, 4, 6, 8, MOST_SENTENCES))
        while j < min(wanted, len(sents)) and sents[j].end - sents[i].start <= MOST_WORDS:
            j += 1
        start, end = sents[i].start_char, sents[j - 1].end_char
        text = doc.text[start:end].rstrip()
        typed = [
            replace(m, start=m.start - start, end=m.end - start)
            for m in described
            if start <= m.start and m.end <= start + len(text)
        ]
        inside = [(a - start, b - start, t) for a, b, t in places if start <= a and b <= end]
        entities = tuple(
            (e.start_char - start, e.end_char - start, TYPES[e.label_])
            for e in doc.ents
            if start <= e.start_char and e.end_char <= start + len(text) and e.label_ in TYPES
        )
        if len(text.split()) >= 4:
            yield Piece(text, entities, tuple(typed), tuple(silent_places(inside, typed)))
        i = j


def _entity_row(piece: Piece, rng: random.Random) -> dict[str, Any]:
    text = piece.text
    lower = text.lower()
    if len(lower) == len(text) and rng.random() < LOWER_SHARE:
        text = lower
    spans = [{"start": s, "end": e, "label": label} for s, e, label in piece.entities]
    return {"text": text, "entities": spans}


def _described_rows(
    pieces: list[Piece], net: Any, cap: int, rng: random.Random
) -> Iterator[dict[str, Any]]:
    typed = [(p, Passage(p.text, p.described)) for p in pieces if p.described]
    maker = ExampleMaker([passage for _, passage in typed], net, cap=cap)
    for piece, passage in typed:
        example = maker.make(passage, rng)
        if example is not None and example.spans:
            yield {**example.to_dict(), "silent": [list(place) for place in piece.silent]}


def _topic_rows(described: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield texts that begin with a described name, as texts of that class."""
    for row in described:
        first = [span["label"] for span in row["spans"] if span["start"] <= len("The ")]
        if first:
            yield {"text": row["text"], "labels": first[:1]}


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    labels: Counter[str] = Counter()
    number = 0
    with lzma.open(path, "wt", encoding="utf-8") as file:
        for row in rows:
            number += 1
            spans = row.get("spans", row.get("entities", []))
            labels.update([span["label"] for span in spans] or row.get("labels", []))
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    most = ", ".join(f"{name} {count}" for name, count in labels.most_common(25))
    print(f"{path}: {number} rows, {len(labels)} types, {labels.total()} spans: {most}")


if __name__ == "__main__":
    run_script(main)
