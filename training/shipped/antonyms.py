"""Antonyms of WordNet, as ``tasks/antonyms.txt`` holds them: python -m ...antonyms DICT > FILE."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from glinermt.exits import run_script

KINDS = ("adj", "adv", "verb")
ANTONYM = "!"
NOTICE = """\
Antonyms of WordNet 3.0: adjectives, adverbs and verbs of one word of three letters or more, a pair
a line. Made by `python -m glinermt.training.shipped.antonyms`.

This software and database is being provided to you, the LICENSEE, by Princeton University under the
following license. By obtaining, using and/or copying this software and database, you agree that you
have read, understood, and will comply with these terms and conditions.:

Permission to use, copy, modify and distribute this software and database and its documentation for
any purpose and without fee or royalty is hereby granted, provided that you agree to comply with the
following copyright notice and statements, including the disclaimer, and that the same appear on ALL
copies of the software, database and documentation, including modifications that you make for
internal use or for distribution.

WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved.

THIS SOFTWARE AND DATABASE IS PROVIDED "AS IS" AND PRINCETON UNIVERSITY MAKES NO REPRESENTATIONS OR
WARRANTIES, EXPRESS OR IMPLIED. BY WAY OF EXAMPLE, BUT NOT LIMITATION, PRINCETON UNIVERSITY MAKES NO
REPRESENTATIONS OR WARRANTIES OF MERCHANT-ABILITY OR FITNESS FOR ANY PARTICULAR PURPOSE OR THAT THE
USE OF THE LICENSED SOFTWARE, DATABASE OR DOCUMENTATION WILL NOT INFRINGE ANY THIRD PARTY PATENTS,
COPYRIGHTS, TRADEMARKS OR OTHER RIGHTS.

The name of Princeton University or Princeton may not be used in advertising or publicity pertaining
to distribution of the software and/or database. Title to copyright in this software, database and
any associated documentation shall at all times remain with Princeton University and LICENSEE agrees
to preserve same.
"""


def antonyms(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each pair once, in alphabetical order inside; the format is wndb(5WN)'s."""
    for kind in KINDS:
        words: dict[str, list[str]] = {}
        pointers: list[tuple[str, int, str, int]] = []
        for line in (folder / f"data.{kind}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):  # the licence
                continue
            fields = line.partition(" | ")[0].split()
            synset, number = fields[0], int(fields[3], 16)
            words[synset] = [w.partition("(")[0].lower() for w in fields[4 : 4 + 2 * number : 2]]
            rest = fields[4 + 2 * number :]
            for i in range(1, 1 + 4 * int(rest[0]), 4):
                symbol, other, _, places = rest[i : i + 4]
                if symbol == ANTONYM:
                    pointers.append((synset, int(places[:2], 16), other, int(places[2:], 16)))
        for synset, own, other, its in pointers:
            first, second = words[synset][own - 1], words[other][its - 1]
            if first < second and all(w.isalpha() and len(w) > 2 for w in (first, second)):
                yield first, second


def main(folder: Annotated[Path, typer.Argument(help="WordNet's dict folder.")]) -> None:
    """Print the table."""
    lines = [f"# {line}".rstrip() for line in NOTICE.splitlines()]
    typer.echo("\n".join([*lines, *map(" ".join, sorted(set(antonyms(folder))))]))


if __name__ == "__main__":
    run_script(main)
