"""Makes a dev file of questions, answerable and not, for ``glinermt calibrate``.

``python -m glinermt.training.shipped.dev_questions QUESTIONS... --out DIR/questions.dev.jsonl``:
some questions of each file, half of them edited or moved to another paragraph as in training, so
that they have no answer.
"""

import json
import random
from pathlib import Path
from typing import Annotated

import typer

from glinermt.exits import run_script
from glinermt.training.config import Sampling, Source
from glinermt.training.data.readers import read_source
from glinermt.training.data.sampling import make_sampler

WHOLE = 10_000
"""Words: paragraphs are not cut."""


def dev_questions(
    paths: Annotated[list[Path], typer.Argument(help="SQuAD-like JSONL files.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, NAME.dev.jsonl.")],
    number: Annotated[int, typer.Option("--number", min=1, help="Questions of each file.")] = 500,
    unanswerable: Annotated[float, typer.Option(min=0, max=1, help="Share without answer.")] = 0.5,
    edited: Annotated[float, typer.Option(min=0, max=1, help="Of these, share edited.")] = 0.8,
    seed: Annotated[int, typer.Option("--seed")] = 0,
) -> None:
    """Write questions of which a share has no answer in its paragraph."""
    sampling = Sampling(
        max_words=WHOLE, unanswerable_share=unanswerable, edited_share=edited, similar_share=1.0
    )
    rng = random.Random(seed)
    lines = []
    for path in paths:
        source = Source(path.name, "qa")
        rows, _ = read_source(source, path.parent, max_bad_share=0.01)
        sampler = make_sampler(source, rows, [], sampling)
        for i, row in enumerate(rng.sample(rows, min(number, len(rows)))):
            example = sampler(row, rng)
            answers = {
                "text": [span.text for span in example.spans],
                "answer_start": [span.start for span in example.spans],
            }
            raw = {"context": example.query.text, "question": example.query.prompt}
            lines.append(json.dumps({"id": f"{path.name}/{i}", **raw, "answers": answers}))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    typer.echo(f"wrote {len(lines)} questions to {out}")


if __name__ == "__main__":
    run_script(dev_questions)
