"""What longer texts cost: entities of sentences that are read alone, and joined to one text.

``python -m glinermt.eval.benchmarks.joined_texts FILES... --model M``: strict F1 under the saved
thresholds for texts of so many sentences, and for so many words that the model reads at once
(``TaskSettings.words_at_once``).
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from glinermt.eval.data.cases import NerCase
from glinermt.eval.data.readers import read_ner
from glinermt.eval.metrics.entities import span_f1
from glinermt.exits import run_script
from glinermt.long_texts import joined as one_text
from glinermt.tasks.entities import ENTITIES, extract_entities

LEFT_OUT = "miscellaneous"


def joined(cases: Sequence[NerCase], number: int) -> list[NerCase]:
    """Join each ``number`` cases in a row to one."""
    return [_as_one(cases[i : i + number]) for i in range(0, len(cases), number)]


def _as_one(cases: Sequence[NerCase]) -> NerCase:
    text, spans = one_text((case.text, case.spans) for case in cases)
    return replace(cases[0], text=text, spans=spans)


def f1(model: Any, cases: Sequence[NerCase]) -> float:
    """Return the strict micro F1 of one set's entities."""
    labels = [label for label in cases[0].labels if label != LEFT_OUT]
    found = extract_entities([case.text for case in cases], labels, model=model)
    gold = [[s for s in case.spans if s.label != LEFT_OUT] for case in cases]
    return span_f1(gold, found)


def main(
    files: Annotated[list[Path], typer.Argument(help="Entity files; the mean over them is shown.")],
    model: Annotated[str | None, typer.Option(help="Folder or hub id.")] = None,
    sentences: Annotated[list[int], typer.Option(help="Sentences a text.")] = [1, 3, 12],  # noqa: B006
    words: Annotated[list[int], typer.Option(help="Words read at once; 0 = all.")] = [0, 100, 50],  # noqa: B006
    limit: Annotated[int, typer.Option(min=0, help="Sentences of each file; 0 = all.")] = 0,
) -> None:
    """Print F1, and the seconds of processor time it took."""
    from glinermt.model import GlinerMT

    loaded = GlinerMT.from_pretrained(model)
    sets = [read_ner(path, path.name.split(".")[0])[: limit or None] for path in files]
    table = Table(title="strict F1 (seconds)", title_justify="left")
    table.add_column("words at once")
    for number in sentences:
        table.add_column(f"{number} sentences", justify="right")
    for most in words:
        loaded.settings = replace(loaded.settings, words_at_once={ENTITIES.name: most})
        cells = []
        for number in sentences:
            start = time.process_time()
            mean = sum(f1(loaded, joined(cases, number)) for cases in sets) / len(sets)
            cells.append(f"{100 * mean:.1f} ({time.process_time() - start:.0f})")
        table.add_row(str(most or "all"), *cells)
    Console().print(table)


if __name__ == "__main__":
    run_script(main)
