"""Rows a second and memory of the data factory without an LLM: replies are made up at once.

    python speed/synth_throughput.py --rows 100000
    python speed/synth_throughput.py --rows 200000 --words 30 --similarity 1    # memory by tenths

The made-up LLM quotes capitalised words of the text, with their left context, as entities and as
answers; so every step works as with a real one: plan with near duplicates, prompts, parsing,
alignment, filters, shards, manifest.
"""

import argparse
import json
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

from glinermt.synth.backends.base import Reply, Request
from glinermt.synth.card import write_report
from glinermt.synth.engines.ask import ask
from glinermt.synth.generate import generate
from glinermt.synth.report import Prices
from glinermt.synth.settings import Settings

TASKS = ("entities", "answer")
MARKS = 10
NAMES = ["Ada", "Bern", "Cairo", "Dover", "Essen", "Fulda", "Goa", "Haifa", "Izmir", "Jena"]
WORDS = "the of river school found with old over under many after began small war stone".split()


class Quoter:
    """Replies with quotes of the prompt's text."""

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for i, request in enumerate(requests):
            text = request.user.partition("Text:\n")[2]
            quotes = [
                {"before": text[max(0, m.start() - 30) : m.start()], "text": m[0]}
                for m in re.finditer(r"[A-Z]\w+", text)
            ][:10]
            reply = json.dumps(_reply(request.recipe, quotes))
            yield i, Reply(reply, len(request.user) // 4, len(reply) // 4)


def _reply(task: str, quotes: list[dict[str, str]]) -> dict[str, object]:
    if task == "entities":
        return {"entities": [{**q, "label": "place"} for q in quotes], "absent": ["ship", "law"]}
    asked = [{"question": f"What is number {i} of the text?", **q} for i, q in enumerate(quotes)]
    return {"questions": asked[:5], "unanswerable": ["Who wrote the whole text?"]}


def _write_texts(file: Path, number: int, length: int) -> None:
    draw = Random(0)
    with file.open("w", encoding="utf-8") as stream:
        for _ in range(number):
            words = [
                f"{draw.choice(NAMES)}{draw.randrange(999)}"
                if draw.random() < 0.08
                else draw.choice(WORDS)
                for _ in range(length)
            ]
            for at in range(14, length, 15):
                words[at] += "."
            stream.write(json.dumps({"text": " ".join(words)}) + "\n")


def _peak_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << (20 if sys.platform == "darwin" else 10)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the factory without an LLM.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--words", type=int, default=120, help="Of a text.")
    parser.add_argument("--similarity", type=float, default=0.8, help="1: equal texts only.")
    options = parser.parse_args()
    rows = options.rows
    with tempfile.TemporaryDirectory() as folder:
        texts, out = Path(folder) / "texts.jsonl", Path(folder) / "out"
        _write_texts(texts, rows // len(TASKS), options.words)
        settings = Settings(
            texts=(str(texts),), model="quoter", llm="scripted", tasks=TASKS,
            similarity=options.similarity,
        )  # fmt: skip
        asking = partial(ask, Quoter(), sampling=settings.sampling, retries=0, batch=500)
        began = time.perf_counter()
        first: list[float] = []
        peaks: list[int] = []

        def progress(done: int, total: int) -> None:
            if not first:
                first.append(time.perf_counter())
            if done >= total * (len(peaks) + 1) / MARKS:
                peaks.append(_peak_mib())
                print(f"{done} rows, {time.process_time():.0f} s, {peaks[-1]} MiB", file=sys.stderr)

        generate(settings, out, asking, progress=progress)
        made = time.perf_counter()
        report = write_report(out, settings, prices=Prices())
        done = report["rows_done"]
        print(
            f"{done} rows, {report['examples']} examples: plan {first[0] - began:.1f} s, "
            f"then {made - first[0]:.1f} s ({done / (made - first[0]):.0f} rows/s), "
            f"report {time.perf_counter() - made:.1f} s; "
            f"all in {time.process_time():.0f} s of CPU; "
            f"peak memory {_peak_mib()} MiB, after each tenth {peaks}"
        )


if __name__ == "__main__":
    main()
