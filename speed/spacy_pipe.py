"""What a Doc costs in spaCy: our pipe beside gliner-spacy, with the same weights and labels.

    python speed/spacy_pipe.py --docs 10000

reads the same Docs with both in turns of 100, on one thread, and prints each one's processor time.
gliner-spacy also needs seaborn; it is left out where it is not installed.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import spacy
import torch
from contest import contest

SENTENCES = (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").splitlines()
LABELS = ["person", "organization", "city", "country", "date"]
TURN = 100
"""Docs that one pipe reads before the other does."""


def pipes(folder: Path) -> dict[str, Any]:
    """Return the pipelines by name; ``folder`` holds the shipped weights as gliner reads them."""
    ours = spacy.blank("en")
    ours.add_pipe("glinermt", config={"labels": LABELS, "threshold": 0.5})
    found = {"glinermt": ours}
    try:
        import gliner_spacy.pipeline  # noqa: F401  # registers the factory
    except ImportError as error:
        print(f"gliner-spacy is left out: {error}")
        return found
    theirs = spacy.blank("en")
    theirs.add_pipe("gliner_spacy", config={"gliner_model": str(folder), "labels": LABELS})
    return {**found, "gliner-spacy": theirs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=int, default=10_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    chance = random.Random(0)
    texts = [
        " ".join(chance.choice(SENTENCES) for _ in range(1 + i % 3)) for i in range(given.docs)
    ]
    with tempfile.TemporaryDirectory() as name:
        both = pipes(contest("shipped", Path(name) / "shipped").folder)
        busy = dict.fromkeys(both, 0.0)
        entities = dict.fromkeys(both, 0)
        for nlp in both.values():
            list(nlp.pipe(texts[:8]))  # warm
        for start in range(0, len(texts), TURN):
            for which, nlp in both.items():
                began = time.process_time()
                docs = list(nlp.pipe(texts[start : start + TURN]))
                busy[which] += time.process_time() - began
                entities[which] += sum(len(doc.ents) for doc in docs)
    print("| pipe | docs | processor ms a doc | entities |")
    print("|---|---:|---:|---:|")
    for which, seconds in busy.items():
        print(f"| {which} | {len(texts)} | {1000 * seconds / len(texts):.1f} | {entities[which]} |")


if __name__ == "__main__":
    main()
